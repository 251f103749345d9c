package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

const (
	path    = "/api/webhooks/clerk"
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdA=="
	foreign = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="
)

// The texts that callers see. They are fixed: nothing of a request, and nothing of ours, is in them.
const (
	textTooLarge    = "the body is over the limit: Clerk's webhooks are smaller, check what is posted here"
	textTooSlow     = "the body came too slowly: send it again"
	textUnreadable  = "the body could not be read: send it again"
	textUnverified  = "the signature is missing, wrong or older than 5 minutes: check the endpoint's signing secret and both clocks"
	textMalformed   = `the body is no Clerk envelope: it needs a non-empty string "type" and an object "data"`
	textOverloaded  = "too many requests at once: send it again later"
	textNotAccepted = "the event queue did not accept the event: send it again later"
)

// sender is a queue that does what send says, or takes everything, and remembers what came.
type sender struct {
	send func(ctx context.Context, e clerk.Event) error

	mu     sync.Mutex
	events []clerk.Event
}

func (s *sender) Send(ctx context.Context, e clerk.Event) func() error {
	e.Data = bytes.Clone(e.Data)
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	return func() error {
		if s.send == nil {
			return nil
		}
		return s.send(ctx, e)
	}
}

func (s *sender) sent() []clerk.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]clerk.Event{}, s.events...)
}

// logs is what was logged, a JSON object a line.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are without the two values that differ from run to run, which must be there.
func (l *logs) lines(t testing.TB) []map[string]any {
	t.Helper()
	lines := []map[string]any{}
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"time", "duration"} {
			if _, ok := line[key]; !ok {
				t.Errorf("want %s in the log line, got %s", key, text)
			}
			delete(line, key)
		}
		lines = append(lines, line)
	}
	return lines
}

// bridge is a handler and its neighbours.
type bridge struct {
	*sender
	handler http.Handler
	logs    *logs
	metrics *prometheus.Registry
	handled chan struct{} // gets one for each request that is answered, or left without an answer
}

// setup makes a bridge of two secrets. The options' logger and registerer are the test's.
func setup(t testing.TB, o webhook.Options, send func(ctx context.Context, e clerk.Event) error) *bridge {
	t.Helper()
	b := &bridge{sender: &sender{send: send}, logs: &logs{}, metrics: prometheus.NewRegistry(), handled: make(chan struct{}, 1<<13)}
	o.Logger, o.Registerer = slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), b.metrics
	h, err := webhook.New([]string{secret, secret2}, b.sender, o)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			defer func() {
				if recover() != nil { // as cmd/clerksync does it
					err = echo.NewHTTPError(http.StatusInternalServerError, "panicked")
				}
				b.handled <- struct{}{}
			}()
			c.Response().Header().Set(echo.HeaderXRequestID, "request-1")
			return next(c)
		}
	})
	e.POST(path, h.Handle)
	b.handler = e
	return b
}

// route is a bridge's handler and nothing else.
func route(h *webhook.Handler) http.Handler {
	e := echo.New()
	e.POST(path, h.Handle)
	return e
}

// serve is the bridge's URL on a real server.
func (b *bridge) serve(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(b.handler)
	t.Cleanup(s.Close)
	return s.URL + path
}

// sign is its own reading of https://docs.svix.com/receiving/verifying-payloads/how-manual, not the library's.
func sign(secret, id string, ts int64, body string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+strconv.FormatInt(ts, 10)+"."+body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// headers are those of a webhook that was sent now, in the spelling with that prefix.
func headers(prefix, secret, id, body string) http.Header {
	ts := time.Now().Unix()
	h := http.Header{}
	h.Set(prefix+"id", id)
	h.Set(prefix+"timestamp", strconv.FormatInt(ts, 10))
	h.Set(prefix+"signature", sign(secret, id, ts, body))
	return h
}

func signed(id, body string) http.Header { return headers("svix-", secret, id, body) }

// answer is what a caller sees.
type answer struct {
	Status     int
	Body       string
	RetryAfter string
}

func ok(id string) answer { return answer{Status: http.StatusOK, Body: `{"id":"` + id + `"}`} }

func refused(status int, text string) answer {
	body, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		panic(err)
	}
	a := answer{Status: status, Body: string(body)}
	if status == http.StatusServiceUnavailable {
		a.RetryAfter = "5"
	}
	return a
}

func readAnswer(t testing.TB, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	if want, got := "application/json", resp.Header.Get("Content-Type"); got != want {
		t.Errorf("content type: want %q, got %q", want, got)
	}
	return answer{resp.StatusCode, strings.TrimSuffix(string(text), "\n"), resp.Header.Get("Retry-After")}
}

// post sends a webhook to a real server. A body that is no *strings.Reader goes in chunks.
func post(t testing.TB, url string, h http.Header, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, resp)
}

// call hands a webhook to the handler without a network, for tests whose time is not real.
func (b *bridge) call(t testing.TB, h http.Header, body string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header = h
	rec := httptest.NewRecorder()
	b.handler.ServeHTTP(rec, req)
	return readAnswer(t, rec.Result())
}

func check(t testing.TB, want, got answer) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
}

// envelope is the least body that is forwarded.
func envelope(userID string) string { return `{"type":"user.updated","data":{"id":"` + userID + `"}}` }

// sized is an envelope of that many bytes.
func sized(n int) string { return envelope("user_1") + strings.Repeat(" ", n-len(envelope("user_1"))) }

// chunked hides a body's length.
func chunked(body string) io.Reader { return io.MultiReader(strings.NewReader(body)) }

// testdata is one of the payloads of package clerk.
func testdata(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile("../clerk/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// until is a send that does not answer before its context is done.
func until(ctx context.Context, _ clerk.Event) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

var errQueue = errors.New("the queue is away")
