//go:build unix

package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/store/embedded"
)

// crowd is a Clerk of many users who change while they are read, and an API that fails in every way that it can.
type crowd struct {
	*clerktest.Clerk
	mu      sync.Mutex
	next    int             // the number of the next new user
	touched map[string]bool // users who were changed or deleted since they were made
	pages   []string        // that were asked for, by where they begin
}

// manyUsers are what the commands must read in constant memory: a hundred thousand in make test-users. The embedded database takes
// minutes for those, since it can be asked for one document at a time only.
var manyUsers = func() int {
	n, err := strconv.Atoi(os.Getenv("CLERKSYNC_USERS"))
	if err != nil {
		return 10_000
	}
	return n
}()

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{Clerk: clerktest.New(), touched: map[string]bool{}}
	t.Cleanup(c.Close)
	return c
}

func (c *crowd) user(n int) clerktest.User {
	id := fmt.Sprintf("user_%07d", n)
	return clerktest.User{
		ID: id, CreatedAt: 1_700_000_000_000 + int64(n)/3, UpdatedAt: 1_700_000_000_000 + int64(n), // three in a millisecond
		FirstName: "Ann", LastName: fmt.Sprint(n), Email: id + "@example.com", ImageURL: "https://img.example.com/" + id,
	}
}

// churn makes, changes and deletes a few users, new and old.
func (c *crowd) churn(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range 3 {
		c.Put(c.user(c.next))
		c.next++
		changed := c.user((n*7919 + i*331) % manyUsers)
		if !c.touched[changed.ID] {
			changed.LastName, changed.UpdatedAt = "Changed", changed.UpdatedAt+1_000_000
			c.Put(changed)
			c.touched[changed.ID] = true
		}
		deleted := c.user((n*104729 + i*773) % manyUsers).ID
		if !c.touched[deleted] {
			c.Delete(deleted)
			c.touched[deleted] = true
		}
	}
}

// misbehave changes users at every other request, and fails many.
func (c *crowd) misbehave(n int, r *http.Request) clerktest.Fault {
	if r.URL.Path == "/v1/users" {
		c.mu.Lock()
		c.pages = append(c.pages, r.URL.Query().Get("created_at_after"))
		c.mu.Unlock()
	}
	if n%2 == 0 {
		c.churn(n)
	}
	switch {
	case n%41 == 7:
		return clerktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: 1}
	case n%37 == 5:
		return clerktest.Fault{Status: http.StatusBadGateway}
	case n%31 == 3:
		return clerktest.Fault{Truncate: true}
	case n%29 == 11:
		return clerktest.Fault{Garbage: true}
	case n == 20:
		return clerktest.Fault{Hang: true}
	}
	return clerktest.Fault{}
}

func (c *crowd) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pages)
}

// plainBinary is clerksync without the race detector, which takes a multiple of the memory.
var plainBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "plain")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", path, "../cmd/clerksync")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build clerksync: %w\n%s", err, out)
	}
	return path, nil
})

