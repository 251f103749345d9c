package test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

const (
	signingKey  = "signkey-test-0123456789abcdef"
	fallbackKey = "signkey-test-fedcba9876543210"
)

// cloud is clerksync in cloud mode with its database. The test is Inngest: it takes the events, and calls the functions.
type cloud struct {
	*world
	taken *sync.Map // events, by id
}

func newCloud(t *testing.T, opts ...func(*world)) *cloud {
	t.Helper()
	taken := new(sync.Map)
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var events []map[string]any
		d := json.NewDecoder(r.Body)
		d.UseNumber()
		if err := d.Decode(&events); err != nil || len(events) != 1 {
			t.Errorf("want one event, got %v, error %v", events, err)
			return
		}
		id := fmt.Sprint(events[0]["id"])
		taken.Store(id, events[0])
		_ = json.NewEncoder(rw).Encode(map[string]any{"ids": []string{id}, "status": 200})
	}))
	t.Cleanup(api.Close)
	opts = append([]func(*world){inCloud(api.URL), withoutInngest}, opts...)
	return &cloud{newWorld(t, opts...), taken}
}

// inCloud is an option of newWorld.
func inCloud(inngestURL string) func(*world) {
	return func(w *world) {
		w.env = []string{
			"CLERK_WEBHOOK_SECRET=" + secret, "INNGEST_BASE_URL=" + inngestURL, "INNGEST_API_KEY=key",
			"INNGEST_SIGNING_KEY=" + signingKey, "LOG_LEVEL=debug",
		}
	}
}

// run sends a webhook and invokes the function that its event is for. It returns what Inngest is told.
func (c *cloud) run(h webhook) answer {
	c.t.Helper()
	if h.id == "" {
		h.id = newID("msg")
	}
	if got := c.post(h); got.status != 200 {
		c.t.Fatalf("answer to %s: want 200, got %+v", h.typ, got)
	}
	event, _ := c.taken.Load(h.id)
	body := invocation(c.t, event)
	return c.invoke(functionOf[h.typ], body, sign(signingKey, time.Now(), body), nil)
}

// in is the same cloud with failures reported to a subtest.
func (c *cloud) in(t *testing.T) *cloud { return &cloud{c.world.in(t), c.taken} }

var functionOf = map[string]string{
	"user.created": "sync-user-from-clerk", "user.updated": "update-user-from-clerk", "user.deleted": "delete-user-with-clerk",
}

// invocation is the body of a call of a function, in the canonical form that the signature is of:
// https://github.com/inngest/inngest/blob/main/docs/SDK_SPEC.md, 4.1.3 and 4.4.
func invocation(t *testing.T, event any) []byte {
	t.Helper()
	var body bytes.Buffer
	e := json.NewEncoder(&body) // it sorts the keys
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{
		"event": event, "events": []any{event}, "steps": map[string]any{},
		"ctx": map[string]any{"run_id": newID("run"), "attempt": 0, "stack": map[string]any{"stack": []any{}, "current": 0}},
	}); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(body.Bytes())
}

