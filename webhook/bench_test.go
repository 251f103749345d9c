package webhook

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

const benchSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func BenchmarkVerify(b *testing.B) {
	v, err := newVerifier([]string{benchSecret})
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range clerktest.Sizes {
		b.Run(clerktest.SizeName(size), func(b *testing.B) {
			r := newRepeated(b, size)
			b.SetBytes(int64(len(r.text)))
			b.ReportAllocs()
			for b.Loop() {
				s, ok := signedHeaders(r.request.Header)
				if !ok {
					b.Fatal("want signature headers, got none")
				}
				if err := v.verify(r.text, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHandler is the bridge without a network on either side: what a webhook costs here.
func BenchmarkHandler(b *testing.B) {
	for _, size := range clerktest.Sizes {
		b.Run(clerktest.SizeName(size), func(b *testing.B) {
			r := newRepeated(b, size)
			b.SetBytes(int64(len(r.text)))
			b.ReportAllocs()
			for b.Loop() {
				r.deliver(b)
			}
		})
	}
}

// instant takes every event at once.
type instant struct{}

func (instant) Send(context.Context, clerk.Event) func() error { return func() error { return nil } }

// repeated delivers one webhook to a bridge again and again, and allocates nothing for that itself.
type repeated struct {
	bridge  http.Handler
	text    []byte
	request *http.Request
	body    *bytes.Reader
	header  http.Header
	status  int
}

func newRepeated(t testing.TB, size int) *repeated {
	t.Helper()
	// As it is run in production, with metrics, but for the log.
	h, err := New([]string{benchSecret}, instant{}, Options{Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const path, id = "/api/webhooks/clerk", "msg_1"
	e := echo.New()
	e.POST(path, h.Handle)
	r := &repeated{bridge: e, text: []byte(clerktest.Webhook("user_1", time.Now().UnixMilli(), size)), header: http.Header{}}
	r.body = bytes.NewReader(r.text)
	wh, err := svix.NewWebhook(benchSecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := wh.Sign(id, now, r.text)
	if err != nil {
		t.Fatal(err)
	}
	if r.request, err = http.NewRequestWithContext(t.Context(), http.MethodPost, path, nil); err != nil {
		t.Fatal(err)
	}
	r.request.Header.Set("Svix-Id", id)
	r.request.Header.Set("Svix-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.request.Header.Set("Svix-Signature", signature)
	r.request.ContentLength = int64(len(r.text))
	r.request.Body = r
	return r
}

func (r *repeated) deliver(t testing.TB) {
	r.body.Reset(r.text)
	clear(r.header)
	r.status = 0
	r.bridge.ServeHTTP(r, r.request)
	if r.status != http.StatusOK {
		t.Fatalf("status: want 200, got %d", r.status)
	}
}

// Read and Close are the request's body.
func (r *repeated) Read(p []byte) (int, error) { return r.body.Read(p) }
func (r *repeated) Close() error               { return nil }

// The rest is the ResponseWriter, and that of net/http has a deadline to set.
func (r *repeated) Header() http.Header             { return r.header }
func (r *repeated) Write(p []byte) (int, error)     { return len(p), nil }
func (r *repeated) WriteHeader(status int)          { r.status = status }
func (r *repeated) SetReadDeadline(time.Time) error { return nil }
