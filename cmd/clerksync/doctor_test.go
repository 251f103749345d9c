package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/inngest"
	"github.com/glowup-app/clerksync/store"
)

const doctorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// ward is a world in cloud mode of which every part can be made ill: its answers stand under "METHOD path".
type ward struct {
	store   *store.Store
	clerk   *clerktest.Clerk
	server  *httptest.Server
	inngest *httptest.Server
	environ []string

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   []string
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{clerk: clerktest.New()}
	t.Cleanup(w.clerk.Close)
	w.store, w.environ = lettersStore(t)
	if err := w.store.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.server, w.inngest = httptest.NewServer(w), httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.inngest.Close)
	w.environ = append(w.environ, "CLERK_WEBHOOK_SECRET="+doctorSecret, "INNGEST_BASE_URL="+w.inngest.URL, "INNGEST_API_KEY=event-key",
		"INNGEST_SIGNING_KEY=signkey-test-00ff", "CLERK_SECRET_KEY="+clerktest.Key, "CLERK_API_URL="+w.clerk.URL)
	w.clerk.Put(clerktest.User{ID: "user_1", CreatedAt: time.Now().Add(-time.Hour).UnixMilli()})
	verifier, err := svix.NewWebhook(doctorSecret)
	if err != nil {
		t.Fatal(err)
	}
	w.answers = map[string]http.HandlerFunc{
		"POST /api/webhooks/clerk": func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || verifier.Verify(body, r.Header) != nil {
				answer(401, `{"error":"not signed"}`)(rw, r)
				return
			}
			var e struct{ Type string }
			if err := json.Unmarshal(body, &e); err != nil || "clerk/"+e.Type != clerk.Probe {
				t.Errorf("want nothing signed but a probe, got %s", body)
			}
			answer(200, fmt.Sprintf(`{"id":%q}`, r.Header.Get("Svix-Id")))(rw, r)
		},
		"GET /readyz":       answer(200, `{"ready":true}`),
		"GET /metrics":      answer(200, lastVerified(time.Minute)),
		"GET /api/inngest":  answer(200, serves("cloud", "glowup-app", 6, inngest.SDKVersion)),
		"POST /api/inngest": answer(401, `{"error":"not signed"}`),
		"GET /v2/health":    answer(200, `{}`),
		"GET /v2/apps/glowup-app": func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer signkey-test-00ff" {
				answer(401, `{}`)(rw, r)
				return
			}
			answer(200, `{"data":{"latestSync":{"status":"success","url":"https://sync.example.com/api/inngest"}}}`)(rw, r)
		},
		"GET /v2/apps/glowup-app/functions": answer(200, functionList(inngest.SyncUser, inngest.UpdateUser, inngest.DeleteUser, inngest.KeepDeadLetters, inngest.SweepExpired, inngest.ReconcileUsers)),
	}
	return w
}

func (w *ward) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	at := r.Method + " " + r.URL.Path
	w.mu.Lock()
	w.asked = append(w.asked, at)
	do := w.answers[at]
	w.mu.Unlock()
	if do == nil {
		do = answer(404, "")
	}
	do(rw, r)
}

func answer(status int, body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}
}

func lastVerified(ago time.Duration) string {
	at := time.Now().Add(-ago).Unix()
	return fmt.Sprintf("# HELP x\nclerksync_webhook_last_verified_timestamp_seconds_x 1\nclerksync_webhook_last_verified_timestamp_seconds %d\nprocess_start_time_seconds %d\n",
		at, time.Now().Add(-100*time.Hour).Unix())
}

func serves(mode, app string, functions int, sdk string) string {
	return fmt.Sprintf(`{"mode":%q,"app_id":%q,"function_count":%d,"sdk_version":%q}`, mode, app, functions, sdk)
}

func functionList(ids ...string) string {
	list := []map[string]any{}
	for _, id := range ids {
		list = append(list, map[string]any{"id": id, "triggers": []map[string]string{{"type": "EVENT", "value": "clerk/user.created"}}})
	}
	raw, _ := json.Marshal(map[string]any{"data": list})
	return string(raw)
}

// examine runs the command, and returns the results by name.
func (w *ward) examine(t *testing.T, environ ...string) (map[string]result, int) {
	t.Helper()
	got := call(t, append(slices.Clone(w.environ), environ...), "", "doctor", "--json", "--url", w.server.URL)
	var report reportJSON
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v in %s%s", err, got.stdout, got.stderr)
	}
	for _, secret := range []string{"MfKQ9r8", "event-key", "00ff", clerktest.Key, "canary"} {
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("want no secret, got %q in %s", secret, got.stdout)
		}
	}
	results := map[string]result{}
	for _, r := range report.Checks {
		results[r.Name] = r
	}
	return results, got.code
}