// sign is Inngest's signature of a canonical body.
func sign(key string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(strings.TrimPrefix(key, "signkey-test-")))
	mac.Write(body)
	fmt.Fprintf(mac, "%d", at.Unix())
	return fmt.Sprintf("t=%d&s=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// invoke calls a function as Inngest does.
func (w *world) invoke(function string, body []byte, signature string, header http.Header) answer {
	w.t.Helper()
	a, err := w.tryInvoke(function, body, signature, header)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// tryInvoke returns an error where there was no answer.
func (w *world) tryInvoke(function string, body []byte, signature string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost,
		w.appURL+"/api/inngest?fnId=glowup-app-"+function+"&stepId=step", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(req.Header, header)
	if signature != "" {
		req.Header.Set("X-Inngest-Signature", signature)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, body: strings.TrimSpace(string(text))}, err
}

func TestInvocationNeedsItsSignature(t *testing.T) {
	t.Parallel()
	c := newCloud(t, with("INNGEST_SIGNING_KEY_FALLBACK="+fallbackKey))
	id, now := newID("user"), time.Now()
	event := map[string]any{"id": newID("msg"), "name": "clerk/user.created", "ts": 10, "data": user(id, 10)}
	body := invocation(t, event)
	for _, tt := range []struct {
		name, signature string
		header          http.Header
	}{
		{"none", "", nil},
		{"none, with a header that only a Dev Server sends", "", http.Header{"X-Inngest-Server-Kind": {"dev"}}},
		{"garbage", "garbage", nil},
		{"an empty one", fmt.Sprintf("t=%d&s=", now.Unix()), nil},
		{"that of a key that is not ours", sign("signkey-test-00", now, body), nil},
		{"that of another body", sign(signingKey, now, invocation(t, event)), nil},
		{"of 6 minutes ago", sign(signingKey, now.Add(-6*time.Minute), body), nil},
		{"with a new time on it", strings.Replace(sign(signingKey, now.Add(-6*time.Minute), body), fmt.Sprint(now.Unix()-360), fmt.Sprint(now.Unix()), 1), nil},
	} {
		if want, got := 401, c.invoke("sync-user-from-clerk", body, tt.signature, tt.header); want != got.status {
			t.Errorf("signature %s: want %d, got %+v", tt.name, want, got)
		}
	}
	if c.doc(id) != nil {
		t.Error("want no document from calls that are not signed")
	}
	for _, tt := range []struct{ name, key, want string }{
		{"right", signingKey, `"created"`},
		{"the same again", signingKey, `"unchanged"`},
		{"of the fallback key", fallbackKey, `"unchanged"`},
	} {
		want, got := answer{status: 200, body: tt.want}, c.invoke("sync-user-from-clerk", body, sign(tt.key, now, body), nil)
		if want != got {
			t.Errorf("signature %s: want %+v, got %+v", tt.name, want, got)
		}
	}
}

// In dev mode nothing is signed: that is what it is for. The log begins with it.
func TestDevModeSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withoutInngest)
	id := newID("user")
	body := invocation(t, map[string]any{"id": newID("msg"), "name": "clerk/user.created", "ts": 10, "data": user(id, 10)})
	if want, got := (answer{status: 200, body: `"created"`}), w.invoke("sync-user-from-clerk", body, "", nil); want != got {
		t.Errorf("want %+v, got %+v", want, got)
	}
	for want, w := range map[bool]*world{true: w, false: newCloud(t).world} {
		var started line
		waitFor(t, "the server's first lines", func() bool {
			started = w.app.find(func(l line) bool { return l.str("msg") == "server started" })
			return started != nil
		})
		if got := started["inngest_dev"]; want != got {
			t.Errorf("inngest_dev in the log: want %t, got %v", want, got)
		}
		if got := strings.Contains(w.app.output(), "INNGEST_DEV is set: nothing is signed"); want != got {
			t.Errorf("a warning in the log: want %t, got %t", want, got)
		}
	}
}

func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	witness := newID("user")
	c.run(webhook{typ: "user.created", data: user(witness, 10)})
	before := c.raw(witness)
	// The database takes every word for a word.
	for i, id := range []string{"$where", "$set", "a.b.$[]", `{"$gt":""}`, "_id", "sync", "__proto__", "../../users", "system.users", "' || 1 == 1 || '", "\r\n\x1b[2J"} {
		t.Run(fmt.Sprintf("the id %q", id), func(t *testing.T) {
			c := c.in(t)
			email := fmt.Sprintf("a%d@example.com", i)
			data := map[string]any{
				"id": id, "updated_at": 10, "first_name": "$last_name", "last_name": `{"$set":{"admin":true}}`, "image_url": "$$ROOT",
				"email_addresses": emails(email), "username": fmt.Sprintf("$name%d.$", i),
				"$set": map[string]any{"admin": true}, "a.b": 1, "_id": witness, "sync": map[string]any{"rev": 1}, "sync.rev": 1, "email": "canary", "full_name": 1,
			}
			want := bson.M{
				"_id": id, "first_name": "$last_name", "last_name": `{"$set":{"admin":true}}`, "full_name": `$last_name {"$set":{"admin":true}}`,
				"email": email, "username": fmt.Sprintf("$name%d.$", i), "profile_picture": "$$ROOT",
			}
			for _, step := range []struct {
				typ, want string
				doc       bson.M
			}{{"user.created", "created", want}, {"user.updated", "unchanged", want}, {"user.deleted", "deleted", nil}, {"user.created", "already deleted", nil}} {
				if want, got := (answer{status: 200, body: `"` + step.want + `"`}), c.run(webhook{typ: step.typ, data: data}); want != got {
					t.Errorf("%s: want %+v, got %+v", step.typ, want, got)
				}
				if d := cmp.Diff(step.doc, c.doc(id)); d != "" {
					t.Errorf("document after %s (-want +got)\n%s", step.typ, d)
				}
			}
		})
	}
	for _, id := range []any{map[string]any{"$ne": nil}, map[string]any{"$gt": ""}, []any{witness}, 7, true, nil, ""} {
		for _, typ := range slices.Sorted(maps.Keys(functionOf)) {
			got := c.run(webhook{typ: typ, data: map[string]any{"id": id, "first_name": "Mallory"}})
			if want := `{"message":"read event: data.id: want non-empty string, got `; got.status != 500 || !strings.HasPrefix(got.body, want) {
				t.Errorf("%s with the id %v: want 500 and %s, got %+v", typ, id, want, got)
			}
		}
	}
	for depth, want := range map[int]int{1_000: 200, 100_000: 400} {
		body := fmt.Sprintf(`{"type":"user.created","data":{"id":"deep","public_metadata":%s%s}}`, strings.Repeat("[", depth), strings.Repeat("]", depth))
		if got, err := c.postBody(webhook{id: newID("msg")}, []byte(body)); err != nil || want != got.status {
			t.Errorf("a payload %d deep: want %d, got %+v, error %v", depth, want, got, err)
		}
	}
	if d := cmp.Diff(before, c.raw(witness)); d != "" {
		t.Errorf("somebody else's document (-before +after)\n%s", d)
	}
	if n, err := c.users.CountDocuments(t.Context(), bson.M{}); n != 1 || err != nil {
		t.Errorf("want 1 document left, got %d, error %v", n, err)
	}
}

