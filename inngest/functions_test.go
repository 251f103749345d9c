package inngest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/inngest/inngestgo"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/glowup-app/clerksync/clerk"
)

// fakeUsers is a store that does what the test says.
type fakeUsers struct {
	keep  func(ctx context.Context, l clerk.DeadLetter) error
	close func(ctx context.Context, eventID string) error
	sweep func(ctx context.Context) (int64, error)
	apply func(ctx context.Context, c clerk.Change) (clerk.Outcome, error)
	del   func(ctx context.Context, id string, v clerk.Version) (clerk.Outcome, error)
}

func (f fakeUsers) Apply(ctx context.Context, c clerk.Change) (clerk.Outcome, error) {
	return f.apply(ctx, c)
}

func (f fakeUsers) Delete(ctx context.Context, id string, v clerk.Version) (clerk.Outcome, error) {
	return f.del(ctx, id, v)
}

func (f fakeUsers) KeepDeadLetter(ctx context.Context, l clerk.DeadLetter) error {
	return f.keep(ctx, l)
}

func (f fakeUsers) CloseDeadLetter(ctx context.Context, eventID string) error {
	return f.close(ctx, eventID)
}

func (f fakeUsers) Sweep(ctx context.Context) (int64, error) { return f.sweep(ctx) }

const signingKey = "signkey-test-0123456789abcdef"

// result is what Inngest sees of a run.
type result struct {
	Status  int
	NoRetry bool
	Body    string
}

// invoke runs a function as Inngest does: https://github.com/inngest/inngest/blob/main/docs/SDK_SPEC.md, 4.4.
func invoke(t *testing.T, f *Functions, function, event string, header http.Header) result {
	t.Helper()
	body := `{"event":` + event + `,"events":[` + event + `],"steps":{},"ctx":{"run_id":"run_1","attempt":2,` +
		`"fn_id":"8d1e4a3c-8f2b-4b71-9a6e-0f4a8f5b6c7d","stack":{"stack":[],"current":0}}}`
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path+"?fnId=glowup-app-"+function+"&stepId=step", strings.NewReader(body))
	maps.Copy(req.Header, header)
	if header == nil {
		sig, err := inngestgo.Sign(t.Context(), time.Now(), []byte(signingKey), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Inngest-Signature", sig)
	}
	rec := httptest.NewRecorder()
	f.Handler().ServeHTTP(rec, req)
	return result{rec.Code, rec.Header().Get("X-Inngest-No-Retry") == "true", strings.TrimSpace(rec.Body.String())}
}

