package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// ingest stands in for Inngest's event API: it takes what comes, after a while, and remembers the ids. It shares the
// machine with what is measured, so it looks for the ids of our own webhooks and decodes a request only now and then.
type ingest struct {
	url       string
	server    *fasthttp.Server
	latency   atomic.Int64 // time.Duration
	requests  atomic.Int64
	malformed atomic.Int64
	seen      atomic.Pointer[ids]
}

func startIngest() (*ingest, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	in := &ingest{url: "http://" + listener.Addr().String()}
	in.seen.Store(newIDs(0))
	in.server = &fasthttp.Server{Handler: in.answer, MaxRequestBodySize: 16 << 20, NoDefaultDate: true, NoDefaultServerHeader: true}
	go func() { _ = in.server.Serve(listener) }()
	return in, nil
}

// decodeEach is how many requests pass unread for one that is decoded.
const decodeEach = 500

func (in *ingest) answer(c *fasthttp.RequestCtx) {
	c.Response.SetBodyRaw(in.take(c.PostBody(), c.Response.Body()))
}

// take remembers the ids in a request, waits, and appends the answer to out.
func (in *ingest) take(body, out []byte) []byte {
	n := in.requests.Add(1)
	if n%decodeEach == 1 && !wellFormed(body) {
		in.malformed.Add(1)
	}
	seen := in.seen.Load()
	out = append(out, `{"ids":[`...)
	for first := true; ; first = false {
		i := bytes.Index(body, []byte(`"id":"`+messagePrefix))
		if i < 0 || len(body) < i+len(`"id":"`)+idLen {
			break
		}
		id := body[i+len(`"id":"`):][:idLen]
		body = body[i+idLen:]
		seen.add(id[len(messagePrefix):])
		if !first {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), id...), '"')
	}
	time.Sleep(time.Duration(in.latency.Load()))
	return append(out, `],"status":200}`...)
}

// wellFormed says whether a body is what Inngest takes: an array of events, or one.
func wellFormed(body []byte) bool {
	type event struct {
		ID   string                     `json:"id"`
		Name string                     `json:"name"`
		Data map[string]json.RawMessage `json:"data"`
	}
	var events []event
	if json.Unmarshal(body, &events) != nil {
		events = make([]event, 1)
		if json.Unmarshal(body, &events[0]) != nil {
			return false
		}
	}
	for _, e := range events {
		if e.ID == "" || e.Name != "clerk/user.updated" || e.Data["id"] == nil {
			return false
		}
	}
	return len(events) > 0
}

// A webhook's id is messagePrefix and its number in digits; the user's id has the same digits.
const (
	messagePrefix = "msg_bench_"
	digits        = 12
	idLen         = len(messagePrefix) + digits
)

// ids is a set of numbers from first on.
type ids struct {
	first int64
	bits  []atomic.Uint64
	count atomic.Int64 // different ones
	again atomic.Int64 // that were there already
}

// maxIDs is how many webhooks one measurement may send.
const maxIDs = 4 << 20

func newIDs(first int64) *ids { return &ids{first: first, bits: make([]atomic.Uint64, maxIDs/64)} }

// add takes the digits of an id; those of an earlier measurement are passed over.
func (s *ids) add(text []byte) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if n -= s.first; err != nil || n < 0 || n >= maxIDs {
		return
	}
	bit := uint64(1) << (n % 64)
	if s.bits[n/64].Or(bit)&bit != 0 {
		s.again.Add(1)
		return
	}
	s.count.Add(1)
}

// missing counts those of other that are not here.
func (s *ids) missing(other *ids) int {
	n := 0
	for i := range s.bits {
		for left := other.bits[i].Load() &^ s.bits[i].Load(); left != 0; left &= left - 1 {
			n++
		}
	}
	return n
}

func appendID(dst []byte, n int64) []byte { return fmt.Appendf(dst, "%0*d", digits, n) }