// raw is a user's document with its bookkeeping.
func (w *world) raw(id string) bson.M {
	w.t.Helper()
	var doc bson.M
	if err := w.users.FindOne(w.t.Context(), bson.M{"_id": id}).Decode(&doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// A thief of the webhook secret can put a user's history far into the future, or end it. What docs/security.md tells the
// operator to do brings Clerk's state back.
func TestForgedHistoryCanBeUndone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := newID("user")
	check := func(want, typ string, updatedAt int64, firstName string) {
		t.Helper()
		data := user(id, updatedAt)
		data["first_name"] = firstName
		if want, got := `"`+want+`"`, c.run(webhook{typ: typ, data: data}).body; want != got {
			t.Errorf("outcome: want %s, got %s", want, got)
		}
	}
	check("created", "user.created", 10, "Ann")
	check("updated", "user.updated", 1<<52, "Mallory") // forged
	check("stale", "user.updated", 20, "Anna")
	if _, err := c.users.UpdateByID(t.Context(), id, bson.M{"$unset": bson.M{"sync": ""}}); err != nil {
		t.Fatal(err)
	}
	check("updated", "user.updated", 20, "Anna")
	check("deleted", "user.deleted", 1<<52, "") // forged
	check("already deleted", "user.updated", 30, "Anne")
	if _, err := c.users.Database().Collection("users_tombstones").DeleteOne(t.Context(), bson.M{"_id": id}); err != nil {
		t.Fatal(err)
	}
	check("created", "user.updated", 30, "Anne")
	if want, got := "Anne", c.doc(id)["first_name"]; want != got {
		t.Errorf("first_name: want %s, got %v", want, got)
	}
}

// What comes from outside can neither begin a line of the log nor move the cursor of who reads it.
func TestForeignWordsStayInTheirLine(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, with("LOG_FORMAT="+format))
			forged := "x\r\n{\"level\":\"ERROR\",\"msg\":\"canary\"}\n00:00:00 ERR canary\x1b]0;canary\a\x1b[2J"
			if format == "text" { // slog's JSON leaves the control characters from U+0080 to U+009F as they are
				forged += "\u009b2J"
			}
			c.run(webhook{typ: "user.created", data: map[string]any{"id": "user_" + forged}})
			c.run(webhook{typ: "user.updated", data: map[string]any{"id": "user_" + forged, "first_name": 7}})
			if got := c.post(webhook{id: newID("msg") + `" level=ERROR msg=canary {"msg":"canary"}`, typ: "user." + forged, data: map[string]any{}}); got.status != 200 {
				t.Errorf("want 200, got %+v", got)
			}
			log := c.app.output()
			if want := 4; strings.Count(log, "canary") < want {
				t.Errorf("want the words in the log %d times at least, got\n%s", want, log)
			}
			for text := range strings.Lines(log) {
				text = strings.TrimSuffix(text, "\n")
				if strings.ContainsFunc(text, unicode.IsControl) {
					t.Errorf("want no control characters, got %q", text)
				}
				var l line
				err := json.Unmarshal([]byte(text), &l)
				if format == "json" && (err != nil || l.str("msg") == "canary") {
					t.Errorf("want a line of ours, got %q", text)
				}
				if format == "text" && strings.HasPrefix(text, "00:00:00 ERR canary") {
					t.Errorf("want a line of ours, got %q", text)
				}
			}
		})
	}
}

