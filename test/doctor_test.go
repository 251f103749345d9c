package test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

// diagnosis is what clerksync doctor says, by the names of the checks.
type diagnosis struct {
	exitCode int
	state    map[string]string
	remedy   map[string]string
	output   string
}

// doctor runs clerksync doctor with the server's environment and more.
func (w *world) doctor(env ...string) diagnosis {
	w.t.Helper()
	port := w.appURL[strings.LastIndexByte(w.appURL, ':')+1:]
	p := start(w.t, slices.Concat([]string{"PORT=" + port, "DATABASE_URI=" + w.dbURI}, w.env, env), binary, "doctor", "--json")
	d := diagnosis{exitCode: p.wait(), state: map[string]string{}, remedy: map[string]string{}, output: p.output()}
	var report struct {
		OK     bool `json:"ok"`
		Checks []struct{ Name, State, Detail, Remedy string }
	}
	if err := json.Unmarshal([]byte(d.output), &report); err != nil {
		w.t.Fatalf("doctor: %v in\n%s", err, d.output)
	}
	for _, c := range report.Checks {
		d.state[c.Name], d.remedy[c.Name] = c.State, c.Remedy
	}
	if want := d.exitCode == 0; want != report.OK {
		w.t.Errorf("ok: want %v, since the exit code is %d", want, d.exitCode)
	}
	for _, canary := range []string{secret, otherSecret, clerktest.Key, signingKey, "event-key"} {
		if strings.Contains(d.output, canary) {
			w.t.Errorf("want no secret, got %q in\n%s", canary, d.output)
		}
	}
	return d
}

// want fails the test unless the checks that do not pass are these: "fail" with a remedy, or "skip".
func (d diagnosis) want(t *testing.T, what string, notPassed map[string]string) {
	t.Helper()
	got, code := map[string]string{}, 0
	for name, state := range d.state {
		if state != "pass" {
			got[name] = state
		}
		if state == "fail" && d.remedy[name] == "" {
			t.Errorf("%s: want a remedy for %s", what, name)
		}
	}
	for _, state := range notPassed {
		if state == "fail" {
			code = 1
		}
	}
	if diff := cmp.Diff(notPassed, got); diff != "" || code != d.exitCode {
		t.Errorf("%s: exit code: want %d, got %d; not passed (-want +got)\n%s\n%s", what, code, d.exitCode, diff, d.output)
	}
}

// contents is every document and index of the database.
func (w *world) contents() string {
	w.t.Helper()
	db := w.users.Database()
	names, err := db.ListCollectionNames(w.t.Context(), bson.D{})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		docs, err := db.Collection(name).Find(w.t.Context(), bson.D{})
		if err != nil {
			w.t.Fatal(err)
		}
		indexes, err := db.Collection(name).Indexes().List(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		var raw []bson.Raw
		if err := docs.All(w.t.Context(), &raw); err != nil {
			w.t.Fatal(err)
		}
		all.WriteString(name)
		for _, r := range raw {
			all.WriteString(r.String())
		}
		raw = nil
		if err := indexes.All(w.t.Context(), &raw); err != nil {
			w.t.Fatal(err)
		}
		for _, r := range raw {
			all.WriteString(r.String())
		}
	}
	return all.String()
}

