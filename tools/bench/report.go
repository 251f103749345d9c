package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
	"gonum.org/v1/plot/plotter"
)

// report is all that was measured, as docs/benchmarks.md.tmpl asks for it.
type report struct {
	results    []*result
	benchmarks []goBenchmark
	rounds     int
	each       time.Duration
	memories   []memory
	compared   string // see Compared
}

//go:embed benchmarks.md.tmpl
var page string

func (r report) write(dir string) error {
	compared, err := os.ReadFile(filepath.Join(dir, "benchmarks", "compare.txt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.compared = strings.TrimSpace(string(compared))
	t, err := template.New("").Parse(page)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, r); err != nil {
		return err
	}
	if err := r.plots(filepath.Join(dir, "benchmarks")); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.md"), text.Bytes(), 0o644); err != nil {
		return err
	}
	return r.writeCapacity(filepath.Join(dir, "capacity.md"))
}

// Compared is the comparison with the reference design, whose lab is elsewhere: benchmarks/compare.txt, which is put there by hand.
func (r report) Compared() string { return r.compared }

// of is what was measured of a target in a cell.
func (r report) of(target string, c cell) []sample {
	for _, has := range r.results {
		if has.target == target && has.cell == c {
			return has.samples
		}
	}
	return nil
}

// figure is the median of the rounds, of one column.
func (r report) figure(target string, c cell, column func(sample) float64) float64 {
	return median(each(r.of(target, c), column))
}

func each(samples []sample, column func(sample) float64) []float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, column(s))
	}
	return v
}

func perSecond(s sample) float64 { return s.PerSecond }
func p50(s sample) float64       { return s.P50 }
func p99(s sample) float64       { return s.P99 }
func cpuUsed(s sample) float64   { return s.CPU }
func resident(s sample) float64  { return s.Resident }
func outbound(s sample) float64  { return s.Outbound }
func opened(s sample) float64    { return s.Opened }

func targetShare(s sample) float64 { return s.Target }
func labShare(s sample) float64    { return s.Lab }
func othersShare(s sample) float64 { return s.Others }

// row is a cell's row in a table of one target.
func (r report) row(name, target string, c cell) string {
	f := func(column func(sample) float64) string { return r.spread(target, c, column) }
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, target, f(perSecond), number(r.figure(target, c, p50)), f(p99), f(cpuUsed),
		number(slices.Max(each(r.of(target, c), resident))), number(r.figure(target, c, outbound)), r.checks(target, c))
}

