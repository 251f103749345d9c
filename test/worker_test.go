//go:build unix

package test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// newApart is a world whose bridge takes webhooks only.
func newApart(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, withoutInngest, ownDatabase(t), func(w *world) { w.apart = true })
	w.startDevServer()
	return w
}

// startWorker starts one more worker of the Dev Server, and waits until it can be given runs.
func (w *world) startWorker() (p *process, url string) {
	w.t.Helper()
	return w.startWorkerWith("INNGEST_DEV=" + w.devURL)
}

func (w *world) startWorkerWith(env ...string) (p *process, url string) {
	w.t.Helper()
	port := freePort(w.t)
	p = start(w.t, append(env, "PORT="+port, "DATABASE_URI="+w.dbURI), binary, "worker")
	w.apps = append(w.apps, p)
	p.listens("http://127.0.0.1:"+port+"/readyz", http.StatusOK)
	return p, "http://127.0.0.1:" + port
}

// Webhooks and functions on programs of their own; workers that are killed or stopped lose nothing.
func TestWorkersInAStream(t *testing.T) {
	t.Parallel()
	w := newApart(t)
	first, _ := w.startWorker()
	second, _ := w.startWorker()
	w.awaitFunctions()
	s := newStream(w, scaled(60))
	s.start()
	s.awaitAccepted(1, 4)
	s.await("events applied by the first worker", 1, func() int64 { return runsOf(first) })
	first.kill()
	s.awaitAccepted(1, 2)
	w.startWorker()
	second.signal(syscall.SIGTERM)
	if want, got := 0, second.wait(); want != got {
		t.Errorf("exit code of a worker that is stopped: want %d, got %d", want, got)
	}
	s.finish()
	if refused := s.refused.Load(); refused > 0 {
		t.Errorf("want webhooks taken whatever the workers do, %d were refused", refused)
	}
}

func runsOf(worker *process) (n int64) {
	worker.since(0, func(l line) {
		if l.str("function") != "" {
			n++
		}
	})
	return n
}

// A worker whose Inngest goes away waits for it, says so, and goes on.
func TestWorkerFindsInngestAgain(t *testing.T) {
	t.Parallel()
	w := newApart(t)
	worker, url := w.startWorker()
	w.dev.kill()
	waitFor(t, "readyz to name Inngest", func() bool {
		status, body := get(t, url+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"inngest"`)
	})
	if status, _ := get(t, w.appURL+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz of a bridge, which has no database: want 200, got %d", status)
	}
	w.startDevServer()
	worker.listens(url+"/readyz", http.StatusOK)
	w.awaitFunctions()
	id := newID("user")
	w.do("created", "user.created", user(id, 10))
	if l := worker.find(func(l line) bool { return l.str("level") == "ERROR" }); l != nil {
		t.Errorf("want no error logged, got %v", l)
	}
}

// What a program does not do, it does not answer.
func TestRoutesApart(t *testing.T) {
	t.Parallel()
	w := newApart(t)
	_, url := w.startWorker()
	for _, tt := range []struct {
		url  string
		want int
	}{
		{w.appURL + "/api/inngest", http.StatusNotFound},
		{url + "/api/inngest", http.StatusNotFound},
		{url + "/api/webhooks/clerk", http.StatusNotFound},
		{w.appURL + "/metrics", http.StatusOK},
		{w.appURL + "/", http.StatusOK},
		{url + "/", http.StatusOK},
	} {
		if got, _ := get(t, tt.url); tt.want != got {
			t.Errorf("GET %s: want %d, got %d", tt.url, tt.want, got)
		}
	}
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, "clerksync_worker_connected 1") || strings.Contains(body, "clerksync_webhook") {
		t.Errorf("want a worker's metrics, got\n%s", body)
	}
	if _, body := get(t, w.appURL+"/metrics"); strings.Contains(body, "clerksync_function") || !strings.Contains(body, "clerksync_webhook") {
		t.Errorf("want a bridge's metrics, got\n%s", body)
	}
}

// A self-hosted Inngest lets no worker in without its key, and takes either while it is rotated.
func TestWorkerOfSelfHostedInngest(t *testing.T) {
	t.Parallel()
	needInngest(t)
	w := newWorld(t, withoutInngest, func(w *world) {
		inCloud(w.devURL)(w)
		w.apart = true
	})
	w.startCloud("key")
	stranger := start(t, []string{"PORT=" + freePort(t), "DATABASE_URI=" + w.dbURI, "INNGEST_BASE_URL=" + w.devURL, "INNGEST_SIGNING_KEY=signkey-test-00"}, binary, "worker")
	waitFor(t, "a worker with another key to say that it is not connected", func() bool {
		return stranger.find(func(l line) bool {
			return l.str("msg") == "worker not connected" && l.str("error") == "the signing key is not accepted"
		}) != nil
	})
	w.startWorkerWith("INNGEST_BASE_URL="+w.devURL, "INNGEST_SIGNING_KEY=signkey-test-00", "INNGEST_SIGNING_KEY_FALLBACK="+signingKey)
	w.do("created", "user.created", user(newID("user"), 10))
	if strings.Contains(stranger.output(), "signkey") {
		t.Errorf("want no key logged, got\n%s", stranger.output())
	}
	if stranger.find(func(l line) bool { return l.str("msg") == "worker connected" }) != nil {
		t.Error("want a worker with another key refused, it was connected")
	}
}