// notInDev are the checks that a world of the Dev Server has nothing to show for.
func notInDev(more map[string]string) map[string]string {
	all := map[string]string{"signing key": "skip", "drift": "skip"}
	maps.Copy(all, more)
	return all
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	c := clerktest.New()
	t.Cleanup(c.Close)
	w := newWorld(t, with("CLERK_SECRET_KEY="+clerktest.Key, "CLERK_API_URL="+c.URL), func(w *world) {
		w.startDatabase("127.0.0.1:" + freePort(t)) // one that can be stopped
	})
	w.do("created", "user.created", map[string]any{"id": "user_1", "updated_at": 1})
	before := w.contents()

	w.doctor().want(t, "well", notInDev(nil))
	w.doctor("CLERK_WEBHOOK_SECRET="+otherSecret).want(t, "another secret", notInDev(map[string]string{
		"webhook secret": "fail", "hand-over": "skip",
	}))
	w.doctor("CLERK_WEBHOOK_SECRET=", "FUNCTION_RETRIES=many").want(t, "faults in the configuration", notInDev(map[string]string{
		"configuration": "fail", "webhook secret": "skip", "hand-over": "skip",
	}))
	w.doctor("CLERK_SECRET_KEY=sk_live_other").want(t, "another key of Clerk's", notInDev(map[string]string{"clerk": "fail", "last webhook": "skip"}))
	w.doctor("INNGEST_APP_ID=other-app").want(t, "another app", notInDev(map[string]string{
		"app": "fail", "functions": "skip", "mode": "fail",
	}))

	// Nothing was changed: what the probes could have run would have been run before this event, which changes nothing.
	w.outcome(w.send("user.updated", map[string]any{"id": "user_1", "updated_at": 0}))
	if l := w.app.find(func(l line) bool { return l.str("event") == clerk.Probe && l.str("function") != "" }); l != nil {
		t.Errorf("want no function run by a probe, got %v", l)
	}
	if probes := w.askInngest(`{ eventsV2(first: 40, filter: {from: "2020-01-01T00:00:00Z", eventNames: ["` + clerk.Probe + `"]}) { totalCount edges { node { runs { id } } } } }`); !strings.Contains(probes, `"runs":[]`) || strings.Contains(probes, `"runs":[{`) {
		t.Errorf("want the probes at Inngest, without runs, got %s", probes)
	}
	if after := w.contents(); before != after {
		t.Errorf("want the database as it was:\n%s\ngot\n%s", before, after)
	}

	w.dev.kill()
	w.doctor().want(t, "no Inngest", notInDev(map[string]string{
		"hand-over": "fail", "inngest": "fail", "app": "skip", "functions": "skip",
	}))
	w.stopDB()
	w.doctor().want(t, "no database either", notInDev(map[string]string{
		"hand-over": "fail", "inngest": "fail", "app": "skip", "functions": "skip",
		"server": "fail", "database": "fail", "indexes": "skip", "write concern": "skip", "dead letters": "skip",
	}))
	w.app.kill()
	w.doctor().want(t, "nothing at all", notInDev(map[string]string{
		"inngest": "fail", "app": "skip", "functions": "skip",
		"database": "fail", "indexes": "skip", "write concern": "skip", "dead letters": "skip",
		"server": "fail", "unsigned webhook": "skip", "webhook secret": "skip", "hand-over": "skip", "mode": "skip", "last webhook": "skip",
	}))
}

// startCloud starts a self-hosted Inngest, which wants its keys as Inngest Cloud does.
func (w *world) startCloud(eventKey string, args ...string) {
	w.t.Helper()
	port := w.devURL[strings.LastIndexByte(w.devURL, ':')+1:]
	w.dev = start(w.t, nil, inngest, append([]string{
		"start", "--no-ui", "--tick", "50", "--host", "127.0.0.1", "--port", port,
		"--event-key", eventKey, "--signing-key", strings.TrimPrefix(signingKey, "signkey-test-"), "--sqlite-dir", w.t.TempDir(),
		"--connect-gateway-port", freePort(w.t), "--connect-gateway-grpc-port", freePort(w.t), "--connect-executor-grpc-port", freePort(w.t),
	}, args...)...)
	w.dev.listens(w.devURL+"/health", http.StatusOK)
}

// startSynced is startCloud, of one that asks the server for its functions, and waits until it has them.
func (w *world) startSynced(eventKey string) {
	w.t.Helper()
	w.startCloud(eventKey, "-u", w.appURL+"/api/inngest")
	waitFor(w.t, "the functions at the self-hosted Inngest", func() bool {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.devURL+"/v2/apps/glowup-app/functions", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+signingKey)
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), "delete-user-with-clerk")
	})
}

