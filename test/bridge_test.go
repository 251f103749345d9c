package test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBridgeAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("CLERK_WEBHOOK_SECRET="+secret+","+otherSecret))
	good := []byte(`{"type":"session.created","timestamp":1700000000000,"data":{"id":"sess_1"}}`)
	padded := func(n int) []byte {
		return append(slices.Clip(good), bytes.Repeat([]byte(" "), n-len(good))...)
	}
	for _, tt := range []struct {
		name string
		hook webhook
		body []byte
		want int
	}{
		{"a signed webhook", webhook{}, good, 200},
		{"signed with the other secret, while it is rotated", webhook{secret: otherSecret}, good, 200},
		{"in the spelling of Standard Webhooks", webhook{prefix: "webhook"}, good, 200},
		{"of just under 1 MiB", webhook{}, padded(1 << 20), 200},
		{"over 1 MiB", webhook{}, padded(1<<20 + 1), 413},
		{"signed with a secret that is not ours", webhook{secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, good, 401},
		{"signed long ago", webhook{sentAfter: -6 * time.Minute}, good, 401},
		{"signed in the future", webhook{sentAfter: 6 * time.Minute}, good, 401},
		{"no JSON", webhook{}, []byte(`hello`), 400},
		{"no type", webhook{}, []byte(`{"data":{}}`), 400},
		{"an empty type", webhook{}, []byte(`{"type":"","data":{}}`), 400},
		{"data that is no object", webhook{}, []byte(`{"type":"user.created","data":[]}`), 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.hook.id = newID("msg")
			got, err := w.in(t).postBody(tt.hook, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != got.status {
				t.Errorf("want %d, got %+v", tt.want, got)
			}
			if tt.want == 200 {
				if d := cmp.Diff(`{"id":"`+tt.hook.id+`"}`, got.body); d != "" {
					t.Errorf("body (-want +got)\n%s", d)
				}
			} else if !strings.HasPrefix(got.body, `{"error":"`) {
				t.Errorf("want a JSON error, got %s", got.body)
			}
		})
	}
	for _, tt := range []struct {
		method, path string
		want         int
		body         string
	}{
		{"GET", "/", 200, "server is running"},
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/readyz", 200, `{"ready":true}`},
		{"GET", "/metrics", 200, "clerksync_store_conflicts_total"},
		{"GET", "/nope", 404, `{"error":"`},
		{"GET", "/api/webhooks/clerk", 405, `{"error":"`},
		{"DELETE", "/api/inngest", 405, `{"error":"`},
		{"POST", "/api/webhooks/clerk", 401, `{"error":"`},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, w.appURL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != resp.StatusCode || !strings.Contains(string(body), tt.body) {
				t.Errorf("want %d with %s, got %d %.200s", tt.want, tt.body, resp.StatusCode, body)
			}
		})
	}
}

// newFaults stands between clerksync and the Dev Server, and misbehaves as no Dev Server would: it passes on to
// target until a handler is set. down closes its port, up opens it again.
func newFaults(t *testing.T, target string) (baseURL string, set func(http.HandlerFunc), down, up func()) {
	t.Helper()
	port := freePort(t)
	current := make(chan http.HandlerFunc, 1)
	current <- passTo(t, target)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := <-current
		current <- h
		h(w, r)
	})
	var server *http.Server
	up = func() {
		t.Helper()
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		server = &http.Server{Handler: handler, ReadHeaderTimeout: deadline}
		go func() { _ = server.Serve(l) }()
	}
	down = func() { _ = server.Close() }
	set = func(h http.HandlerFunc) {
		<-current
		current <- h
	}
	up()
	t.Cleanup(func() { down() })
	return "http://127.0.0.1:" + port, set, down, up
}

func passTo(t *testing.T, target string) http.HandlerFunc {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // the Dev Server is not there yet
	return proxy.ServeHTTP
}

func TestInngestMisbehaves(t *testing.T) {
	t.Parallel()
	var set func(http.HandlerFunc)
	var down, up func()
	w := newWorld(t, func(w *world) {
		var base string
		base, set, down, up = newFaults(t, w.devURL)
		w.env = append(w.env, "INNGEST_DEV="+base)
	})
	status := func(code int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			if code/100 == 3 {
				rw.Header().Set("Location", w.devURL+"/e/x")
			}
			rw.WriteHeader(code)
			_, _ = io.WriteString(rw, body)
		}
	}
	const ids = `{"ids":["01J8TESTTESTTESTTESTTESTTE"],"status":200}` // what Inngest says when it has the event
	hooks := map[string]webhook{}
	for _, tt := range []struct {
		name string
		set  func()
	}{
		{"away", func() { down() }},
		{"answering 500", func() { up(); set(status(500, ids)) }},
		{"refusing", func() { set(status(401, ids)) }},
		{"redirecting", func() { set(status(307, ids)) }},
		{"answering 202", func() { set(status(202, ids)) }},
		{"answering garbage", func() { set(status(200, "<html>")) }},
		{"answering without ids", func() { set(status(200, `{"ids":[],"status":200}`)) }},
		{"cutting the connection", func() { set(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) }},
		{"hanging", func() {
			set(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})
		}},
	} {
		tt.set()
		id := newID("user")
		h := webhook{id: newID("msg"), typ: "user.created", data: user(id, 10)}
		hooks[id] = h
		start := time.Now()
		got := w.post(h)
		if want := 503; want != got.status || got.retryAfter == "" || !strings.HasPrefix(got.body, `{"error":"`) {
			t.Errorf("%s: want %d with Retry-After and a JSON error, got %+v", tt.name, want, got)
		}
		// The contract's own limit, not a measure of speed.
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: want an answer within 10 s, got it after %v", tt.name, took)
		}
	}
	set(passTo(t, w.devURL))
	for id, h := range hooks { // Svix redelivers, and now it works
		if got := w.post(h); got.status != 200 {
			t.Errorf("redelivery: want 200, got %+v", got)
		}
		if want, got := "created", w.outcome(h.id); want != got {
			t.Errorf("outcome: want %q, got %q", want, got)
		}
		if w.doc(id) == nil {
			t.Errorf("want a document of %s, there is none", id)
		}
	}
}

func TestCloudModeRefusesUnsignedCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.env = []string{
			"CLERK_WEBHOOK_SECRET=" + secret, "INNGEST_BASE_URL=" + w.devURL, "INNGEST_API_KEY=key",
			"INNGEST_SIGNING_KEY=signkey-test-0123456789abcdef",
		}
	}, withoutInngest)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, w.appURL+"/api/inngest?fnId=glowup-app-sync-user-from-clerk&stepId=step",
			strings.NewReader(`{"event":{"name":"clerk/user.created","data":{"id":"user_1"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := http.StatusUnauthorized; want != resp.StatusCode {
			t.Errorf("%s: want %d, got %d", method, want, resp.StatusCode)
		}
	}
	if w.doc("user_1") != nil {
		t.Error("want no document from an unsigned call")
	}
}
