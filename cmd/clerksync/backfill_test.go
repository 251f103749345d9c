package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/store/embedded"
)

// clerkAndDatabase are those that a command needs, and the environment that names them.
func clerkAndDatabase(t *testing.T) (*clerktest.Clerk, []string) {
	t.Helper()
	db, err := embedded.Start(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	c := clerktest.New()
	t.Cleanup(func() {
		c.Close()
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c, []string{"DATABASE_URI=" + db.URI() + "glowup", "CLERK_SECRET_KEY=" + clerktest.Key, "CLERK_API_URL=" + c.URL}
}

func put(c *clerktest.Clerk, n int, firstName string) {
	id := fmt.Sprintf("user_%d", n)
	c.Put(clerktest.User{ID: id, CreatedAt: 1_700_000_000_000 + int64(n), UpdatedAt: 1_700_000_000_000, FirstName: firstName, Email: id + "@example.com"})
}

func TestBackfillCommand(t *testing.T) {
	t.Parallel()
	c, environ := clerkAndDatabase(t)
	for n := range 3 {
		put(c, n, "Ann")
	}
	call(t, environ, "", "backfill", "--dry-run").want(t, 0, "backfill, nothing written: created 3, updated 0, unchanged 0, failed 0 (")
	call(t, environ, "", "backfill").want(t, 0, "backfill: created 3, updated 0, unchanged 0, failed 0 (", "0 of 3 users\n")
	call(t, environ, "", "backfill", "--since", "1h").want(t, 0, "unchanged 0, failed 0, not changed since 3 (")
	c.Put(clerktest.User{ID: "user_bad", CreatedAt: 1_700_000_000_009, Raw: `{"id":"user_bad","created_at":1700000000009,"first_name":["canary"]}`})
	bad := call(t, environ, "", "backfill")
	bad.want(t, 1, "unchanged 3, failed 1 (", `"user_id":"user_bad"`, "data.first_name: want string, got array", "1 users were not written")
	if strings.Contains(bad.stdout+bad.stderr, "canary") {
		t.Errorf("want no personal data shown, got %s", bad.stderr)
	}
}

func TestBackfillIsCalledWrongly(t *testing.T) {
	t.Parallel()
	c, environ := clerkAndDatabase(t)
	call(t, environ, "", "backfill", "--since", "yesterday").want(t, exitUsage, "2026-01-31T12:00:00Z", "--help")
	call(t, environ, "", "backfill", "now").want(t, exitUsage, `unexpected argument "now"`)
	call(t, environ[:1], "", "backfill").want(t, 1, "CLERK_SECRET_KEY is missing")
	call(t, append([]string{"CLERK_SECRET_KEY=sk_live_other"}, environ[0], environ[2]), "", "backfill").want(t, 1, "clerk does not accept CLERK_SECRET_KEY")
	c.Fault(func(int, *http.Request) clerktest.Fault { return clerktest.Fault{Status: http.StatusForbidden} })
	call(t, environ, "", "backfill").want(t, 1, "count users: clerk answered with status 403 (internal_clerk_error)")
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "7d": now.Add(-7 * 24 * time.Hour), "90m": now.Add(-90 * time.Minute), "2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(text, now); !want.Equal(got) || err != nil {
			t.Errorf("%q: want %v, got %v and %v", text, want, got, err)
		}
	}
	for _, text := range []string{"-1h", "yesterday", "2026-01-01"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q: want an error, got %v", text, got)
		}
	}
}

// Elsewhere than on a terminal there is a line at the beginning, and one from time to time; never one per page.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, "users", 10)
	p.at(2)
	p.at(3)
	p.last, p.start = p.last.Add(-time.Minute), p.start.Add(-4*time.Second)
	p.at(6)
	p.last, p.start = p.last.Add(-time.Minute), p.start.Add(-4*time.Second)
	p.at(12) // two were made meanwhile
	p.end()
	if want := "2 of 10 users\n6 of 10 users, 1 a second, 4s left\n12 of 12 users, 1 a second, 0s left\n"; want != out.String() {
		t.Errorf("want %q, got %q", want, out.String())
	}
}
