package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/valyala/fasthttp"
)

func idsOf(first int64, numbers ...int64) *ids {
	s := newIDs(first)
	for _, n := range numbers {
		s.add(appendID(nil, n))
	}
	return s
}

func TestCheckFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	answered := []time.Duration{1, 1}
	for _, tt := range []struct {
		name  string
		acked *ids
		seen  *ids
		f     fired
		bad   int64
		want  string
	}{
		{"all", idsOf(100, 100, 163), idsOf(100, 163, 100), fired{latencies: answered}, 0, ok},
		{"late ones of another measurement", idsOf(100, 100), idsOf(100, 99, 100), fired{latencies: answered}, 0, ok},
		{"one lost", idsOf(100, 100, 163), idsOf(100, 100), fired{latencies: answered}, 0, "1 acknowledged and not forwarded"},
		{"one more", idsOf(100, 100), idsOf(100, 100, 101, 164), fired{latencies: answered}, 0, "2 forwarded and not acknowledged"},
		{"one twice", idsOf(100, 100), idsOf(100, 100, 100), fired{latencies: answered}, 0, "1 forwarded twice"},
		{"malformed", idsOf(100, 100), idsOf(100, 100), fired{latencies: answered}, 3, "3 requests are not what Inngest takes"},
		{"none", idsOf(100), idsOf(100), fired{}, 0, "nothing was answered: map[]"},
		{"some refused", idsOf(100), idsOf(100), fired{latencies: answered, failed: map[string]int{"status 503": 1}}, 0, "answered otherwise: map[status 503:1]"},
	} {
		tt.f.acked = tt.acked
		if got := check(cell{}, tt.f, tt.seen, tt.bad); tt.want != got {
			t.Errorf("%s: want %q, got %q", tt.name, tt.want, got)
		}
	}
}

func TestWebhooksAreSigned(t *testing.T) {
	t.Parallel()
	wh, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	s := webhooks(usualSize)()
	for n := range int64(3) {
		var req fasthttp.Request
		if err := s.aim(&req, n); err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		for k, v := range req.Header.All() {
			header.Set(string(k), string(v))
		}
		if err := wh.Verify(req.Body(), header); err != nil {
			t.Error(err)
		}
		if id := string(appendID([]byte("user_"), n)); strings.Count(string(req.Body()), id) != 2 {
			t.Errorf("want %s as id and in the email address, got %s", id, req.Body())
		}
	}
}

// The open loop charges a stall to all that had to wait.
func TestOpenLoopCountsFromWhenItWasDue(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 1 {
			time.Sleep(100 * time.Millisecond)
		}
		_, _ = w.Write([]byte(messagePrefix))
	}))
	t.Cleanup(server.Close)
	f, err := load{Conns: 1, Rate: 100, For: 50 * time.Millisecond}.fire(t.Context(), []string{server.URL}, 0, webhooks(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	if want, got := 5, len(f.latencies); want != got {
		t.Fatalf("answers: want %d, got %d (%v)", want, got, f.failed)
	}
	if want, got := 60*time.Millisecond, f.latencies[0]; got < want {
		t.Errorf("least latency behind a stall of 100 ms: want at least %s, got %s", want, got)
	}
}
