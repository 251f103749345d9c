package test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const lastSignIn = "../examples/lastsignin"

// docs/extending.md promises a function in under 40 lines, and shows the program that TestExtending runs.
func TestExtendingPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/extending.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(lastSignIn + "/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+string(program)+"```\n") {
		t.Errorf("want docs/extending.md to show %s/main.go as it is", lastSignIn)
	}
	if got := strings.Count(string(program), "\n"); got >= 40 {
		t.Errorf("%s/main.go: want under 40 lines, got %d", lastSignIn, got)
	}
}

// A signed webhook of a type that clerksync does nothing with runs a function of somebody else's, whose field stays through
// clerksync's own writes.
func TestExtending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	program := filepath.Join(t.TempDir(), "lastsignin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, lastSignIn).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", lastSignIn, err, out)
	}
	addr := "127.0.0.1:" + freePort(t)
	app := start(t, []string{
		"ADDR=" + addr, "INNGEST_DEV=" + w.devURL, "DATABASE_URI=" + w.dbURI, "DATABASE_NAME=" + w.users.Database().Name(),
	}, program)
	register := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+addr+"/api/inngest", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	waitFor(t, "the example to tell the Dev Server of its function", func() bool { return register() == http.StatusOK })
	waitFor(t, "the example's function at the Dev Server", func() bool {
		return strings.Contains(w.askInngest(`{ functions { slug } }`), "my-app-last-sign-in")
	})

	id, noon := newID("user"), time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	signIn := func(at time.Time) {
		w.send("session.created", map[string]any{"id": newID("sess"), "user_id": id, "created_at": at.UnixMilli(), "status": "active"})
	}
	has := func(at time.Time) func() bool {
		return func() bool {
			got, ok := w.doc(id)["last_sign_in"].(bson.DateTime)
			return ok && got.Time().Equal(at)
		}
	}
	// The sign-in comes before the user: it waits, and does not make a document of its own.
	signIn(noon)
	waitFor(t, "the function to be tried", func() bool { return strings.Contains(app.output(), mongo.ErrNoDocuments.Error()) })
	if doc := w.doc(id); doc != nil {
		t.Errorf("want no document before the user is there, got %v", doc)
	}
	w.do("created", "user.created", map[string]any{"id": id, "updated_at": 10, "first_name": "Ann"})
	waitFor(t, "the sign-in in the document", has(noon))
	signIn(noon.Add(time.Hour))
	waitFor(t, "the newer sign-in in the document", has(noon.Add(time.Hour)))
	signIn(noon.Add(-time.Hour))
	waitFor(t, "all sign-ins to be worked on", func() bool {
		return strings.Count(w.askInngest(`{ eventsV2(first: 40, filter: {from: "2020-01-01T00:00:00Z", eventNames: ["clerk/session.created"]}) `+
			`{ edges { node { runs { status } } } } }`), `"COMPLETED"`) == 3
	})
	w.do("updated", "user.updated", map[string]any{"id": id, "updated_at": 20, "first_name": "Anna"})
	want := bson.M{"_id": id, "username": id, "first_name": "Anna", "full_name": "Anna", "last_sign_in": bson.NewDateTimeFromTime(noon.Add(time.Hour))}
	if d := cmp.Diff(want, w.doc(id)); d != "" {
		t.Errorf("document (-want +got)\n%s", d)
	}
}