func newFunctions(t *testing.T, users Users, o Options) *Functions {
	t.Helper()
	o.SigningKey = signingKey
	f, err := NewFunctions(users, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFunctionsPassOnWhatTheEventSays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, function, event string
		want                  clerk.Change
	}{
		{
			"a created user, whole", SyncUser,
			`{"id":"msg_1","name":"clerk/user.created","ts":5,"data":{"id":"user_1","updated_at":7,"first_name":"Ann","last_name":null,
			  "email_addresses":[{"id":"e1","email_address":"ann@example.com"}],"image_url":""}}`,
			clerk.Change{
				UserID: "user_1", Version: clerk.Version{At: 7, TS: 5, EventID: "msg_1"}, FirstName: clerk.Some("Ann"),
				LastName: clerk.Null[string](), Email: clerk.Some("ann@example.com"), ProfilePicture: clerk.Null[string](),
			},
		},
		{
			"an updated user, partial, without updated_at", UpdateUser,
			`{"id":"msg_2","name":"clerk/user.updated","ts":1700000000123,"data":{"id":"user_1","first_name":"Anna"}}`,
			clerk.Change{
				UserID: "user_1", Version: clerk.Version{At: 1700000000123, TS: 1700000000123, EventID: "msg_2"},
				FirstName: clerk.Some("Anna"),
			},
		},
		{
			"an event that did not come through the bridge", UpdateUser,
			`{"name":"clerk/user.updated","ts":9,"data":{"id":"user_1"}}`,
			clerk.Change{UserID: "user_1", Version: clerk.Version{At: 9, TS: 9}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got clerk.Change
			f := newFunctions(t, fakeUsers{apply: func(_ context.Context, c clerk.Change) (clerk.Outcome, error) {
				got = c
				return clerk.Updated, nil
			}}, Options{})
			if d := cmp.Diff(result{200, false, `"updated"`}, invoke(t, f, tt.function, tt.event, nil)); d != "" {
				t.Errorf("answer (-want +got)\n%s", d)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(clerk.Optional[string]{})); d != "" {
				t.Errorf("change (-want +got)\n%s", d)
			}
		})
	}
	t.Run("a deleted user", func(t *testing.T) {
		t.Parallel()
		f := newFunctions(t, fakeUsers{del: func(_ context.Context, id string, v clerk.Version) (clerk.Outcome, error) {
			if want := (clerk.Version{At: 5, TS: 5, EventID: "msg_1"}); id != "user_1" || want != v {
				t.Errorf("want user_1 %v, got %s %v", want, id, v)
			}
			return clerk.Deleted, nil
		}}, Options{})
		got := invoke(t, f, DeleteUser, `{"id":"msg_1","name":"clerk/user.deleted","ts":5,"data":{"id":"user_1","deleted":true,"object":"user"}}`, nil)
		if d := cmp.Diff(result{200, false, `"deleted"`}, got); d != "" {
			t.Errorf("answer (-want +got)\n%s", d)
		}
	})
}

func TestFunctionsFail(t *testing.T) {
	t.Parallel()
	errAway := errors.New("the database is away")
	good := `{"id":"msg_1","name":"clerk/user.created","ts":5,"data":{"id":"user_1","first_name":"canary"}}`
	for _, tt := range []struct {
		name, event string
		do          func(context.Context) error
		want        result
	}{
		{
			"what can pass is retried", good, func(context.Context) error { return errAway },
			result{500, false, `{"message":"sync user_1: the database is away"}`},
		},
		{
			"a panic is an error, without its value", good, func(context.Context) error { panic("canary") },
			result{500, false, `{"message":"run panicked"}`},
		},
		{
			"a run has an end", good, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			},
			result{500, false, `{"message":"sync user_1: run timed out: context deadline exceeded"}`},
		},
		{
			"no user id is never retried", `{"name":"clerk/user.created","data":{"first_name":"canary"}}`, nil,
			result{500, true, `{"message":"read event: data.id: want non-empty string, got nothing"}`},
		},
		{
			"a wrong type is never retried", `{"name":"clerk/user.created","data":{"id":"user_1","first_name":["canary"]}}`, nil,
			result{500, true, `{"message":"read event: data.first_name: want string, got array"}`},
		},
		{
			"no data is never retried", `{"name":"clerk/user.created"}`, nil,
			result{500, true, `{"message":"read event: data: want object, got null"}`},
		},
		{
			"null data is never retried", `{"name":"clerk/user.created","data":null}`, nil,
			result{500, true, `{"message":"read event: data: want object, got null"}`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			f := newFunctions(t, fakeUsers{apply: func(ctx context.Context, _ clerk.Change) (clerk.Outcome, error) {
				return "", tt.do(ctx)
			}}, Options{RunTimeout: 20 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			got := invoke(t, f, SyncUser, tt.event, nil)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("answer (-want +got)\n%s", d)
			}
			if strings.Contains(log.String(), "canary") {
				t.Errorf("want no payload in the log, got %s", &log)
			}
		})
	}
}

func TestCloudModeRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	f := newFunctions(t, fakeUsers{}, Options{}) // a call of the store would panic
	event := `{"name":"clerk/user.created","data":{"id":"user_1"}}`
	stale, err := inngestgo.Sign(t.Context(), time.Now().Add(-time.Hour), []byte(signingKey), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]http.Header{
		"no signature":        {},
		"garbage":             {"X-Inngest-Signature": {"garbage"}},
		"an old signature":    {"X-Inngest-Signature": {stale}},
		"an empty one":        {"X-Inngest-Signature": {"t=1&s="}},
		"that of another key": {"X-Inngest-Signature": {"t=99999999999&s=00"}},
	} {
		if want, got := http.StatusUnauthorized, invoke(t, f, SyncUser, event, header).Status; want != got {
			t.Errorf("invoke with %s: want %d, got %d", name, want, got)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		rec := httptest.NewRecorder()
		f.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, Path, strings.NewReader(`{}`)))
		if want, got := http.StatusUnauthorized, rec.Code; want != got {
			t.Errorf("%s: want %d, got %d", method, want, got)
		}
	}
}

// registration is what Inngest learns of a function when the app syncs.
type registration struct {
	ID       string `json:"id"`
	Triggers []struct {
		Event      string `json:"event"`
		Cron       string `json:"cron"`
		Expression string `json:"expression"`
	} `json:"triggers"`
	Concurrency any `json:"concurrency"`
	Singleton   struct {
		Mode string `json:"mode"`
	} `json:"singleton"`
	Steps struct {
		Step struct {
			Retries struct {
				Attempts int `json:"attempts"`
			} `json:"retries"`
			Runtime struct {
				URL string `json:"url"`
			} `json:"runtime"`
		} `json:"step"`
	} `json:"steps"`
}

// register lets a Dev Server of the test's register the app, and returns what it was told.
func register(t *testing.T, o Options) map[string]registration {
	t.Helper()
	all := map[string]registration{}
	for _, raw := range registerRaw(t, o) {
		var fn registration
		if err := json.Unmarshal(raw, &fn); err != nil {
			t.Fatal(err)
		}
		all[fn.ID] = fn
	}
	return all
}

func registerRaw(t *testing.T, o Options) []json.RawMessage {
	t.Helper()
	var got struct {
		Functions []json.RawMessage `json:"functions"`
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := "/fn/register"; want != r.URL.Path {
			t.Errorf("path: want %q, got %q", want, r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		// No body: inngestgo would not close it, and goleak would see its connection.
	}))
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections() // inngestgo syncs with the default client
	o.Dev, o.BaseURL = true, server.URL
	f, err := NewFunctions(fakeUsers{}, o)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	f.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://app.example.com"+Path, nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("sync: want 200, got %d %s", rec.Code, rec.Body)
	}
	return got.Functions
}

func TestRegistration(t *testing.T) {
	perUser := map[string]any{"limit": 1.0, "key": "event.data.id", "scope": "Env"}
	all := register(t, Options{Retries: 7, Concurrency: 5})
	for id, event := range map[string]string{
		"glowup-app-sync-user-from-clerk":   "clerk/user.created",
		"glowup-app-update-user-from-clerk": "clerk/user.updated",
		"glowup-app-delete-user-with-clerk": "clerk/user.deleted",
	} {
		fn, ok := all[id]
		if !ok {
			t.Errorf("want a function %s, there is none", id)
			continue
		}
		if len(fn.Triggers) != 1 || fn.Triggers[0].Event != event {
			t.Errorf("triggers of %s: want %s, got %v", id, event, fn.Triggers)
		}
		if want, got := 7, fn.Steps.Step.Retries.Attempts; want != got {
			t.Errorf("attempts of %s: want %d, got %d", id, want, got)
		}
		if want, got := "http://app.example.com"+Path+"?fnId="+id+"&step=step", fn.Steps.Step.Runtime.URL; want != got {
			t.Errorf("URL of %s: want %s, got %s", id, want, got)
		}
		limits := map[string]any{"step": []any{perUser, map[string]any{"limit": 5.0, "scope": "Fn"}}}
		if d := cmp.Diff(limits, withoutHashes(fn.Concurrency)); d != "" {
			t.Errorf("concurrency of %s (-want +got)\n%s", id, d)
		}
	}
	if want, got := 5, len(all); want != got {
		t.Errorf("functions: want %d, got %d", want, got)
	}
	letters := all["glowup-app-keep-dead-letters"]
	var events []string
	for _, trigger := range letters.Triggers {
		events = append(events, trigger.Event)
		for _, id := range []string{SyncUser, UpdateUser, DeleteUser} {
			if want := `event.data.function_id == "glowup-app-` + id + `"`; !strings.Contains(trigger.Expression, want) {
				t.Errorf("want dead letters of %s kept, the trigger is %s", id, trigger.Expression)
			}
		}
	}
	if d := cmp.Diff([]string{"inngest/function.failed", "inngest/function.cancelled"}, events); d != "" {
		t.Errorf("triggers of dead letters (-want +got)\n%s", d)
	}
	if want, got := 20, letters.Steps.Step.Retries.Attempts; want != got {
		t.Errorf("attempts of dead letters: want %d, got %d", want, got)
	}
}

