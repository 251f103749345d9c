package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	svix "github.com/svix/svix-webhooks/go"
)

const (
	testSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// bridge stands in for the server: it verifies as Svix says and keeps what it got.
type bridge struct {
	*httptest.Server
	status int // of the answer to a verified webhook

	mu  sync.Mutex
	got []verified
}

type verified struct {
	id, event string
	data      map[string]any
}

func (v verified) userID() string {
	id, _ := v.data["id"].(string)
	return id
}

// setupBridge is a bridge for the secret, and an empty working directory.
func setupBridge(t *testing.T, secret string) *bridge {
	t.Helper()
	t.Chdir(t.TempDir())
	verifier, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{status: http.StatusOK}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST "+webhookPath, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"`+err.Error()+`"}`)
			return
		}
		var envelope struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(body, &envelope); err != nil {
			t.Error(err)
		}
		id := r.Header.Get("Svix-Id")
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got = append(b.got, verified{id, envelope.Type, envelope.Data})
		w.WriteHeader(b.status)
		_, _ = io.WriteString(w, "{\"id\":\""+id+"\"}\n\x1b[31m")
	})
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

// trigger calls the command with the bridge's URL and secret.
func (b *bridge) trigger(t *testing.T, args ...string) outcome {
	t.Helper()
	return call(t, []string{"CLERK_WEBHOOK_SECRET=" + testSecret}, "", append([]string{"trigger", "--url", b.URL}, args...)...)
}

