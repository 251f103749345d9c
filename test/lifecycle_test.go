package test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestServeNamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"PORT=canary", "CLERK_WEBHOOK_SECRET=canary", "FUNCTION_RETRIES=21", "LOG_LEVEL=canary"}, binary, "serve")
	if want, got := 1, p.wait(); want != got {
		t.Errorf("exit code: want %d, got %d", want, got)
	}
	out := p.output()
	for _, name := range []string{
		"PORT", "CLERK_WEBHOOK_SECRET", "DATABASE_URI", "INNGEST_API_KEY", "INNGEST_SIGNING_KEY", "FUNCTION_RETRIES", "LOG_LEVEL",
	} {
		if !strings.Contains(out, "\n  "+name+" is ") {
			t.Errorf("want %s named, got\n%s", name, out)
		}
	}
	if strings.Contains(out, "canary") {
		t.Errorf("want no values, got\n%s", out)
	}
}

func TestDatabaseAwayAtStart(t *testing.T) {
	t.Parallel()
	dbAddr := "127.0.0.1:" + freePort(t)
	w := newWorld(t, func(w *world) { w.dbURI = "mongodb://" + dbAddr + "/glowup?serverSelectionTimeoutMS=500" })
	waitFor(t, "readyz to name the database", func() bool {
		status, body := get(t, w.appURL+"/readyz")
		return status == 503 && strings.Contains(body, `"database"`)
	})
	id := newID("user")
	event := w.send("user.created", user(id, 10))
	waitFor(t, "a run that fails, and will be retried", func() bool {
		return w.app.find(func(l line) bool { return l.str("event_id") == event && l.str("outcome") == "error" }) != nil
	})
	w.startDatabase(dbAddr)
	if want, got := "created", w.outcome(event); want != got {
		t.Errorf("outcome: want %q, got %q", want, got)
	}
	waitFor(t, "readyz", func() bool {
		status, _ := get(t, w.appURL+"/readyz")
		return status == 200
	})
}

// Not parallel: it holds clerksync to the contract's 0.5 s, which the other tests' programs would use up.
func TestStopUnderLoad(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	acknowledged := map[string]bool{} // by user id
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := newID("user")
				h := webhook{id: newID("msg"), typ: "user.created", data: user(id, 10)}
				a, err := w.tryPost(h)
				if err != nil {
					return // it has stopped
				}
				if a.status == 200 {
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
				}
			}
		})
	}
	waitFor(t, "some webhooks", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged) >= 100
	})
	begin := time.Now()
	w.app.signal(syscall.SIGTERM)
	addr := strings.TrimPrefix(w.appURL, "http://")
	waitFor(t, "new connections to be refused", func() bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("want connections refused within the contract's 0.5 s, got it after %v", took)
	}
	if want, got := 0, w.app.wait(); want != got {
		t.Errorf("exit code: want %d, got %d:\n%s", want, got, w.app.output())
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("want an end within the contract's 15 s, got it after %v", took)
	}
	close(stop)
	senders.Wait()
	w.startApp() // the next one works on what this one took
	for id := range acknowledged {
		waitFor(t, fmt.Sprintf("the document of %s, whose webhook was acknowledged", id), func() bool { return w.doc(id) != nil })
	}
	t.Logf("%d webhooks acknowledged, all have their document", len(acknowledged))
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withoutInngest)
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(w.appURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "POST /api/webhooks/clerk HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	// The headers never end; the server must, whatever it says.
	buf := make([]byte, 1024)
	for {
		if _, err = conn.Read(buf); err != nil {
			break
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("want the connection closed by the server, it is open after %v", deadline)
	}
	if status, _ := get(t, w.appURL+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: want 200, got %d", status)
	}
}

// A newcomer copies .env.example and fills in what is empty.
func TestServeWithTheExampleOfDotEnv(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	w.startDatabase("127.0.0.1:0")
	port := freePort(t)
	filled := strings.NewReplacer("\n#PORT=3000\n", "\nPORT="+port+"\n", "\nCLERK_WEBHOOK_SECRET=\n", "\nCLERK_WEBHOOK_SECRET="+secret+"\n",
		"\nDATABASE_URI=\n", "\nDATABASE_URI='"+w.dbURI+"'\n", "\nINNGEST_API_KEY=\n", "\nINNGEST_API_KEY=your-event-key\n",
		"\nINNGEST_SIGNING_KEY=\n", "\nINNGEST_SIGNING_KEY=signkey-prod-0123456789abcdef\n").Replace(string(text))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	app := start(t, nil, "sh", "-c", `cd "$0" && exec "$1" serve`, dir, binary)
	app.listens("http://127.0.0.1:"+port+"/readyz", http.StatusOK)
}