// withoutHashes drops what inngestgo leaves empty for Inngest to fill in.
func withoutHashes(x any) any {
	switch x := x.(type) {
	case map[string]any:
		delete(x, "hash")
		for _, v := range x {
			withoutHashes(v)
		}
	case []any:
		for _, v := range x {
			withoutHashes(v)
		}
	}
	return x
}

func TestPublicURL(t *testing.T) {
	u, err := url.Parse("https://sync.example.com/behind/")
	if err != nil {
		t.Fatal(err)
	}
	id := "other-app-" + SyncUser
	got := register(t, Options{AppID: "other-app", PublicURL: u})[id].Steps.Step.Runtime.URL
	if want := "https://sync.example.com/behind/api/inngest?fnId=" + id + "&step=step"; want != got {
		t.Errorf("want %s, got %s", want, got)
	}
}

func TestRunsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	metrics := prometheus.NewRegistry()
	f := newFunctions(t, fakeUsers{apply: func(context.Context, clerk.Change) (clerk.Outcome, error) {
		return clerk.Stale, nil
	}}, Options{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Registerer: metrics})
	invoke(t, f, UpdateUser, `{"id":"msg_1","name":"clerk/user.updated","ts":5,"data":{"id":"user_1","first_name":"canary"}}`, nil)
	want := `
# HELP clerksync_function_runs_total Runs by function and outcome (error: will be retried, failed: will not).
# TYPE clerksync_function_runs_total counter
clerksync_function_runs_total{function="update-user-from-clerk",outcome="stale"} 1
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "clerksync_function_runs_total"); err != nil {
		t.Error(err)
	}
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("want one line, got %s: %v", &log, err)
	}
	delete(line, "time")
	delete(line, "duration")
	if d := cmp.Diff(map[string]any{
		"level": "INFO", "msg": "function finished", "function": "update-user-from-clerk", "event_id": "msg_1",
		"event": "clerk/user.updated", "user_id": "user_1", "run_id": "run_1", "attempt": 2.0, "outcome": "stale",
	}, line); d != "" {
		t.Errorf("log line (-want +got)\n%s", d)
	}
}

// Inngest's signature does not cover the function's id: what is signed for one must not work on another.
func TestFunctionsTakeTheirOwnEvents(t *testing.T) {
	t.Parallel()
	for event, ours := range map[string]bool{"clerk/user.deleted": true, "inngest/function.invoked": true, "clerk/user.updated": false, "": false} {
		f := newFunctions(t, fakeUsers{del: func(context.Context, string, clerk.Version) (clerk.Outcome, error) {
			return clerk.Deleted, nil
		}}, Options{})
		got := invoke(t, f, DeleteUser, fmt.Sprintf(`{"id":"msg_1","name":%q,"ts":5,"data":{"id":"user_1"}}`, event), nil)
		if want := (result{200, false, `"deleted"`}); ours && want != got {
			t.Errorf("event %q: want %+v, got %+v", event, want, got)
		}
		if !ours && (got.Status == 200 || !got.NoRetry) {
			t.Errorf("event %q: want it refused for good, got %+v", event, got)
		}
	}
}
