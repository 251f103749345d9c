package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// lab is all that a measurement needs, running.
type lab struct {
	ingest   *ingest
	self     *program // load and event API
	database *program
	replicas []*program // of clerksync
	peer     *program
	next     int64 // number of the next webhook
	begun    time.Time
}

// maxReplicas behind one ingest.
const maxReplicas = 4

func newLab(ctx context.Context, clerksync, dir string) (*lab, error) {
	l := &lab{begun: time.Now()}
	var err error
	if l.ingest, err = startIngest(); err != nil {
		return nil, err
	}
	self, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return nil, err
	}
	l.self = &program{name: "lab", stats: self}
	bench, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if l.database, err = start(ctx, dir, "database", nil, bench, "database"); err != nil {
		return nil, err
	}
	databaseURI, err := l.database.say()
	if err != nil {
		return nil, err
	}
	for i := range maxReplicas {
		p, err := l.startServer(ctx, dir, fmt.Sprintf("clerksync-%d", i+1), []string{
			"CLERK_WEBHOOK_SECRET=" + secret, "DATABASE_URI=" + databaseURI + "bench",
			"INNGEST_BASE_URL=" + l.ingest.url, "INNGEST_EVENT_KEY=bench", "INNGEST_SIGNING_KEY=" + signingKey,
		}, clerksync, "serve")
		if err != nil {
			return nil, err
		}
		l.replicas = append(l.replicas, p)
	}
	if l.peer, err = l.startServer(ctx, dir, "peer", []string{"CLERK_WEBHOOK_SECRET=" + secret, "EVENTS=" + l.ingest.url + "/e/bench"}, bench, "peer"); err != nil {
		return nil, err
	}
	known, err := load{Conns: 4, For: time.Minute, Count: knownUsers}.fire(ctx, []string{l.replicas[0].url + runPath("create")}, 0, runs(ctx, "create"))
	if err != nil {
		return nil, err
	}
	if len(known.latencies) != knownUsers {
		return nil, fmt.Errorf("make %d users: %d made, %v", knownUsers, len(known.latencies), known.failed)
	}
	l.next = knownUsers
	return l, nil
}

func (l *lab) startServer(ctx context.Context, dir, name string, env []string, argv ...string) (*program, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, dir, name, append(env, "PORT="+port), argv...)
	if err != nil {
		return nil, err
	}
	return p, p.run(ctx, "http://127.0.0.1:"+port)
}

// stop ends the programs; their context is done.
func (l *lab) stop() {
	for _, p := range append(l.replicas, l.peer, l.database) {
		if p != nil && p.cmd.Process != nil {
			_ = p.cmd.Wait()
		}
	}
}

// A cell is one thing to measure.
type cell struct {
	load
	Run      string // kind of invocation, instead of webhooks
	Latency  time.Duration
	Size     int
	Replicas int
}

// sample is one measurement of a cell.
type sample struct {
	PerSecond float64
	P50, P99  float64 // ms
	CPU       float64 // seconds of the target's processes for 1000 requests
	Resident  float64 // MiB, the most that was seen, of one process
	Outbound  float64 // requests to the event API for each webhook
	Others    float64 // share of the machine that neither target nor lab used
	Check     string  // ok, or what is wrong
}

const ok = "ok"

func (l *lab) measure(ctx context.Context, c cell, target []*program) (sample, error) {
	l.ingest.latency.Store(int64(c.Latency))
	path, newShot := webhookPath, webhooks(c.Size)
	if c.Run != "" {
		path, newShot = runPath(c.Run), runs(ctx, c.Run)
	}
	var urls []string
	for _, p := range target {
		urls = append(urls, p.url+path)
	}
	fire := func(d time.Duration) (fired, *ids, error) {
		seen := newIDs(l.next)
		l.ingest.seen.Store(seen)
		c := c.load
		c.For = d
		f, err := c.fire(ctx, urls, l.next, newShot)
		l.next += maxIDs
		return f, seen, err
	}
	if _, _, err := fire(c.For / 6); err != nil { // to warm up: connections, pools, the heap
		return sample{}, err
	}
	before := l.usage(target)
	requests, malformed := l.ingest.requests.Load(), l.ingest.malformed.Load()
	watched := watchResident(target)
	f, seen, err := fire(c.For)
	resident := watched()
	if err != nil {
		return sample{}, err
	}
	used := l.usage(target).minus(before)
	answered := float64(len(f.latencies))
	s := sample{
		PerSecond: answered / f.took.Seconds(),
		P50:       ms(f.percentile(.5)), P99: ms(f.percentile(.99)),
		CPU:      used.target / answered * 1000,
		Resident: float64(resident) / (1 << 20),
		Outbound: float64(l.ingest.requests.Load()-requests) / answered,
		Others:   max(0, (used.machine-used.target-used.lab)/(used.wall*cores())),
	}
	s.Check = check(c, f, seen, l.ingest.malformed.Load()-malformed)
	return s, nil
}

// check says whether what was acknowledged is what was forwarded.
func check(c cell, f fired, seen *ids, malformed int64) string {
	switch {
	case len(f.latencies) == 0:
		return fmt.Sprintf("nothing was answered: %v", f.failed)
	case len(f.failed) > 0:
		return fmt.Sprintf("answered otherwise: %v", f.failed)
	case c.Run != "":
		return ok
	case malformed > 0:
		return fmt.Sprintf("%d requests are not what Inngest takes", malformed)
	}
	if lost := seen.missing(f.acked); lost > 0 {
		return fmt.Sprintf("%d acknowledged and not forwarded", lost)
	}
	if more := f.acked.missing(seen); more > 0 {
		return fmt.Sprintf("%d forwarded and not acknowledged", more)
	}
	if again := seen.again.Load(); again > 0 {
		return fmt.Sprintf("%d forwarded twice", again)
	}
	return ok
}

// usage is processor time, and the wall clock's, in seconds.
type usage struct{ target, lab, machine, wall float64 }

func (l *lab) usage(target []*program) usage {
	u := usage{machine: busy(), lab: l.self.cpu() + l.database.cpu(), wall: time.Since(l.begun).Seconds()}
	for _, p := range target {
		u.target += p.cpu()
	}
	return u
}

func (u usage) minus(v usage) usage {
	return usage{u.target - v.target, u.lab - v.lab, u.machine - v.machine, u.wall - v.wall}
}

// watchResident looks at the memory until the function that it returns is called, which returns the most.
func watchResident(target []*program) func() uint64 {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		var seen uint64
		for {
			for _, p := range target {
				seen = max(seen, p.resident())
			}
			select {
			case <-stop:
				most <- seen
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