// healthy is what passes in a ward where nobody is ill; its database is not for production.
func TestDoctorFindsAHealthyWorld(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	results, code := w.examine(t)
	for name, r := range results {
		want := pass
		switch name {
		case "database":
			want = fail
		case "drift":
			want = skip
		}
		if want != r.State {
			t.Errorf("%s: want %s, got %+v", name, want, r)
		}
	}
	if code != 1 || len(results) != 19 {
		t.Errorf("want exit code 1 for the database and 19 checks, got %d and %d", code, len(results))
	}
}

func TestDoctorFindsWhatIsIll(t *testing.T) {
	t.Parallel()
	webhook := "POST /api/webhooks/clerk"
	for _, tt := range []struct {
		name    string
		environ []string
		at      string // whose answer is another one
		answer  http.HandlerFunc
		check   string
		state   state
		detail  string
		remedy  string
	}{
		{name: "a variable is missing", environ: []string{"CLERK_WEBHOOK_SECRET="}, check: "configuration", state: fail, detail: "CLERK_WEBHOOK_SECRET is missing: it should be whsec_", remedy: ".env"},
		{name: "two are malformed", environ: []string{"FUNCTION_RETRIES=canary", "LOG_LEVEL=canary"}, check: "configuration", state: fail, detail: "FUNCTION_RETRIES is malformed: it should be a number from 0 to 20; LOG_LEVEL is malformed", remedy: "serve --help"},
		{name: "without a secret nothing is signed", environ: []string{"CLERK_WEBHOOK_SECRET=canary"}, check: "webhook secret", state: skip, detail: "not configured"},
		{name: "where Inngest is must be known", environ: []string{"INNGEST_DEV=canary"}, check: "app", state: skip, detail: "not configured"},
		{name: "the server is not ready", at: "GET /readyz", answer: answer(503, `{"error":"not ready: database does not answer"}`), check: "server", state: fail, detail: "not ready: database", remedy: "log"},
		{name: "a proxy hides readyz", at: "GET /readyz", answer: answer(404, ""), check: "server", state: skip, detail: "status 404"},
		{name: "unsigned webhooks are taken", at: webhook, answer: answer(200, `{}`), check: "unsigned webhook", state: fail, detail: "answered 200, not 401", remedy: "proxy"},
		{name: "the secret is another one", at: webhook, answer: answer(401, `{"error":"no"}`), check: "webhook secret", state: fail, detail: "secret 1 of 1", remedy: "CLERK_WEBHOOK_SECRET"},
		{name: "one of two secrets is refused", environ: []string{"CLERK_WEBHOOK_SECRET=" + doctorSecret + ",whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}, check: "webhook secret", state: fail, detail: "secret 2 of 2", remedy: "CLERK_WEBHOOK_SECRET"},
		{name: "the answer has no id", at: webhook, answer: answer(200, `{"id":"canary"}`), check: "webhook secret", state: fail, detail: "the answer to a probe is not", remedy: "CLERK_WEBHOOK_SECRET"},
		{name: "Inngest does not take events", at: webhook, answer: answer(503, `{"error":"the event queue did not accept it"}`), check: "hand-over", state: fail, detail: "the event queue did not", remedy: "INNGEST_API_KEY"},
		{name: "a verified webhook proves the secret", at: webhook, answer: answer(503, `{"error":"the event queue did not accept it"}`), check: "webhook secret", state: pass, detail: "verified"},
		{name: "Inngest is broken", at: "GET /v2/health", answer: answer(502, "canary"), check: "inngest", state: fail, detail: "status 502", remedy: "INNGEST_BASE_URL"},
		{name: "Inngest does not know the app", at: "GET /v2/apps/glowup-app", answer: answer(404, `{"errors":[{"code":"not_found","message":"canary"}]}`), check: "app", state: fail, detail: "knows no app glowup-app", remedy: "sync"},
		{name: "Inngest has no such API", at: "GET /v2/apps/glowup-app", answer: answer(404, `404 page not found`), check: "app", state: skip, detail: "status 404"},
		{name: "Inngest's API is broken", at: "GET /v2/apps/glowup-app", answer: answer(200, `canary`), check: "app", state: skip, detail: "not what is documented"},
		{name: "the signing key is another one", environ: []string{"INNGEST_SIGNING_KEY=signkey-test-1111"}, check: "app", state: fail, detail: "INNGEST_SIGNING_KEY", remedy: "dashboard"},
		{name: "the app is archived", at: "GET /v2/apps/glowup-app", answer: answer(200, `{"data":{"isArchived":true}}`), check: "app", state: fail, detail: "archived", remedy: "sync"},
		{name: "the last sync went wrong", at: "GET /v2/apps/glowup-app", answer: answer(200, "{\"data\":{\"latestSync\":{\"error\":\"un\\u001b[2Jreachable\"}}}"), check: "app", state: fail, detail: "went wrong: un [2Jreachable", remedy: "sync"},
		{name: "the app is synced elsewhere", environ: []string{"PUBLIC_URL=https://other.example.com"}, check: "app", state: fail, detail: "at sync.example.com, and PUBLIC_URL is other.example.com", remedy: "sync"},
		{name: "PUBLIC_URL names the default port", environ: []string{"PUBLIC_URL=https://sync.example.com:443"}, check: "app", state: pass, detail: "synced, at sync.example.com"},
		{name: "it is not said where", at: "GET /v2/apps/glowup-app", answer: answer(200, `{"data":{}}`), check: "app", state: skip, detail: "where it finds"},
		{name: "a function is missing", at: "GET /v2/apps/glowup-app/functions", answer: answer(200, functionList(inngest.SyncUser, inngest.UpdateUser, inngest.KeepDeadLetters, inngest.SweepExpired, inngest.ReconcileUsers)), check: "functions", state: fail, detail: "not registered: delete-user-with-clerk", remedy: "sync"},
		{name: "there are none", at: "GET /v2/apps/glowup-app/functions", answer: answer(200, `{"metadata":{}}`), check: "functions", state: fail, detail: "not registered: sync-user-from-clerk, update", remedy: "sync"},
		{name: "a function is left from before", at: "GET /v2/apps/glowup-app/functions", answer: answer(200, functionList(inngest.SyncUser, inngest.UpdateUser, inngest.DeleteUser, inngest.KeepDeadLetters, inngest.SweepExpired, inngest.ReconcileUsers, "old")), check: "functions", state: fail, detail: "not of this build: old", remedy: "sync"},
		{name: "a function is paused", at: "GET /v2/apps/glowup-app/functions", answer: answer(200, strings.Replace(functionList(inngest.SyncUser, inngest.UpdateUser, inngest.DeleteUser, inngest.KeepDeadLetters, inngest.SweepExpired, inngest.ReconcileUsers), `{"id"`, `{"isPaused":true,"id"`, 1)), check: "functions", state: fail, detail: "paused: sync-user-from-clerk", remedy: "resume"},
		{name: "a function acts on the probe", at: "GET /v2/apps/glowup-app/functions", answer: answer(200, strings.Replace(functionList(inngest.SyncUser), "user.created", "*", 1)), check: "functions", state: fail, detail: "acts on clerk/clerksync.probe", remedy: "trigger"},
		{name: "the server is in dev mode", at: "GET /api/inngest", answer: answer(200, serves("dev", "glowup-app", 6, inngest.SDKVersion)), check: "mode", state: fail, detail: "the server is in dev mode", remedy: "INNGEST_"},
		{name: "the server takes what nobody signed", at: "GET /api/inngest", answer: answer(200, serves("dev", "glowup-app", 6, inngest.SDKVersion)), check: "signing key", state: fail, detail: "takes what nobody signed", remedy: "INNGEST_DEV"},
		{name: "the server has another signing key", at: "GET /api/inngest", answer: answer(401, ""), check: "mode", state: fail, detail: "another one, or its clock", remedy: "INNGEST_"},
		{name: "the server is another app", at: "GET /api/inngest", answer: answer(200, serves("cloud", "other", 6, inngest.SDKVersion)), check: "mode", state: fail, detail: "the app other, not glowup-app", remedy: "INNGEST_"},
		{name: "the server has another number of functions", at: "GET /api/inngest", answer: answer(200, serves("cloud", "glowup-app", 5, inngest.SDKVersion)), check: "mode", state: fail, detail: "5 functions, not 6", remedy: "build"},
		{name: "the server is of another build", at: "GET /api/inngest", answer: answer(200, serves("cloud", "glowup-app", 6, "0.1.0")), check: "versions", state: fail, detail: "the server has inngestgo 0.1.0", remedy: "build"},
		{name: "an unsigned invocation is taken", at: "POST /api/inngest", answer: answer(206, ""), check: "signing key", state: fail, detail: "answered 206", remedy: "write any user"},
		{name: "no database is named", environ: []string{"DATABASE_URI="}, check: "database", state: skip, detail: "not configured"},
		{name: "the database is away", environ: []string{"DATABASE_URI=mongodb://user:canary@127.0.0.1:1/x?serverSelectionTimeoutMS=50"}, check: "database", state: fail, detail: "read server version", remedy: "DATABASE_URI"},
		{name: "what rests on the database", environ: []string{"DATABASE_URI=mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=50"}, check: "indexes", state: skip, detail: "does not answer"},
		{name: "indexes are missing", environ: []string{"USERS_COLLECTION=others"}, check: "indexes", state: fail, detail: "others has no unique index on username; others_dead_letters has no index on user_id", remedy: "serve"},
		{name: "Clerk refuses the key", environ: []string{"CLERK_SECRET_KEY=sk_live_other"}, check: "clerk", state: fail, detail: "does not accept CLERK_SECRET_KEY", remedy: "dashboard"},
		{name: "Clerk is away", environ: []string{"CLERK_API_URL=http://127.0.0.1:1"}, check: "clerk", state: fail, detail: "refused", remedy: "status.clerk.com"},
		{name: "no key of Clerk's", environ: []string{"CLERK_SECRET_KEY="}, check: "clerk", state: skip, detail: "is not set"},
		{name: "the last webhook came before the last user", at: "GET /metrics", answer: answer(200, lastVerified(50*time.Hour)), check: "last webhook", state: fail, detail: "the last came 2 days ago, and a user was made in Clerk 60 minutes ago", remedy: "may be disabled"},
		{name: "none came since the start", at: "GET /metrics", answer: answer(200, "clerksync_webhook_last_verified_timestamp_seconds 0\nprocess_start_time_seconds 1.7e+09\n"), check: "last webhook", state: fail, detail: "none since the server's start", remedy: "may be disabled"},
		{name: "the server has just started", at: "GET /metrics", answer: answer(200, fmt.Sprintf("clerksync_webhook_last_verified_timestamp_seconds 0\nprocess_start_time_seconds %d\n", time.Now().Unix())), check: "last webhook", state: pass, detail: "none since"},
		{name: "the metrics are older", at: "GET /metrics", answer: answer(200, "x 1\n"), check: "last webhook", state: skip, detail: "does not say"},
		{name: "a proxy hides the metrics", at: "GET /metrics", answer: answer(404, ""), check: "last webhook", state: skip, detail: "404"},
		{name: "nobody knows whether webhooks are missing", environ: []string{"CLERK_SECRET_KEY="}, check: "last webhook", state: skip, detail: "without CLERK_SECRET_KEY"},
		{name: "the server's clock is late", at: webhook, answer: dated(-time.Minute), check: "clock", state: fail, detail: "the server's clock is 5", remedy: "NTP"},
		{name: "the server's clock is early", at: webhook, answer: dated(time.Minute), check: "clock", state: fail, detail: "ahead", remedy: "NTP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			if tt.at != "" {
				w.answers[tt.at] = tt.answer
			}
			results, _ := w.examine(t, tt.environ...)
			got := results[tt.check]
			if tt.state != got.State || !strings.Contains(got.Detail, tt.detail) || !strings.Contains(got.Remedy, tt.remedy) || (tt.remedy == "") != (got.Remedy == "") {
				t.Errorf("%s: want %s, %q, remedy %q; got %+v", tt.check, tt.state, tt.detail, tt.remedy, got)
			}
		})
	}
}