// take returns what came since the last call.
func (b *bridge) take() []verified {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

// users are the users of all that came since the last call, each once, in order of their ids.
func (b *bridge) users() []string {
	var ids []string
	for _, v := range b.take() {
		ids = append(ids, v.userID())
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestTriggerEventsInARowActOnOneUser(t *testing.T) {
	b := setupBridge(t, testSecret)
	var all []verified
	for _, event := range []string{eventCreated, eventUpdated, eventDeleted} {
		o := b.trigger(t, event)
		got := b.take()
		if len(got) != 1 || got[0].event != event {
			t.Fatalf("webhooks: want one %s, got %v", event, got)
		}
		want := "200  " + event + "  " + got[0].userID() + "  " + got[0].id + `  {"id":"` + got[0].id + `"} [31m` + "\n"
		if d := cmp.Diff(outcome{stdout: want}, o, cmp.AllowUnexported(outcome{})); d != "" {
			t.Errorf("outcome (-want +got)\n%s", d)
		}
		all = append(all, got...)
	}
	for _, v := range all[1:] {
		if v.userID() != all[0].userID() {
			t.Errorf("user of %s: want %s, got %s", v.event, all[0].userID(), v.userID())
		}
		if v.id == all[0].id {
			t.Errorf("message id of %s: want a new one, got that of %s", v.event, all[0].event)
		}
	}
	b.trigger(t, eventCreated).want(t, 0)
	if u := b.take()[0].userID(); u == all[0].userID() {
		t.Errorf("another user.created: want a new user, got %s again", u)
	}
}

func TestTriggerFlagsShapeThePayload(t *testing.T) {
	b := setupBridge(t, testSecret)
	b.trigger(t, eventUpdated, "--id", "user_7", "--email", "ann@example.com",
		"--set", "first_name=null", "--set", `last_name="O'Brien, \"Jr\""`, "--set", `public_metadata={"a":[1,2],"b":12345678901234567890}`).want(t, 0, "user_7")
	got := b.take()[0].data
	if first, there := got["first_name"]; first != nil || !there {
		t.Errorf("first_name: want null, got %v (there: %t)", first, there)
	}
	if d := cmp.Diff(map[string]any{"a": []any{1.0, 2.0}, "b": 12345678901234567890.0}, got["public_metadata"]); d != "" {
		t.Errorf("public_metadata (-want +got)\n%s", d)
	}
	if want := `O'Brien, "Jr"`; got["last_name"] != want {
		t.Errorf("last_name: want %s, got %v", want, got["last_name"])
	}
	if email := got["email_addresses"].([]any)[0].(map[string]any)["email_address"]; email != "ann@example.com" {
		t.Errorf("email: want ann@example.com, got %v", email)
	}
	// --id names the last user, too.
	b.trigger(t, eventDeleted).want(t, 0, "user_7")
}

func TestTriggerSendsGivenData(t *testing.T) {
	const data = `{"id": "user_9", "first_name": "Zoë", "big": 12345678901234567890}`
	want := map[string]any{"id": "user_9", "first_name": "Zoë", "big": 12345678901234567890.0}
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  map[string]any
	}{
		"a file":                       {"", []string{"--data", "data.json"}, want},
		"standard input":               {data, []string{"--data", "-"}, want},
		"of a whole webhook its data":  {`{"type": "user.deleted", "data": ` + data + `}`, []string{"--data", "-"}, want},
		"--id and --set come after it": {data, []string{"--data", "-", "--id", "user_1", "--set", "first_name=1"}, map[string]any{"id": "user_1", "first_name": 1.0, "big": 12345678901234567890.0}},
		"data of no user":              {`{"deleted":true}`, []string{"--data=-"}, map[string]any{"deleted": true}},
	} {
		t.Run(name, func(t *testing.T) {
			b := setupBridge(t, testSecret)
			if err := os.WriteFile("data.json", []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"trigger", eventUpdated, "--url", b.URL}, tt.args...)
			call(t, []string{"CLERK_WEBHOOK_SECRET=" + testSecret}, tt.stdin, args...).want(t, 0, "200")
			if d := cmp.Diff(tt.want, b.take()[0].data); d != "" {
				t.Errorf("data (-want +got)\n%s", d)
			}
		})
	}
}

func TestTriggerCount(t *testing.T) {
	b := setupBridge(t, testSecret)
	b.trigger(t, eventCreated, "--count", "30", "--concurrency", "4", "--seed", "11").want(t, 0, "30 webhooks in ", "30 answered 200")
	created := b.users()
	if len(created) != 30 {
		t.Errorf("users: want 30, got %v", created)
	}
	b.trigger(t, eventUpdated, "--count", "30").want(t, 0)
	if d := cmp.Diff(created, b.users()); d != "" {
		t.Errorf("users of the updates (-want +got)\n%s", d)
	}
	b.trigger(t, eventCreated, "--count", "30", "--seed", "11").want(t, 0)
	if d := cmp.Diff(created, b.users()); d != "" {
		t.Errorf("users of the same seed (-want +got)\n%s", d)
	}
	b.trigger(t, eventDeleted).want(t, 0)
	b.trigger(t, eventUpdated, "--count", "3").want(t, 0, "3 answered 200")
	if users := b.users(); len(users) != 1 {
		t.Errorf("users after a trigger of one: want that one, got %v", users)
	}
}

func TestTriggerDryRunPrintsACurlCommand(t *testing.T) {
	b := setupBridge(t, testSecret)
	o := b.trigger(t, eventCreated, "--dry-run", "--set", `first_name="it's \"$HOME\" \\ `+"`id`"+`!"`)
	o.want(t, 0, "curl ")
	if got := b.take(); len(got) > 0 {
		t.Fatalf("dry run: want nothing sent, got %v", got)
	}
	if _, err := os.Stat(stateDir); err == nil {
		t.Errorf("dry run: want no %s", stateDir)
	}
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", o.stdout).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "200 OK") {
		t.Fatalf("curl: want 200 OK, got %v\n%s", err, out)
	}
	got := b.take()
	if want := `it's "$HOME" \ ` + "`id`!"; len(got) != 1 || got[0].data["first_name"] != want {
		t.Errorf("first_name: want %s, got %v", want, got)
	}
}

func TestTriggerReportsWhatIsRefused(t *testing.T) {
	b := setupBridge(t, testSecret)
	b.status = http.StatusServiceUnavailable
	b.trigger(t, eventCreated).want(t, 1, "503  user.created", "the webhook was not accepted")
	b.trigger(t, eventCreated, "--count", "3").want(t, 1, "3 of 3 webhooks were not accepted", "3 answered 503")
	b.trigger(t, eventUpdated).want(t, 1, "user.updated needs a user") // none was accepted

	b.status = http.StatusFound
	b.trigger(t, eventCreated).want(t, 1, "302  user.created")

	o := call(t, []string{"CLERK_WEBHOOK_SECRET=" + otherSecret}, "", "trigger", eventCreated, "--url", b.URL)
	o.want(t, 1, "401  user.created", "the server does not take the secret from CLERK_WEBHOOK_SECRET")

	b.Close()
	b.trigger(t, eventCreated).want(t, 1, "---  user.created", "connection refused", "nothing listens at "+b.URL)
}