// Nothing of a webhook that is not verified is in the log, whoever sends it and whatever the level.
func TestStrangersDoNotWriteTheLog(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, path := range []string{"/api/webhooks/clerk", "/api/webhooks/clerk?canary=1", "/canary", "/api/inngest?fnId=canary&probe=canary"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet, "CANARY"} {
			req, err := http.NewRequestWithContext(t.Context(), method, c.appURL+path, strings.NewReader(`{"type":"canary","data":{"id":"canary"}}`))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"Svix-Id", "Svix-Signature", "Webhook-Id", "X-Inngest-Signature", "X-Request-Id", "X-Forwarded-For", "User-Agent", "Referer", "X-Inngest-Server-Kind"} {
				req.Header.Set(name, "canary")
			}
			req.Header.Set("Svix-Timestamp", "1")
			req.Host = "canary.example.com"
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode < 400 || strings.Contains(string(body), "canary") {
				t.Errorf("%s %s: want an error without what was sent, got %d %s", method, path, resp.StatusCode, body)
			}
		}
	}
	if log := c.app.output(); strings.Contains(strings.ToLower(log), "canary") {
		t.Errorf("want nothing of the requests in the log, got\n%s", log)
	}
}

func TestPersonalDataStaysInside(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	// A unique index of the application's: the server's error quotes the address.
	if _, err := c.users.InsertOne(t.Context(), bson.M{"_id": "another", "username": "canary"}); err != nil {
		t.Fatal(err)
	}
	id := newID("user")
	person := map[string]any{
		"id": id, "updated_at": 20, "first_name": "Canary", "last_name": "Canary", "image_url": "https://canary.example.com",
		"username": "canary", "email_addresses": emails("canary@example.com"), "phone_numbers": []any{"canary"},
	}
	stale, wrong := maps.Clone(person), maps.Clone(person)
	stale["updated_at"] = 10
	wrong["last_name"] = []any{"canary"}
	var said []string
	for _, h := range []webhook{
		{typ: "user.created", data: person},
		{typ: "user.updated", data: stale},
		{typ: "user.updated", data: wrong},
		{typ: "user.created", data: map[string]any{"first_name": "canary"}},
		{typ: "user.deleted", data: person},
		{typ: "user.updated", data: person},
	} {
		said = append(said, c.run(h).body)
	}
	want := []string{
		`"created"`, `"stale"`, `{"message":"read event: data.last_name: want string, got array"}`,
		`{"message":"read event: data.id: want non-empty string, got nothing"}`, `"deleted"`, `"already deleted"`,
	}
	if d := cmp.Diff(want, said); d != "" {
		t.Errorf("what Inngest is told (-want +got)\n%s", d)
	}
	_, metrics := get(t, c.appURL+"/metrics")
	if !strings.Contains(metrics, `clerksync_function_runs_total{function="sync-user-from-clerk",outcome="created"} 1`) {
		t.Errorf("want the runs in the metrics, got\n%s", metrics)
	}
	if strings.Contains(metrics, id) {
		t.Error("want no user id in the metrics")
	}
	for where, text := range map[string]string{"log": c.app.output(), "metrics": metrics} {
		if strings.Contains(strings.ToLower(text), "canary") {
			t.Errorf("want no personal data in the %s, got\n%s", where, text)
		}
	}
}

