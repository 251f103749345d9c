package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/glowup-app/clerksync/clerk/clerktest"
)

const (
	webhookPath = "/api/webhooks/clerk"
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // Svix's own example
)

// A shot makes requests. Each connection has its own, with buffers of its own.
type shot struct {
	aim  func(req *fasthttp.Request, n int64) error // makes the n-th request
	want []byte                                     // what a good answer contains
}

// webhooks are signed, all different, and of one size.
func webhooks(size int) func() shot {
	zeros := strings.Repeat("0", digits)
	template := []byte(clerktest.Webhook("user_"+zeros, time.Now().UnixMilli(), size))
	var spots []int
	for at := 0; ; at += digits {
		i := bytes.Index(template[at:], []byte("user_"+zeros))
		if i < 0 {
			break
		}
		at += i + len("user_")
		spots = append(spots, at)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err) // it is a constant
	}
	return func() shot {
		s := &signer{body: bytes.Clone(template), mac: hmac.New(sha256.New, key)}
		return shot{want: []byte(messagePrefix), aim: func(req *fasthttp.Request, n int64) error {
			s.id = appendID(append(s.id[:0], messagePrefix...), n)
			for _, at := range spots {
				copy(s.body[at:], s.id[len(messagePrefix):])
			}
			s.sign(req)
			return nil
		}}
	}
}

type signer struct {
	mac                 hash.Hash
	id, body, head, sum []byte
}

func (s *signer) sign(req *fasthttp.Request) {
	s.head = append(append(s.head[:0], s.id...), '.')
	at := len(s.head)
	s.head = append(strconv.AppendInt(s.head, time.Now().Unix(), 10), '.')
	s.mac.Reset()
	_, _ = s.mac.Write(s.head)
	_, _ = s.mac.Write(s.body)
	req.Header.SetBytesV("Svix-Id", s.id)
	req.Header.SetBytesV("Svix-Timestamp", s.head[at:len(s.head)-1])
	s.sum = s.mac.Sum(s.sum[:0])
	s.head = base64.StdEncoding.AppendEncode(append(s.head[:0], "v1,"...), s.sum)
	req.Header.SetBytesV("Svix-Signature", s.head)
	req.SetBodyRaw(s.body)
}

// load is how requests are sent: each connection its next one when the last is answered, or, with a Rate, so many a
// second whether or not earlier ones were answered.
type load struct {
	Conns int
	Rate  float64
	For   time.Duration
	Count int64 // so many at most; 0: maxIDs
}

// fired is what came of it. Latencies of the open loop count from when a request was due, so that a stall is charged
// to all that had to wait.
type fired struct {
	acked     *ids
	failed    map[string]int
	latencies []time.Duration // of those answered 200, sorted
	took      time.Duration
}

func (f fired) percentile(p float64) time.Duration {
	if len(f.latencies) == 0 {
		return 0
	}
	return f.latencies[min(len(f.latencies)-1, int(p*float64(len(f.latencies))))]
}

// fire loads the targets, URLs of one route, and returns when all is answered. Requests are numbered from first on.
func (l load) fire(ctx context.Context, targets []string, first int64, newShot func() shot) (fired, error) {
	result := fired{acked: newIDs(first), failed: map[string]int{}}
	var clients []*fasthttp.HostClient
	for _, target := range targets {
		u, err := url.Parse(target)
		if err != nil {
			return result, err
		}
		clients = append(clients, &fasthttp.HostClient{Addr: u.Host, MaxConns: l.Conns + 1, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second})
	}
	defer func() {
		for _, c := range clients {
			c.CloseIdleConnections()
		}
	}()
	var next atomic.Int64
	next.Store(first)
	start := time.Now()
	end := start.Add(l.For)
	due := l.due(ctx, start, end)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range l.Conns {
		wait.Go(func() {
			c := connection{client: clients[i%len(clients)], shot: newShot(), failed: map[string]int{}}
			c.request.SetRequestURI(targets[i%len(targets)])
			c.request.Header.SetMethod(fasthttp.MethodPost)
			c.request.Header.SetContentType("application/json")
			for begin := range due {
				n := next.Add(1) - 1
				if n-first >= min(maxIDs, cmp.Or(l.Count, maxIDs)) {
					break
				}
				if c.fire(begin, n) {
					result.acked.add(appendID(nil, n))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			result.latencies = append(result.latencies, c.latencies...)
			for what, n := range c.failed {
				result.failed[what] += n
			}
		})
	}
	wait.Wait()
	if result.took = time.Since(start); l.Rate > 0 {
		result.took = l.For // the answers to the last ones come after it
	}
	slices.Sort(result.latencies)
	return result, ctx.Err()
}

// due yields when each request is due: in a closed loop no time, since it is as soon as it is made.
func (l load) due(ctx context.Context, start, end time.Time) func(func(time.Time) bool) {
	if l.Rate == 0 {
		return func(yield func(time.Time) bool) {
			for time.Now().Before(end) && ctx.Err() == nil && yield(time.Time{}) {
			}
		}
	}
	times := make(chan time.Time, int(l.Rate*l.For.Seconds())+1)
	go func() {
		defer close(times)
		for n := 0; ; n++ {
			t := start.Add(time.Duration(float64(n) / l.Rate * float64(time.Second)))
			if !t.Before(end) || ctx.Err() != nil {
				return
			}
			time.Sleep(time.Until(t))
			times <- t
		}
	}()
	return func(yield func(time.Time) bool) {
		for t := range times {
			if !yield(t) {
				return
			}
		}
	}
}

type connection struct {
	client    *fasthttp.HostClient
	shot      shot
	request   fasthttp.Request
	response  fasthttp.Response
	latencies []time.Duration
	failed    map[string]int
}

func (c *connection) fire(due time.Time, n int64) bool {
	err := c.shot.aim(&c.request, n)
	start := due
	if due.IsZero() {
		start = time.Now()
	}
	if err == nil {
		err = c.client.Do(&c.request, &c.response)
	}
	switch {
	case err != nil:
		c.failed[err.Error()]++
		return false
	case c.response.StatusCode() != fasthttp.StatusOK || !bytes.Contains(c.response.Body(), c.shot.want):
		c.failed[fmt.Sprintf("status %d: %.100s", c.response.StatusCode(), c.response.Body())]++
		return false
	}
	c.latencies = append(c.latencies, time.Since(start))
	return true
}
