//go:build unix

package test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Inngest goes and comes back, with all that it had accepted, as Inngest Cloud's promise is: its event API is away,
// or the whole Dev Server stands still. Killing the Dev Server would prove nothing of clerksync: its queue is in memory
// (--persist keeps apps and the history of runs, not the queue), so what it had accepted would be gone.
func TestInngestGoneInAStream(t *testing.T) {
	t.Parallel()
	var down, up func()
	w := newWorld(t, ownDatabase(t), func(w *world) {
		var base string
		base, _, down, up = newFaults(t, w.devURL)
		w.env = append(w.env, "INNGEST_DEV="+base)
	})
	s := newStream(w, scaled(60))
	s.lasts = 4 * time.Second
	s.start()
	for n := range 3 {
		s.awaitAccepted(1+n, 6)
		down()
		s.awaitRefused(3 * concurrency)
		up()
	}
	s.awaitAccepted(4, 6)
	w.dev.signal(syscall.SIGSTOP)
	s.awaitRefused(concurrency)
	w.dev.signal(syscall.SIGCONT)
	s.finish()
}

func TestInngestMisbehavesInAStream(t *testing.T) {
	t.Parallel()
	var set func(http.HandlerFunc)
	w := newWorld(t, ownDatabase(t), func(w *world) {
		var base string
		base, set, _, _ = newFaults(t, w.devURL)
		w.env = append(w.env, "INNGEST_DEV="+base)
	})
	pass := passTo(t, w.devURL)
	cut := func(rw http.ResponseWriter, before string) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, before)
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not an end
		_ = conn.Close()
	}
	answer := func(status int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	faults := []http.HandlerFunc{
		pass,
		answer(500, ""),
		answer(429, ""),
		answer(401, `{"error":"no such key"}`),
		pass,
		answer(200, "<html>"),
		answer(200, `{"ids":[],"status":200}`),
		func(rw http.ResponseWriter, _ *http.Request) { cut(rw, "") },
		pass,
		func(rw http.ResponseWriter, _ *http.Request) { cut(rw, "\x00\xff garbage\r\n\r\n") },
		func(rw http.ResponseWriter, _ *http.Request) {
			cut(rw, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"+`{"ids":["01"],"status":200}`)
		},
		// Inngest has the event, and clerksync does not learn of it.
		func(rw http.ResponseWriter, r *http.Request) {
			pass(httptest.NewRecorder(), r)
			cut(rw, "")
		},
		func(rw http.ResponseWriter, r *http.Request) {
			slow := time.NewTimer(time.Second)
			defer slow.Stop()
			<-slow.C
			pass(rw, r)
		},
	}
	var n atomic.Int64
	set(func(rw http.ResponseWriter, r *http.Request) {
		switch i := int(n.Add(1)); {
		case !strings.HasPrefix(r.URL.Path, "/e/"):
			pass(rw, r) // the app registers
		case i%100 == 0: // each takes the bridge's 8 s
			hang(rw, r)
		default:
			faults[i%len(faults)](rw, r)
		}
	})
	s := newStream(w, scaled(60))
	s.start()
	s.finish()
	if s.refused.Load() < int64(len(faults)) {
		t.Errorf("want refused webhooks, got %d", s.refused.Load())
	}
}
