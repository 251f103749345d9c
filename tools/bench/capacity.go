package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"
)

// What the capacity model assumes; docs/capacity.md says why.
const (
	peakFactor   = 10                    // peak over the average of a day
	targetUse    = .6                    // of a core, at the peak
	runTime      = 50 * time.Millisecond // of one run, as Inngest sees it
	callTime     = 5 * time.Millisecond  // of one call to the database
	callsPerRun  = 4                     // a create's, the most of the usual ones
	handovers    = 2048                  // webhook.Options.MaxHandovers
	poolSize     = 50                    // the store's connections
	minProcesses = 2                     // so that one may be replaced
)

// Around the part of docs/capacity.md that is written here.
const (
	generatedBegin = "<!-- written by make bench -->\n"
	generatedEnd   = "<!-- end of what make bench writes -->\n"
)

// writeCapacity replaces the generated part; where there is no such page, it writes that part alone.
func (r report) writeCapacity(path string) error {
	page, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		page, err = []byte(generatedBegin+generatedEnd), nil
	}
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(page, []byte(generatedBegin))
	_, after, ends := bytes.Cut(rest, []byte(generatedEnd))
	if !begins || !ends {
		return fmt.Errorf("%s has no place for what is generated, between %q and %q", path, generatedBegin, generatedEnd)
	}
	return os.WriteFile(path, fmt.Appendf(nil, "%s%s%s%s%s", before, generatedBegin, r.capacity(), generatedEnd, after), 0o644)
}

func (r report) capacity() string {
	webhook := r.figure(clerksyncName, bridgeCell(256, 0, farAway), cpuUsed) / 1000 // CPU seconds
	run := 0.
	for _, kind := range kindsOfRun {
		run = max(run, r.figure(clerksyncName, runCell(kind), cpuUsed)/1000)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, commit %s: %s of CPU for a webhook, %s for the dearest run, %s MiB at %d connections.\n\n",
		r.Machine(), r.Commit(), duration(webhook), duration(run), number(r.figure(clerksyncName, bridgeCell(1024, 0, farAway), resident)), 1024)
	b.WriteString("| events | a second, at the peak | cores for webhooks | cores for runs | processes of one core | runs at once | runs a month | database calls a second |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	const day, month = 24 * 60 * 60, 30
	for _, s := range []struct {
		name          string
		average, peak float64 // a second
	}{
		{"1,000 a day", 1e3 / day, 1e3 / day * peakFactor},
		{"1,000,000 a day", 1e6 / day, 1e6 / day * peakFactor},
		{"10,000 a second", 1e4, 1e4},
	} {
		processes := max(minProcesses, math.Ceil(s.peak*(webhook+run)/targetUse))
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", s.name, number(s.peak), number(s.peak*webhook), number(s.peak*run),
			thousands(int(processes)), thousands(int(math.Ceil(s.peak*runTime.Seconds()))), thousands(int(math.Round(s.average*day*month))), number(s.peak*callsPerRun))
	}
	b.WriteString("\n| wall | stands at, a second |\n|---|---|\n")
	for _, w := range []struct {
		name string
		at   float64
	}{
		{"runs on one core", 1 / run},
		{"webhooks on one core", 1 / webhook},
		{fmt.Sprintf("the database connections of one process (%d, %s a call), in runs", poolSize, callTime), poolSize / callTime.Seconds() / callsPerRun},
		{fmt.Sprintf("hand-overs under way in one process (%s, %s each)", thousands(handovers), farAway), handovers / farAway.Seconds()},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", w.name, number(w.at))
	}
	return b.String()
}
