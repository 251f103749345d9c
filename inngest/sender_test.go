package inngest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// eventAPI stands in for Inngest's event API where the real one can't be made to misbehave. Its good answer is
// the documented one: https://www.inngest.com/docs/events/sending-events (status 200, ids in order).
func eventAPI(t *testing.T, handle http.HandlerFunc) *Sender {
	t.Helper()
	server := httptest.NewServer(handle)
	s := NewSender(Options{BaseURL: server.URL, EventKey: "canary-key"})
	t.Cleanup(func() {
		s.Close()
		server.Close()
	})
	return s
}

func event() clerk.Event {
	return clerk.Event{ID: "msg_1", Name: clerk.UserCreated, Data: json.RawMessage(`{"id":"user_1","n":1.50,"b":"<é>"}`), TS: 1700000000000}
}

func TestSendHandsTheEventOver(t *testing.T) {
	t.Parallel()
	var path string
	var body []byte
	s := eventAPI(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"ids":["01H"],"status":200}`)
	})
	if err := s.Send(t.Context(), event())(); err != nil {
		t.Fatal(err)
	}
	if want := "/e/canary-key"; want != path {
		t.Errorf("path: want %q, got %q", want, path)
	}
	var got []clerk.Event
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]clerk.Event{event()}, got); d != "" {
		t.Errorf("events (-want +got)\n%s", d)
	}
}

func TestSendLeavesOutNoTimestamp(t *testing.T) {
	t.Parallel()
	var body []byte
	s := eventAPI(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"ids":["01H"]}`)
	})
	e := event()
	e.TS = 0
	if err := s.Send(t.Context(), e)(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), `"ts"`) {
		t.Errorf("want no ts, got %s", body)
	}
}

func TestSendAcceptsNothingElse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		header http.Header
		tries  int32 // an answer that can change is asked for again
	}{
		{"bad request", 400, `{"error":"bad"}`, nil, 1},
		{"wrong key", 401, `{"error":"event key canary-key not found"}`, nil, 1},
		{"not found", 404, ``, nil, 1},
		{"too many requests", 429, ``, nil, sendTries},
		{"server error", 500, ``, nil, sendTries},
		{"unavailable", 503, `{"ids":["01H"]}`, nil, sendTries},
		{"another success", 202, `{"ids":["01H"]}`, nil, 1},
		{"no content", 204, ``, nil, 1},
		{"no ids", 200, `{"status":200}`, nil, 1},
		{"empty ids", 200, `{"ids":[],"status":200}`, nil, 1},
		{"an empty id", 200, `{"ids":[""],"status":200}`, nil, 1},
		{"garbage", 200, `<html>welcome</html>`, nil, 1},
		{"a cut-off answer", 200, `{"ids":["01H"`, nil, 1},
		{"an answer without end", 200, `{"ids":["` + strings.Repeat("x", 2*maxAnswerBytes) + `"]}`, nil, 1},
		{"a redirect", 307, ``, http.Header{"Location": {"/elsewhere"}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			s := eventAPI(t, func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				maps.Copy(w.Header(), tt.header)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			err := s.Send(t.Context(), event())()
			if !errors.Is(err, ErrRefused) {
				t.Errorf("want %v, got %v", ErrRefused, err)
			}
			if want, got := tt.tries, tries.Load(); want != got {
				t.Errorf("tries: want %d, got %d", want, got)
			}
		})
	}
}

// What came of the answer says that Inngest has the event, but who knows what it was going to say.
func TestSendRefusesACutAnswer(t *testing.T) {
	t.Parallel()
	s := eventAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "99")
		_, _ = io.WriteString(w, `{"ids":["01H"]}`)
	})
	if err := s.Send(t.Context(), event())(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("want %v, got %v", io.ErrUnexpectedEOF, err)
	}
}

func TestSendErrorsHideTheKey(t *testing.T) {
	t.Parallel()
	for name, base := range map[string]string{
		"nobody listens": "http://127.0.0.1:1",
		"no such host":   "http://host.invalid",
	} {
		s := NewSender(Options{BaseURL: base, EventKey: "canary-key"})
		err := s.Send(t.Context(), event())()
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: want an error without the event key, got %v", name, err)
		}
	}
}

func TestSendRecovers(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	s := eventAPI(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if tries.Add(1) < sendTries {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		if !strings.Contains(string(body), "user_1") {
			t.Errorf("want the whole event at the last try, too, got %s", body)
		}
		_, _ = io.WriteString(w, `{"ids":["01H"]}`)
	})
	if err := s.Send(t.Context(), event())(); err != nil {
		t.Fatal(err)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	errLeft := errors.New("the client has left")
	for name, handle := range map[string]func(w http.ResponseWriter, left <-chan struct{}){
		"while inngest says nothing": func(_ http.ResponseWriter, left <-chan struct{}) { <-left },
		"in the middle of an answer": func(w http.ResponseWriter, left <-chan struct{}) {
			_, _ = io.WriteString(w, `{"ids":`)
			w.(http.Flusher).Flush()
			<-left
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			s := eventAPI(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(arrived)
				handle(w, r.Context().Done())
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			result := make(chan error, 1)
			go func() { result <- s.Send(ctx, event())() }()
			<-arrived
			cancel(errLeft)
			select {
			case err := <-result:
				if !errors.Is(err, errLeft) {
					t.Errorf("want %v, got %v", errLeft, err)
				}
			case <-time.After(5 * time.Second):
				t.Error("want Send to end with its context, it goes on")
			}
		})
	}
}