// With database and Inngest away, errors abound, and each driver's own names the address that it tried.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	away := "127.0.0.1:" + freePort(t)
	secrets := map[string]string{
		"CLERK_WEBHOOK_SECRET": secret, "CLERK_SECRET_KEY": "sk_test_canaryclerk", "INNGEST_API_KEY": "canary-event-key",
		"INNGEST_SIGNING_KEY": signingKey, "INNGEST_SIGNING_KEY_FALLBACK": fallbackKey,
	}
	w := newWorld(t, withoutInngest, func(w *world) {
		w.dbURI = "mongodb://canaryuser:canarypassword@" + away + "/glowup?serverSelectionTimeoutMS=200"
		w.env = []string{"INNGEST_BASE_URL=http://" + away, "LOG_LEVEL=debug"}
		for name, value := range secrets {
			w.env = append(w.env, name+"="+value)
		}
	})
	body := invocation(t, map[string]any{"id": newID("msg"), "name": "clerk/user.created", "ts": 10, "data": user(newID("user"), 10)})
	seen := map[string]string{
		"webhook":    w.post(webhook{id: newID("msg"), typ: "user.created", data: user(newID("user"), 10)}).body,
		"invocation": w.invoke("sync-user-from-clerk", body, sign(signingKey, time.Now(), body), nil).body,
	}
	for _, path := range []string{"/", "/readyz", "/metrics", "/nope", "/api/inngest"} {
		_, seen[path] = get(t, w.appURL+path)
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.app.cmd.Process.Pid)); err == nil { // Linux
		seen["process listing"] = string(line)
	}
	w.app.signal(os.Interrupt)
	w.app.wait()
	seen["log"] = w.app.output()
	for _, want := range []string{"webhook refused", "function failed", "database not ready", "server stopped"} {
		if !strings.Contains(seen["log"], want) {
			t.Errorf("want %q in the log, got\n%s", want, seen["log"])
		}
	}
	for where, text := range seen {
		for _, hidden := range append(slices.Collect(maps.Values(secrets)), secret[6:], signingKey[13:], fallbackKey[13:], "canary") {
			if strings.Contains(text, hidden) {
				t.Errorf("%s: want no secret, found %q in\n%s", where, hidden, text)
			}
		}
	}
}

// A redirect of Inngest's, or of who has taken its place, would carry the event key and the event elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = io.WriteString(rw, `{"ids":["1"],"status":200}`)
	}))
	t.Cleanup(other.Close)
	var status atomic.Int32
	inngest := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL+r.URL.Path, int(status.Load()))
	}))
	t.Cleanup(inngest.Close)
	w := newWorld(t, inCloud(inngest.URL), withoutInngest)
	for _, code := range []int32{301, 302, 303, 307, 308} {
		status.Store(code)
		if want, got := 503, w.post(webhook{id: newID("msg"), typ: "user.created", data: user(newID("user"), 10)}).status; want != got {
			t.Errorf("status %d: want %d, got %d", code, want, got)
		}
	}
	if want, got := int32(0), elsewhere.Load(); want != got {
		t.Errorf("requests elsewhere: want %d, got %d", want, got)
	}
}

// Plain `go test` replays the seeds of a fuzz target: for those that read payloads they are Clerk's.
func TestFuzzingStartsFromRealPayloads(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../clerk/testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, err := clerk.ParseEnvelope(body)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, err := clerk.ParseUser(e.Data); err != nil || e.Timestamp == 0 || !strings.HasPrefix(filepath.Base(file), e.Type+".") {
			t.Errorf("want a webhook of the type in its name, got %s in %s, error %v", e.Type, file, err)
		}
		count[e.Type]++
	}
	for typ := range functionOf {
		if count[typ] == 0 {
			t.Errorf("want payloads of %s, got %v", typ, count)
		}
	}
	readers := []string{"FuzzHandle", "FuzzParseEnvelope", "FuzzParseUser"}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !slices.Contains(readers, f.Name.Name) {
				continue
			}
			readers = slices.DeleteFunc(readers, func(name string) bool { return name == f.Name.Name })
			seeds, _, _ := strings.Cut(s.text[f.Body.Pos()-s.file.FileStart:], "f.Fuzz(")
			if !strings.Contains(seeds, "testdata(f, ") || !strings.Contains(seeds, "f.Add(") {
				t.Errorf("%s: %s does not start from clerk/testdata", s.path, f.Name.Name)
			}
		}
	}
	if len(readers) > 0 {
		t.Errorf("want these fuzz targets, too: %v", readers)
	}
}

// Each test that a page of the docs names is there. A trailing … stands for any ending.
func TestDocsNameTests(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	var inCode []string
	for _, s := range sources(t) {
		for _, m := range declared.FindAllStringSubmatch(s.text, -1) {
			inCode = append(inCode, m[1])
		}
	}
	tools, err := filepath.Glob("../tools/*/*_test.go") // modules of their own
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tools {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			inCode = append(inCode, m[1])
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)(…?)`")
	for _, page := range []string{"security.md", "guarantees.md", "extending.md", "inngest.md"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("want tests named in %s, found none", page)
		}
		for _, m := range found {
			there := func(name string) bool { return name == m[1] || (m[2] != "" && strings.HasPrefix(name, m[1])) }
			if !slices.ContainsFunc(inCode, there) {
				t.Errorf("docs/%s names %s, which is not in the code", page, m[1]+m[2])
			}
		}
	}
}