func dated(off time.Duration) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		answer(401, `{"error":"no"}`)(rw, r)
	}
}

func TestDoctorSeesDeadLettersAndDrift(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	keepLetter(t, w.store, "msg_1", "user_1")
	if err := w.store.SaveReconciliation(t.Context(), store.Reconciliation{At: time.Now().Add(-3 * time.Hour), Users: 9, Missing: 1, Stale: 2, Deleted: 3, Repaired: 4}); err != nil {
		t.Fatal(err)
	}
	results, _ := w.examine(t)
	if r := results["dead letters"]; r.State != fail || r.Detail != "1 waiting" || !strings.Contains(r.Remedy, "dlq list") {
		t.Errorf("dead letters: got %+v", r)
	}
	if r := results["drift"]; r.State != fail || !strings.HasPrefix(r.Detail, "2 users of 9 differed 3 hours ago: 1 missing, 2 stale, 3 deleted in Clerk; 4 repaired") || !strings.Contains(r.Remedy, "--repair") {
		t.Errorf("drift: got %+v", r)
	}
	if err := w.store.SaveReconciliation(t.Context(), store.Reconciliation{At: time.Now(), Users: 9}); err != nil {
		t.Fatal(err)
	}
	results, _ = w.examine(t)
	if r := results["drift"]; r.State != pass || !strings.Contains(r.Detail, "9 users compared") {
		t.Errorf("no drift: got %+v", r)
	}
}