// A self-hosted Inngest signs what it asks, as Inngest Cloud does, but wants to be told the functions at its own address.
func TestSelfHostedInngest(t *testing.T) {
	t.Parallel()
	needInngest(t)
	w := newWorld(t, withoutInngest, func(w *world) { inCloud(w.devURL)(w) })
	w.startSynced("key")
	id := newID("user")
	w.do("created", "user.created", map[string]any{"id": id, "first_name": "Ann"})
	w.do("deleted", "user.deleted", map[string]any{"id": id, "deleted": true})
	if doc := w.doc(id); doc != nil {
		t.Errorf("want no document, got %v", doc)
	}
	// Who has no key makes the server tell nobody anything.
	w.register(http.StatusUnauthorized)
}

func TestDoctorOfWorkers(t *testing.T) {
	t.Parallel()
	w := newApart(t)
	usual := func(mode string) map[string]string {
		all := map[string]string{"app": "skip", "mode": mode, "signing key": "skip", "drift": "skip", "last webhook": "skip", "clerk": "skip"}
		if mode == "" {
			delete(all, "mode")
		}
		return all
	}
	w.startWorker()
	w.awaitFunctions()
	w.doctor("PUBLIC_URL=https://sync.example.com").want(t, "a bridge and a worker", usual(""))

	w.app.kill()
	w.apart = false
	w.startApp()
	w.app.listens(w.appURL+"/readyz", http.StatusOK)
	w.doctor().want(t, "functions in both", usual("fail"))

	w.register(http.StatusOK) // with the server's URL
	w.app.kill()
	w.apart = true
	w.startApp()
	nowhere := usual("fail")
	delete(nowhere, "app")
	w.doctor().want(t, "a bridge, and functions nowhere", nowhere)
}

func TestDoctorInCloudMode(t *testing.T) {
	t.Parallel()
	needInngest(t)
	w := newWorld(t, withoutInngest, func(w *world) {
		inCloud(w.devURL)(w)
		w.startDatabase("127.0.0.1:" + freePort(t))
	})
	w.startCloud("key")
	w.app.listens(w.appURL+"/readyz", http.StatusOK)
	usual := func(more map[string]string) map[string]string {
		// The embedded database is not for production.
		all := map[string]string{"database": "fail", "drift": "skip", "last webhook": "skip", "clerk": "skip"}
		maps.Copy(all, more)
		return all
	}
	w.doctor().want(t, "not synced", usual(map[string]string{"app": "fail", "functions": "skip"}))
	w.dev.kill()
	w.startSynced("key")
	w.doctor().want(t, "well", usual(nil))
	w.doctor("INNGEST_SIGNING_KEY=signkey-test-0000").want(t, "another signing key", usual(map[string]string{
		"app": "fail", "functions": "skip", "mode": "fail",
	}))
	w.doctor("INNGEST_SIGNING_KEY=signkey-test-0000", "INNGEST_SIGNING_KEY_FALLBACK="+signingKey).want(t, "a signing key that is rotated", usual(nil))
	w.doctor("INNGEST_DEV="+w.devURL).want(t, "dev mode here, cloud mode there", map[string]string{
		"mode": "fail", "signing key": "skip", "drift": "skip", "last webhook": "skip", "clerk": "skip",
	})

	w.dev.kill()
	w.startSynced("another-key")
	w.doctor().want(t, "another event key", usual(map[string]string{"hand-over": "fail"}))

	w.app.kill()
	w.env = append(w.env, "INNGEST_DEV="+w.devURL)
	w.startApp()
	w.doctor("INNGEST_DEV=").want(t, "dev mode there, cloud mode here", usual(map[string]string{
		"hand-over": "fail", "mode": "fail", "signing key": "fail",
	}))
}