// Many users who change while they are read, by an API that fails, with a kill in the middle. Nothing is missed, nothing is
// stale, and it takes a bounded memory.
func TestManyUsersInAStream(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URI") != "" {
		t.Skip("the files of the embedded database are needed")
	}
	c := newCrowd(t)
	db := newDatabase(t, unlimited)
	w := &world{t: t}
	db.use(w)
	w.connect()
	program, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) *process {
		env := []string{"DATABASE_URI=" + w.dbURI, "CLERK_SECRET_KEY=" + clerktest.Key, "CLERK_API_URL=" + c.URL}
		return start(t, env, program, args...)
	}
	most := 0
	end := func(want int, p *process) {
		t.Helper()
		peak := p.watchMemory()
		most = max(most, peak)
		if want != p.exitCode {
			t.Fatalf("exit code of %v: want %d, got %d\n%.4000s", p.cmd.Args[1:], want, p.exitCode, p.output())
		}
		// A user is some 1.4 kB of JSON: a hundred thousand are 140 MB, and several times that when decoded.
		if limit := 192 << 10; peak > limit {
			t.Errorf("memory of %v: want at most %d kB, got %d", p.cmd.Args[1:], limit, peak)
		}
	}

	end(0, run("backfill")) // of nobody, which makes the collections
	if err := embedded.IndexIDs(t.Context(), db.dir, "glowup", "users"); err != nil {
		t.Fatal(err)
	}
	for ; c.next < manyUsers; c.next++ {
		c.Put(c.user(c.next))
	}
	c.Fault(c.misbehave)
	killed := run("backfill")
	waitUpTo(t, time.Duration(1+manyUsers/20_000)*deadline, "two thirds of the pages", func() bool { return c.asked() > manyUsers/clerk.MaxPage*2/3 })
	killed.kill()
	<-killed.done
	asked := c.asked()
	end(0, run("backfill"))
	c.Fault(nil)
	if asked >= len(c.pages) || c.pages[asked] == c.pages[0] {
		t.Errorf("want the second backfill to go on where the first one was, of its pages %v it began anew after %d", c.pages, asked)
	}

	// Whoever has not changed since is here, exactly.
	there := w.all("users")
	for _, u := range c.Users() {
		if d := cmp.Diff(document(u), there[u.ID]); d != "" && !c.touched[u.ID] {
			t.Fatalf("after the backfill, document of %s, who has not changed (-want +got)\n%s", u.ID, d)
		}
	}
	// Who changed or left behind the reader's back is drift, to be found to the last one.
	drift := map[string]bool{}
	for _, u := range c.Users() {
		if !cmp.Equal(document(u), there[u.ID]) {
			drift[u.ID] = true
		}
		delete(there, u.ID)
	}
	for id := range there {
		drift[id] = true // deleted at Clerk
	}
	if len(drift) == 0 {
		t.Fatal("want users that have changed since they were read, there are none")
	}
	repair := run("reconcile", "--repair", "--delete", "--yes", "--settle", "0s", "--json")
	end(2, repair)
	repair.mu.Lock()
	for _, l := range repair.lines {
		if id := l.str("user_id"); id != "" {
			if !drift[id] || l["repaired"] != true {
				t.Errorf("want only drift found, and repaired, got %v", l)
			}
			delete(drift, id)
		}
	}
	repair.mu.Unlock()
	if len(drift) > 0 {
		t.Errorf("want all drift found, %d users were not, such as %v", len(drift), first(drift))
	}
	end(0, run("reconcile", "--settle", "0s"))
	want := map[string]bson.M{}
	for _, u := range c.Users() {
		want[u.ID] = document(u)
	}
	if d := cmp.Diff(want, w.all("users")); d != "" {
		t.Errorf("documents (-want +got)\n%.4000s", d)
	}
	t.Logf("%d users, %d of them changed or deleted meanwhile; killed after %d pages of %d; at most %d MB of memory",
		c.next, len(c.touched), asked, len(c.pages), most>>10)
}

// watchMemory waits for the program's end and returns its peak, in kB, where Linux tells. What Wait reports of a child counts the
// test's own memory, from before the child's exec.
func (p *process) watchMemory() (peak int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return peak
		case <-tick.C:
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
			if m := highWater.FindSubmatch(status); err == nil && m != nil {
				peak, _ = strconv.Atoi(string(m[1]))
			}
		}
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func first(set map[string]bool) string {
	for id := range set {
		return id
	}
	return ""
}

// document is what an application must read of a user.
func document(u clerktest.User) bson.M {
	return bson.M{
		"_id": u.ID, "username": strings.TrimSuffix(u.Email, "@example.com"), "email": u.Email, "first_name": u.FirstName, "last_name": u.LastName,
		"full_name": u.FirstName + " " + u.LastName, "profile_picture": u.ImageURL,
	}
}