// A server that is in dev mode would register its functions when it is asked to run one.
func TestDoctorAsksNoServerInDevModeToRun(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.answers["GET /api/inngest"] = answer(200, serves("dev", "glowup-app", 6, inngest.SDKVersion))
	w.examine(t)
	w.examine(t, "INNGEST_DEV="+w.inngest.URL)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.asked {
		if at == "POST /api/inngest" || strings.HasPrefix(at, "PUT ") {
			t.Errorf("want only questions, got %s", at)
		}
	}
}

// Two members with data and an arbiter: none of them may be away.
func TestWriteConcernCheck(t *testing.T) {
	t.Parallel()
	s, err := store.New("mongodb://127.0.0.1:1", "x", "users", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &doctor{store: s}
	for want, server := range map[string]store.Server{
		"":         {Name: "MongoDB", ReplicaSet: "rs0", DataMembers: 3},
		"2 member": {Name: "MongoDB", ReplicaSet: "rs0", DataMembers: 2, Arbiters: 1},
	} {
		_, err := d.checkWriteConcern(t.Context(), server)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q, got %v", server, want, err)
		}
	}
}

// All that is asked may hang.
func TestDoctorEndsWhenNobodyAnswers(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hang.CloseClientConnections)
	ctx, cancel := context.WithTimeout(t.Context(), doctorTimeout+10*time.Second)
	defer cancel()
	environ := []string{
		"CLERK_WEBHOOK_SECRET=" + doctorSecret, "DATABASE_URI=" + strings.Replace(hang.URL, "http", "mongodb", 1), "INNGEST_DEV=" + hang.URL,
		"CLERK_SECRET_KEY=sk_test_1", "CLERK_API_URL=" + hang.URL, "PUBLIC_URL=" + hang.URL, "PORT=1",
	}
	a := &app{environ: environ}
	d, err := a.newDoctor(ctx, hang.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close(ctx)
	timed, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	results := examine(timed, d.checks(timed))
	if ctx.Err() != nil {
		t.Error("want all checks to end with their time")
	}
	want := map[string]state{"server": fail, "inngest": fail, "database": fail, "clerk": fail}
	got := map[string]state{}
	for _, r := range results {
		if r.State == fail {
			got[r.Name] = r.State
		}
	}
	if !maps.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestDoctorIsCalledWrongly(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"sync.example.com", "ftp://x", "https://user:canary@x"} {
		got := call(t, nil, "", "doctor", "--url", u)
		got.want(t, exitUsage, "--url: want an http or https URL")
		if strings.Contains(got.stderr, "canary") {
			t.Errorf("want no password, got %s", got.stderr)
		}
	}
	call(t, nil, "", "doctor", "now").want(t, exitUsage, `unexpected argument "now"`)
}

