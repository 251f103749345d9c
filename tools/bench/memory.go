package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// memory is what a target's memory is made of in the middle of its heaviest load, in bytes.
type memory struct {
	target                       string
	resident, file               float64
	heap, free, stacks, overhead float64 // of Go's runtime
	live                         string  // the largest of what a garbage collection leaves, by go tool pprof
}

// memoryCell is the load with the most connections.
func memoryCell() cell { return bridgeCell(1024, 0, farAway) }

// lookIntoMemory loads each target once more, built with profiles.
func (l *lab) lookIntoMemory(ctx context.Context, each time.Duration) ([]memory, error) {
	var all []memory
	for _, target := range []string{clerksyncName, peerName} {
		m, err := l.memoryOf(ctx, target, each)
		if err != nil {
			return nil, fmt.Errorf("look into the memory of %s: %w", target, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func (l *lab) memoryOf(ctx context.Context, target string, each time.Duration) (memory, error) {
	m := memory{target: target}
	port, err := freePort()
	if err != nil {
		return m, err
	}
	s := l.server(target, "")
	s.argv[0] += "-profile"
	s.env = append(s.env, "PROFILE_ADDR=127.0.0.1:"+port)
	p, err := s.start(ctx, l.dir)
	if err != nil {
		return m, err
	}
	defer p.stop()
	l.ingest.latency.Store(int64(farAway))
	l.ingest.seen.Store(newIDs(l.next))
	c := memoryCell()
	c.For = 2 * each
	loaded := make(chan error, 1)
	go func() {
		_, err := c.fire(ctx, []string{p.url + webhookPath}, l.next, webhooks(c.Size))
		loaded <- err
	}()
	select {
	case <-time.After(each): // in the middle
	case <-ctx.Done():
	}
	err = m.read(ctx, p, "http://127.0.0.1:"+port+"/debug/pprof/heap", filepath.Join(l.dir, target+".heap"))
	l.next += maxIDs
	return m, errors.Join(err, <-loaded)
}

func (m *memory) read(ctx context.Context, p *program, url, file string) error {
	text, err := download(ctx, url+"?debug=1") // ends with runtime.MemStats
	if err != nil {
		return err
	}
	process, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	status, err := process.NewStatus()
	if err != nil {
		return err
	}
	m.resident, m.file = float64(status.VmRSS), float64(status.RssFile)
	stats := map[string]float64{}
	for _, found := range memStat.FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return err
		}
		stats[found[1]] = value
	}
	m.heap, m.free, m.stacks = stats["HeapInuse"], stats["HeapIdle"]-stats["HeapReleased"], stats["Stack"]
	for _, name := range []string{"MSpan", "MCache", "BuckHashSys", "GCSys", "OtherSys"} {
		m.overhead += stats[name]
	}
	profile, err := download(ctx, url+"?gc=1") // of what is live, and not of what was when the load began
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, profile, 0o600); err != nil {
		return err
	}
	m.live, err = top(ctx, file)
	return err
}

// memStat is a line such as "# HeapInuse = 1" or "# Stack = 1 / 2", in use and reserved.
var memStat = regexp.MustCompile(`(?m)^# (\w+) = (\d+)`)

func download(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// top is the table of go tool pprof, from the line that says what it accounts for.
func top(ctx context.Context, file string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=10", "-unit=kb", file).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	var b strings.Builder
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if line := lines.Text(); b.Len() > 0 || strings.HasPrefix(line, "Showing nodes") {
			b.WriteString(line + "\n")
		}
	}
	if b.Len() == 0 {
		return "", errors.New("go tool pprof shows no nodes")
	}
	return b.String(), nil
}

// Memory is the table of what the memory is made of.
func (r report) Memory() string {
	var b strings.Builder
	b.WriteString("| MiB | " + clerksyncName + " | " + peerName + " |\n|---|---|---|\n")
	for _, row := range []struct {
		name  string
		bytes func(memory) float64
	}{
		{"resident", func(m memory) float64 { return m.resident }},
		{"pages of the binary (RssFile)", func(m memory) float64 { return m.file }},
		{"heap in use: live, and garbage since the last collection", func(m memory) float64 { return m.heap }},
		{"heap that is free and not given back", func(m memory) float64 { return m.free }},
		{"stacks of goroutines", func(m memory) float64 { return m.stacks }},
		{"the runtime's own", func(m memory) float64 { return m.overhead }},
		{"rest: below zero for what is reserved and not touched", func(m memory) float64 {
			return m.resident - m.file - m.heap - m.free - m.stacks - m.overhead
		}},
	} {
		b.WriteString("| " + row.name)
		for _, m := range r.memories {
			fmt.Fprintf(&b, " | %.1f", row.bytes(m)/(1<<20))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// Live is the heap profile of each target.
func (r report) Live() string {
	var b strings.Builder
	for _, m := range r.memories {
		b.WriteString(m.target + ":\n\n```\n" + m.live + "```\n\n")
	}
	return b.String()
}

// EachConnection is what a connection adds to what is resident, in KiB.
func (r report) EachConnection(target string) string {
	few, many := bridgeCell(1, 0, farAway), memoryCell()
	return number((r.figure(target, many, resident) - r.figure(target, few, resident)) * 1024 / float64(many.Conns-few.Conns))
}