func TestTriggerFindsTheSecret(t *testing.T) {
	writeDevState := func(t *testing.T, b *bridge) {
		t.Helper()
		state, err := json.Marshal(devState{WebhookURL: b.URL + webhookPath, WebhookSecret: testSecret})
		if err == nil {
			err = writeState(devStateFile, state)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("the first of several in the environment", func(t *testing.T) {
		b := setupBridge(t, testSecret)
		call(t, []string{"CLERK_WEBHOOK_SECRET=" + testSecret + "," + otherSecret}, "", "trigger", eventCreated, "--url", b.URL+webhookPath).want(t, 0)
	})
	t.Run(".env", func(t *testing.T) {
		b := setupBridge(t, testSecret)
		if err := os.WriteFile(".env", []byte("CLERK_WEBHOOK_SIGNING_SECRET="+testSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		call(t, nil, "", "trigger", eventCreated, "--url", b.URL).want(t, 0)
	})
	t.Run("a running dev tells its URL and secret", func(t *testing.T) {
		b := setupBridge(t, testSecret)
		writeDevState(t, b)
		call(t, nil, "", "trigger", eventCreated).want(t, 0, "200")
	})
	t.Run("the environment goes before dev", func(t *testing.T) {
		b := setupBridge(t, otherSecret)
		writeDevState(t, b)
		call(t, []string{"CLERK_WEBHOOK_SECRET=" + otherSecret}, "", "trigger", eventCreated).want(t, 0, "200")
	})
	t.Run("a dev that was killed does not count", func(t *testing.T) {
		b := setupBridge(t, testSecret)
		writeDevState(t, b)
		b.Close()
		call(t, nil, "", "trigger", eventCreated).want(t, 1, "no webhook secret", "clerksync dev", "CLERK_WEBHOOK_SECRET")
		call(t, []string{"CLERK_WEBHOOK_SECRET=" + testSecret, "PORT=4711"}, "", "trigger", eventCreated, "--dry-run").
			want(t, 0, "'http://localhost:4711"+webhookPath+"'")
	})
}

func TestTriggerKeepsItsStateToItself(t *testing.T) {
	b := setupBridge(t, testSecret)
	b.trigger(t, eventCreated).want(t, 0)
	for path, want := range map[string]os.FileMode{stateDir: 0o700, statePath(lastUsersFile): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); want != got {
			t.Errorf("mode of %s: want %o, got %o", path, want, got)
		}
	}
	if _, err := os.Stat(filepath.Join(stateDir, ".gitignore")); err != nil {
		t.Error(err)
	}
}

func TestTriggerUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no event":                {nil, "which event? user.created, user.updated, user.deleted"},
		"unknown event":           {[]string{"user.create"}, "there are user.created, user.updated, user.deleted"},
		"two events":              {[]string{eventCreated, eventUpdated}, `unexpected argument "user.updated"`},
		"unknown flag":            {[]string{eventCreated, "--nope"}, "nope"},
		"--set without value":     {[]string{eventCreated, "--set", "first_name"}, "KEY=JSON"},
		"--set of a bare string":  {[]string{eventCreated, "--set", "first_name=Ann"}, `--set 'first_name="Ann"'`},
		"--count 0":               {[]string{eventCreated, "--count", "0"}, "at least 1"},
		"--concurrency 0":         {[]string{eventCreated, "--concurrency", "0"}, "at least 1"},
		"--email of no address":   {[]string{eventCreated, "--email", "ann"}, "no email address"},
		"--email of a deletion":   {[]string{eventDeleted, "--email", "a@example.com"}, "--email is for"},
		"--email with given data": {[]string{eventCreated, "--email", "a@example.com", "--data", "-"}, "--email is for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			call(t, nil, "", append([]string{"trigger"}, tt.args...)...).want(t, 2, tt.want, "see clerksync trigger --help")
		})
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a file that is not there": {[]string{"--data", "nope.json"}, "nope.json"},
		"data that is no object":   {[]string{"--data", "-"}, "standard input is not one JSON object"},
		"a URL that is none":       {[]string{"--url", "localhost:3000"}, "not an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			args := append([]string{"trigger", eventCreated}, tt.args...)
			call(t, []string{"CLERK_WEBHOOK_SECRET=" + testSecret}, "[1]", args...).want(t, 1, tt.want)
		})
	}
}
