package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// lab is all that a measurement needs.
type lab struct {
	dir, binaries, databaseURI string

	ingest   *ingest
	secure   map[string]*secure // by protocol
	self     *program           // load and event API
	database *program
	next     int64 // number of the next webhook
	begun    time.Time
}

// maxReplicas behind one ingest.
const maxReplicas = 4

func newLab(ctx context.Context, binaries, dir string) (*lab, error) {
	l := &lab{begun: time.Now(), dir: dir, binaries: binaries, secure: map[string]*secure{}}
	var err error
	if l.ingest, err = startIngest(); err != nil {
		return nil, err
	}
	certificate, err := newCertificate(l.certificate())
	if err != nil {
		return nil, err
	}
	for _, protocol := range protocols {
		if l.secure[protocol], err = serveSecure(l.ingest, protocol, certificate); err != nil {
			return nil, err
		}
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
	if l.database, err = prepare(ctx, dir, "database", nil, bench, "database"); err != nil {
		return nil, err
	}
	if l.databaseURI, err = l.database.say(); err != nil {
		return nil, err
	}
	return l, l.makeUsers(ctx)
}

// makeUsers makes those that invocations are about.
func (l *lab) makeUsers(ctx context.Context) error {
	p, err := l.server(clerksyncName, "").start(ctx, l.dir)
	if err != nil {
		return err
	}
	defer p.stop()
	made, err := load{Conns: 4, For: time.Minute, Count: knownUsers}.fire(ctx, []string{p.url + runPath("create")}, 0, runs(ctx, "create"))
	if err == nil && len(made.latencies) != knownUsers {
		err = fmt.Errorf("make %d users: %d made, %v", knownUsers, len(made.latencies), made.failed)
	}
	l.next = knownUsers
	return err
}

func (l *lab) certificate() string { return filepath.Join(l.dir, "ingest.pem") }

// server is a target, with its event API over TLS where a protocol is given.
func (l *lab) server(target, protocol string) server {
	events := l.ingest.url
	if protocol != "" {
		events = l.secure[protocol].url
	}
	s := server{name: target, argv: []string{filepath.Join(l.binaries, target)}, env: []string{"CLERK_WEBHOOK_SECRET=" + secret}, ready: "/"}
	if target == peerName {
		s.env = append(s.env, "EVENTS="+events+"/e/bench")
		return s
	}
	s.argv, s.ready = append(s.argv, "serve"), "/readyz"
	s.env = append(s.env, "DATABASE_URI="+l.databaseURI+"bench", "INNGEST_BASE_URL="+events, "INNGEST_EVENT_KEY=bench",
		"INNGEST_SIGNING_KEY="+signingKey, "SSL_CERT_FILE="+l.certificate())
	return s
}

// A cell is one thing to measure.
type cell struct {
	load
	Run      string // kind of invocation, instead of webhooks
	Latency  time.Duration
	Size     int
	Replicas int
	Protocol string // of the event API over TLS; empty: HTTP/1.1 in the clear
	Idle     bool   // no load
}

// sample is one measurement of a cell.
type sample struct {
	PerSecond float64
	P50, P99  float64 // ms
	CPU       float64 // seconds of the target's processes for 1000 requests
	Resident  float64 // MiB, the most that was seen, of one process
	Outbound  float64 // requests to the event API for each webhook
	Opened    float64 // most connections to the event API at once, over TLS
	Started   float64 // ms from the start to the first answer
	Others    float64 // share of the machine that neither target nor lab used
	Target    float64 // share of the machine that the target used
	Lab       float64 // share of the machine that load, event API and database used
	Check     string  // ok, or what is wrong
}

const ok = "ok"

// measure starts a target afresh and loads it.
func (l *lab) measure(ctx context.Context, c cell, target string) (sample, error) {
	l.ingest.latency.Store(int64(c.Latency))
	path, newShot := webhookPath, webhooks(c.Size)
	if c.Run != "" {
		path, newShot = runPath(c.Run), runs(ctx, c.Run)
	}
	var programs []*program
	defer func() {
		for _, p := range programs {
			p.stop()
		}
	}()
	var urls []string
	started := 0.
	for range c.Replicas {
		p, err := l.server(target, c.Protocol).start(ctx, l.dir)
		if err != nil {
			return sample{}, err
		}
		programs, urls, started = append(programs, p), append(urls, p.url+path), max(started, ms(p.started))
	}
	if c.Idle {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return sample{}, ctx.Err()
		}
		return sample{Resident: float64(programs[0].resident()) / (1 << 20), Started: started, Check: ok}, nil
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
	if _, _, err := fire(c.For / 4); err != nil { // to warm up: connections, pools, the heap
		return sample{}, err
	}
	before := l.usage(programs)
	requests, malformed := l.ingest.requests.Load(), l.ingest.malformed.Load()
	over := l.secure[c.Protocol]
	if over != nil {
		over.watch()
	}
	watched := watchResident(programs)
	f, seen, err := fire(c.For)
	resident := watched()
	if err != nil {
		return sample{}, err
	}
	used := l.usage(programs).minus(before)
	answered, whole := float64(len(f.latencies)), used.wall*cores()
	s := sample{
		PerSecond: answered / f.took.Seconds(),
		P50:       ms(f.percentile(.5)), P99: ms(f.percentile(.99)),
		CPU:      used.target / answered * 1000,
		Resident: float64(resident) / (1 << 20),
		Outbound: float64(l.ingest.requests.Load()-requests) / answered,
		Started:  started,
		Target:   used.target / whole, Lab: used.lab / whole,
		Others: max(0, (used.machine-used.target-used.lab)/whole),
	}
	if over != nil {
		s.Opened = float64(over.most.Load())
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
