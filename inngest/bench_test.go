package inngest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

// BenchmarkInvocation is one run through the serve handler, signed as in cloud mode, with a store that does nothing:
// what a run costs beside the database.
func BenchmarkInvocation(b *testing.B) {
	for _, size := range clerktest.Sizes {
		b.Run(clerktest.SizeName(size), func(b *testing.B) {
			applied := 0
			f, err := NewFunctions(fakeUsers{apply: func(context.Context, clerk.Change) (clerk.Outcome, error) {
				applied++
				return clerk.Updated, nil
			}}, Options{SigningKey: signingKey, Registerer: prometheus.NewRegistry()})
			if err != nil {
				b.Fatal(err)
			}
			handler, body := f.Handler(), invocation(b, size)
			signature, err := inngestgo.Sign(b.Context(), time.Now(), []byte(signingKey), body)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, Path+"?fnId=glowup-app-"+UpdateUser+"&stepId=step", bytes.NewReader(body))
				req.Header.Set(inngestgo.HeaderKeySignature, signature)
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, req)
				if rec.Code != http.StatusOK {
					text, _ := io.ReadAll(rec.Body)
					b.Fatalf("status: want 200, got %d: %s", rec.Code, text)
				}
			}
			if applied < b.N {
				b.Fatalf("runs that reached the store: want %d, got %d", b.N, applied)
			}
		})
	}
}

// invocation is the body of one about a user of that size. It holds the event twice, as Inngest sends it.
func invocation(t testing.TB, size int) []byte {
	t.Helper()
	event, err := json.Marshal(clerk.Event{
		ID: "msg_1", Name: clerk.UserUpdated, TS: 1763361000447, Data: json.RawMessage(clerktest.UserOfSize("user_1", 1763361000430, size)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"event":%s,"events":[%s],"steps":{},"ctx":{"run_id":"run_1","attempt":0,`+
		`"fn_id":"8d1e4a3c-8f2b-4b71-9a6e-0f4a8f5b6c7d","stack":{"stack":[],"current":0}}}`, event, event)
}