func TestDoctorTable(t *testing.T) {
	t.Parallel()
	a := &app{}
	want := "pass  a         fine\nFAIL  long one  ill\n                → do\nskip  c         why\n"
	if got := a.table([]result{{"a", pass, "fine", ""}, {"long one", fail, "ill", "do"}, {"c", skip, "why", ""}}); want != got {
		t.Errorf("want\n%s\ngot\n%s", want, got)
	}
}

func TestOffset(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	at := func(shown, before, after time.Duration) reading {
		return reading{now.Add(shown), now.Add(before), now.Add(after)}
	}
	for _, tt := range []struct {
		name string
		a, b reading
		want time.Duration
	}{
		{"the same second", at(0, 0, 0), at(0, 0, 0), 0},
		{"a second that passed between the questions", at(1*time.Second, time.Second, time.Second), at(0, 0, 0), 0},
		{"a slow answer", at(0, 0, 3*time.Second), at(0, 0, 0), 0},
		{"ahead", at(10*time.Second, 0, 0), at(0, 0, 0), 9 * time.Second},
		{"behind", at(-10*time.Second, 0, 0), at(0, 0, 0), -9 * time.Second},
		{"behind, after a slow answer", at(-10*time.Second, 0, 3*time.Second), at(0, 0, 0), -9 * time.Second},
		{"ahead, after a slow answer", at(10*time.Second, 0, 3*time.Second), at(0, 0, 0), 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := offset(tt.a, tt.b); tt.want != got {
				t.Errorf("want %v, got %v", tt.want, got)
			}
		})
	}
}
