package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// As the program has it.
const (
	port        = 3000
	webhookPath = "/api/webhooks/clerk"
	inngestPath = "/api/inngest"
)

// adapt turns the Caddyfile into what Caddy runs; a warning, as of its formatting, is a failure.
func adapt(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("Caddyfile: %v", w)
	}
	return config
}

// As compose.yaml runs it: with a name, whose certificate Caddy gets, and Docker's DNS.
func TestCaddyfileForCompose(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("SITE_ADDRESS", "sync.example.com")
	config := adapt(t)
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"listen":[":443"]`, `"host":["sync.example.com"]`, fmt.Sprintf(`{"name":"clerksync","port":"%d",`, port)} {
		if !strings.Contains(string(config), want) {
			t.Errorf("want %s, got %s", want, config)
		}
	}
}

// The whole file but for the name and the replicas: what gets through, and what becomes of a replica that is gone.
func TestCaddyfileLetsTheWebhookThrough(t *testing.T) {
	type request struct{ method, target, body, signature string }
	var got atomic.Pointer[request]
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got.Store(&request{r.Method, r.RequestURI, string(body), r.Header.Get("Svix-Signature")})
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer replica.Close()
	gone := freeAddress(t)
	front := freeAddress(t)
	replicas := filepath.Join(t.TempDir(), "replicas")
	if err := os.WriteFile(replicas, []byte("to "+gone+" "+replica.Listener.Addr().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("SITE_ADDRESS", "http://"+front)
	t.Setenv("REPLICAS", replicas)
	if err := caddy.Load(adapt(t), true); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}()

	// Several, so that some are first sent to the replica that is gone. Its answer comes back as it is.
	for range 10 {
		got.Store(nil)
		status, header := send(t, front, http.MethodPost, webhookPath)
		if want := (request{http.MethodPost, webhookPath, "body", "v1,x"}); got.Load() == nil || *got.Load() != want {
			t.Errorf("want %+v at the replica, got %+v", want, got.Load())
		}
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "5" {
			t.Errorf("want the replica's answer, got %d %v", status, header)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		for _, path := range []string{
			"/", inngestPath, inngestPath + "?fnId=x", "/metrics", "/readyz", "/healthz", "/debug/pprof", webhookPath + "/x", webhookPath + "x",
			webhookPath + "/../../metrics", webhookPath + "/%2e%2e/%2e%2e/inngest", webhookPath + "/..;/inngest", "//api/inngest", "/api%2finngest",
			"/api/webhooks/../inngest", webhookPath,
		} {
			if path == webhookPath && method == http.MethodPost {
				continue
			}
			got.Store(nil)
			if status, _ := send(t, front, method, path); status != http.StatusNotFound || got.Load() != nil {
				t.Errorf("%s %s: want 404 from the proxy, got %d; at the replica: %+v", method, path, status, got.Load())
			}
		}
	}
}

// send writes the request line itself: a client would clean the path.
func send(t *testing.T, addr, method, target string) (int, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nSvix-Signature: v1,x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody", method, target, addr)
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	var status int
	if _, err := fmt.Sscanf(lines[0], "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("want an answer, got %q", text)
	}
	header := http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return status, header
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