// spread is the median of a column, with the least and the most.
func (r report) spread(target string, c cell, column func(sample) float64) string {
	v := each(r.of(target, c), column)
	return fmt.Sprintf("%s (%s–%s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
}

// checks is ok, or what was wrong in one of the rounds.
func (r report) checks(target string, c cell) string {
	for _, s := range r.of(target, c) {
		if s.Check != ok {
			return s.Check
		}
	}
	return ok
}

const tableHead = "| a second | p50 ms | p99 ms | CPU s per 1,000 | resident MiB | outbound per webhook | acked = forwarded |\n"

func (r report) table(first string, cells []cell, name func(cell) string) string {
	var b strings.Builder
	b.WriteString("| " + first + " | target " + tableHead + "|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range cells {
		for _, target := range []string{clerksyncName, peerName} {
			if r.of(target, c) != nil {
				b.WriteString(r.row(name(c), target, c))
			}
		}
	}
	return b.String()
}

// Loads is the table of the comparison at one latency of the event API.
func (r report) Loads(latency time.Duration) string {
	var cells []cell
	for _, has := range r.results {
		c := has.cell
		if c.Run == "" && c.Latency == latency && c.Size == usualSize && c.Replicas == 1 && c.Protocol == "" && !slices.Contains(cells, c) {
			cells = append(cells, c)
		}
	}
	return r.table("load", cells, loadName)
}

func loadName(c cell) string {
	if c.Rate > 0 {
		return number(c.Rate) + " a second"
	}
	if c.Conns == 1 {
		return "1 connection"
	}
	return thousands(c.Conns) + " connections"
}

// Near and Far are the latencies of the event API.
func (report) Near() time.Duration { return 0 }

// Far is Near with a network in between.
func (report) Far() time.Duration { return farAway }

// Sizes is the table of payload sizes.
func (r report) Sizes() string {
	var cells []cell
	for _, size := range sizes {
		cells = append(cells, sizeCell(size))
	}
	return r.table("payload", cells, func(c cell) string { return strconv.Itoa(c.Size>>10) + " kB" })
}

// Replicas is the table of replicas behind one ingest.
func (r report) Replicas() string {
	var cells []cell
	for n := range maxReplicas {
		cells = append(cells, replicaCell(n+1))
	}
	var b strings.Builder
	b.WriteString("| processes | target " + tableHead + "|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range cells {
		b.WriteString(r.row(strconv.Itoa(c.Replicas), clerksyncName, c))
	}
	return b.String()
}

// Runs is the table of invocations.
func (r report) Runs() string {
	var b strings.Builder
	b.WriteString("| run | a second | p50 ms | p99 ms | CPU s per 1,000 | resident MiB |\n|---|---|---|---|---|---|\n")
	for _, kind := range kindsOfRun {
		f := func(column func(sample) float64) string {
			return number(r.figure(clerksyncName, runCell(kind), column))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", kind, f(perSecond), f(p50), f(p99), f(cpuUsed), f(resident))
	}
	return b.String()
}

// Secure is the table of the event API over TLS, by protocol.
func (r report) Secure() string {
	var b strings.Builder
	b.WriteString("| load | protocol | a second | p50 ms | p99 ms | CPU s per 1,000 | connections open | outbound per webhook | acked = forwarded |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, conns := range secureConns {
		for _, protocol := range protocols {
			c := secureCell(conns, protocol)
			f := func(column func(sample) float64) string { return r.spread(clerksyncName, c, column) }
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.0f | %s | %s |\n", loadName(c), protocol, f(perSecond), f(p50), f(p99), f(cpuUsed),
				slices.Max(each(r.of(clerksyncName, c), opened)), number(r.figure(clerksyncName, c, outbound)), r.checks(clerksyncName, c))
		}
	}
	return b.String()
}

// Start is the table of what costs something before the first webhook.
func (r report) Start() string {
	var b strings.Builder
	b.WriteString("| target | start to first answer, ms | idle, resident MiB |\n|---|---|---|\n")
	for _, target := range []string{clerksyncName, peerName} {
		starts := r.starts(target)
		fmt.Fprintf(&b, "| %s | %s (%s–%s of %d starts) | %s |\n", target, number(median(starts)), number(slices.Min(starts)), number(slices.Max(starts)),
			len(starts), r.spread(target, idleCell, resident))
	}
	return b.String()
}

// starts is how long each start of a single process took, in ms.
func (r report) starts(target string) []float64 {
	var all []float64
	for _, has := range r.results {
		if has.target == target && has.cell.Replicas == 1 {
			all = append(all, each(has.samples, func(s sample) float64 { return s.Started })...)
		}
	}
	return all
}

// Go is the table of the Go benchmarks, but for the curve of users.
func (r report) Go() string {
	var b strings.Builder
	b.WriteString("| package | benchmark | time | B/op | allocs/op |\n|---|---|---|---|---|\n")
	for _, g := range r.benchmarks {
		if !strings.HasPrefix(g.name, usersBenchmark) {
			fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %.0f |\n", g.pkg, g.name, duration(g.seconds), g.bytes, g.allocs)
		}
	}
	return b.String()
}

const usersBenchmark = "Users/users="

// users is the curve of the store's benchmark, by kind of event and number of users.
func (r report) users() (kinds []string, counts []int, of map[string]map[int]goBenchmark) {
	of = map[string]map[int]goBenchmark{}
	for _, g := range r.benchmarks {
		count, kind, found := strings.Cut(strings.TrimPrefix(g.name, usersBenchmark), "/")
		n, err := strconv.Atoi(count)
		if !found || err != nil {
			continue
		}
		if of[kind] == nil {
			of[kind] = map[int]goBenchmark{}
			kinds = append(kinds, kind)
		}
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
		of[kind][n] = g
	}
	return kinds, counts, of
}

// Users is that curve as a table.
func (r report) Users() string {
	kinds, counts, of := r.users()
	var b strings.Builder
	b.WriteString("| users | " + strings.Join(kinds, " | ") + " |\n" + strings.Repeat("|---", len(kinds)+1) + "|\n")
	for _, n := range counts {
		b.WriteString("| " + thousands(n) + " |")
		for _, kind := range kinds {
			g := of[kind][n]
			fmt.Fprintf(&b, " %s, %.0f allocations |", duration(g.seconds), g.allocs)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (r report) plots(dir string) error {
	curve := func(target string, cells []cell, x, y func(cell) float64) line {
		l := line{name: target}
		for _, c := range cells {
			if r.of(target, c) != nil {
				l.points = append(l.points, plotter.XY{X: x(c), Y: y(c)})
			}
		}
		return l
	}
	pair := func(file, x string, log bool, cells []cell, at func(cell) float64, targets ...string) error {
		rates := panel{title: "throughput", x: x, y: "webhooks a second", log: log}
		tails := panel{title: "99th percentile", x: x, y: "ms", log: log}
		for _, c := range cells {
			rates.ticks = append(rates.ticks, at(c))
		}
		tails.ticks = rates.ticks
		for _, target := range targets {
			rates.lines = append(rates.lines, curve(target, cells, at, func(c cell) float64 { return r.figure(target, c, perSecond) }))
			tails.lines = append(tails.lines, curve(target, cells, at, func(c cell) float64 { return r.figure(target, c, p99) }))
		}
		return writeSVG(filepath.Join(dir, file), rates, tails)
	}
	var concurrent, sized, replicated []cell
	for _, n := range concurrencies {
		concurrent = append(concurrent, bridgeCell(n, 0, 0))
	}
	for _, n := range sizes {
		sized = append(sized, sizeCell(n))
	}
	for n := range maxReplicas {
		replicated = append(replicated, replicaCell(n+1))
	}
	users := panel{title: "one event, by users in the collection", x: "users", y: "ms", log: true}
	kinds, counts, of := r.users()
	for _, n := range counts {
		users.ticks = append(users.ticks, float64(n))
	}
	for _, kind := range kinds {
		l := line{name: kind}
		for _, n := range counts {
			l.points = append(l.points, plotter.XY{X: float64(n), Y: of[kind][n].seconds * 1000})
		}
		users.lines = append(users.lines, l)
	}
	return cmp.Or(
		pair("concurrency.svg", "connections", true, concurrent, func(c cell) float64 { return float64(c.Conns) }, clerksyncName, peerName),
		pair("size.svg", "payload, kB", true, sized, func(c cell) float64 { return float64(c.Size >> 10) }, clerksyncName, peerName),
		pair("replicas.svg", "processes", false, replicated, func(c cell) float64 { return float64(c.Replicas) }, clerksyncName),
		writeSVG(filepath.Join(dir, "users.svg"), users),
	)
}

// Machine says what it was measured on.
func (r report) Machine() string {
	model, memory, system := "unknown processor", "", runtime.GOOS
	if info, err := cpu.Info(); err == nil && len(info) > 0 {
		model = info[0].ModelName
	}
	if m, err := mem.VirtualMemory(); err == nil {
		memory = fmt.Sprintf(", %.0f GiB", float64(m.Total)/(1<<30))
	}
	if h, err := host.Info(); err == nil {
		system = h.Platform + " " + h.PlatformVersion + ", kernel " + h.KernelVersion
	}
	return fmt.Sprintf("%d × %s%s, %s, %s", runtime.NumCPU(), model, memory, system, runtime.Version())
}

// Commit is what was measured.
func (report) Commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Rounds, Each and Others describe the measurement.
func (r report) Rounds() int { return r.rounds }

// Each is the length of one measurement.
func (r report) Each() time.Duration { return r.each }

// Others is the share of the machine that other programs used, in percent: the median and the most.
func (r report) Others() string {
	var all []float64
	for _, has := range r.results {
		if !has.cell.Idle {
			all = append(all, each(has.samples, func(s sample) float64 { return s.Others * 100 })...)
		}
	}
	return fmt.Sprintf("%.0f %% in the median, %.0f %% at most", median(all), slices.Max(all))
}

func number(f float64) string {
	switch {
	case f >= 1000:
		return thousands(int(f + .5))
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func duration(seconds float64) string {
	switch {
	case seconds >= 1:
		return fmt.Sprintf("%.2f s", seconds)
	case seconds >= 1e-3:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	case seconds >= 1e-6:
		return fmt.Sprintf("%.1f µs", seconds*1e6)
	}
	return fmt.Sprintf("%.0f ns", seconds*1e9)
}
