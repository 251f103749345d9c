package clerk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

func startClerk(t *testing.T, o clerk.APIOptions) (*clerktest.Clerk, *clerk.API) {
	t.Helper()
	c := clerktest.New()
	t.Cleanup(c.Close)
	o.URL = c.URL
	return c, clerk.NewAPI(clerktest.Key, o)
}

// fill makes n users: perMilli of them in each millisecond.
func fill(c *clerktest.Clerk, n, perMilli int) {
	for i := range n {
		c.Put(clerktest.User{
			ID: fmt.Sprintf("user_%06d", i), CreatedAt: 1_700_000_000_000 + int64(i/perMilli), UpdatedAt: 1_700_000_000_000,
			FirstName: "Ann", Email: fmt.Sprintf("ann%d@example.com", i),
		})
	}
}

// walk is how often each user was listed; between is called after each page.
func walk(t *testing.T, api *clerk.API, between func(page int)) map[string]int {
	t.Helper()
	seen := map[string]int{}
	var at clerk.Position
	for n := 0; ; n++ {
		p, err := api.Users(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range p.Users {
			seen[u.ID]++
		}
		for _, u := range p.Malformed {
			seen[u.ID]++
		}
		if p.Last {
			return seen
		}
		if n > 50 {
			t.Fatal("the walk does not end")
		}
		at = p.Next
		between(n)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ users, perMilli int }{
		{0, 1}, {1, 1}, {499, 1}, {500, 1}, {501, 1}, {1000, 1}, {2345, 1}, {2345, 7}, {2000, 499}, {2000, 500}, {2000, 501}, {2600, 1300}, {1500, 1500},
	} {
		t.Run(fmt.Sprintf("%d users, %d in a millisecond", tt.users, tt.perMilli), func(t *testing.T) {
			t.Parallel()
			c, api := startClerk(t, clerk.APIOptions{})
			fill(c, tt.users, tt.perMilli)
			want := map[string]int{}
			for _, u := range c.Users() {
				want[u.ID] = 1
			}
			got := walk(t, api, func(int) {})
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("how often each user was listed (-want +got)\n%s", d)
			}
			if most := tt.users/clerk.MaxPage*2 + 8; c.Requests() > most {
				t.Errorf("want at most %d requests, got %d", most, c.Requests())
			}
		})
	}
}

// Users that are there all the time are in exactly one page, whatever happens to the others. Where a page and more share a
// millisecond, a deleted cursor makes some of them come twice.
func TestWalkWhileUsersChange(t *testing.T) {
	t.Parallel()
	for _, perMilli := range []int{1, 9, 700} {
		t.Run(fmt.Sprintf("%d in a millisecond", perMilli), func(t *testing.T) {
			t.Parallel()
			c, api := startClerk(t, clerk.APIOptions{})
			fill(c, 4000, perMilli)
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			gone := map[string]bool{}
			got := walk(t, api, func(page int) {
				all := c.Users()
				for range 150 {
					u := all[r.IntN(len(all))]
					gone[u.ID] = true
					c.Delete(u.ID)
				}
				if page < 20 { // else there is no end to it
					c.Put(clerktest.User{ID: fmt.Sprintf("user_new%d", page), CreatedAt: 1_800_000_000_000 + int64(page)})
				}
			})
			for _, u := range c.Users() {
				if n := got[u.ID]; n < 1 || (n > 1 && perMilli < clerk.MaxPage) {
					t.Errorf("%s: want it listed once, got %d times", u.ID, n)
				}
			}
			if len(gone) == 0 {
				t.Error("want users deleted during the walk")
			}
		})
	}
}

func TestWalkGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	c, api := startClerk(t, clerk.APIOptions{})
	fill(c, 1200, 3)
	first, err := api.Users(t.Context(), clerk.Position{})
	if err != nil {
		t.Fatal(err)
	}
	again := clerk.NewAPI(clerktest.Key, clerk.APIOptions{URL: c.URL})
	second, err := again.Users(t.Context(), first.Next)
	if err != nil {
		t.Fatal(err)
	}
	if second.Users[0].ID == "" || slices.ContainsFunc(second.Users, func(u clerk.User) bool { return u.ID == first.Users[499].ID }) {
		t.Error("want the second page to begin after the first")
	}
}

func TestAPIFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault clerktest.Fault
	}{
		{"busy, and says for how long", clerktest.Fault{Status: 429, RetryAfter: 1}},
		{"busy", clerktest.Fault{Status: 429}},
		{"broken", clerktest.Fault{Status: 500}},
		{"bad gateway", clerktest.Fault{Status: 502}},
		{"cut off", clerktest.Fault{Truncate: true}},
		{"hangs", clerktest.Fault{Hang: true}},
		{"garbage", clerktest.Fault{Garbage: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, api := startClerk(t, clerk.APIOptions{Timeout: 500 * time.Millisecond})
			fill(c, 3, 1)
			c.Fault(func(n int, _ *http.Request) clerktest.Fault {
				if n < 2 {
					return tt.fault
				}
				return clerktest.Fault{}
			})
			start := time.Now()
			p, err := api.Users(t.Context(), clerk.Position{})
			if err != nil || len(p.Users) != 3 {
				t.Fatalf("want 3 users after two faults, got %d and %v", len(p.Users), err)
			}
			if want := time.Duration(2*tt.fault.RetryAfter) * time.Second; time.Since(start) < want {
				t.Errorf("want Retry-After kept, two times a second, got %v", time.Since(start))
			}
			if c.Requests() != 3 {
				t.Errorf("want 3 requests, got %d", c.Requests())
			}
		})
		t.Run(tt.name+" for good", func(t *testing.T) {
			t.Parallel()
			c, api := startClerk(t, clerk.APIOptions{Timeout: 100 * time.Millisecond, Patience: 300 * time.Millisecond})
			fill(c, 3, 1)
			c.Fault(func(int, *http.Request) clerktest.Fault { return tt.fault })
			_, err := api.Users(t.Context(), clerk.Position{})
			if err == nil {
				t.Fatal("want an error")
			}
			for _, hidden := range []string{"canary", clerktest.Key, "http://"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("want no %q in the error, got %v", hidden, err)
				}
			}
		})
	}
	t.Run("what no repetition can help is not repeated", func(t *testing.T) {
		t.Parallel()
		c, _ := startClerk(t, clerk.APIOptions{})
		_, err := clerk.NewAPI("sk_live_other", clerk.APIOptions{URL: c.URL}).Users(t.Context(), clerk.Position{})
		if !errors.Is(err, clerk.ErrUnauthorized) || c.Requests() != 1 {
			t.Errorf("want ErrUnauthorized after one request, got %v after %d", err, c.Requests())
		}
	})
	t.Run("a call ends with its context", func(t *testing.T) {
		t.Parallel()
		c, api := startClerk(t, clerk.APIOptions{})
		c.Fault(func(int, *http.Request) clerktest.Fault { return clerktest.Fault{Status: 429, RetryAfter: 3600} })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := api.Count(ctx); err == nil {
			t.Error("want an error")
		}
	})
}

// A server that does not keep to what the walk rests on ends it with an error: no user is passed over in silence.
func TestWalkRefusesDisorder(t *testing.T) {
	t.Parallel()
	user := func(n int) string { return fmt.Sprintf(`{"id":"user_%d","created_at":%d}`, n, n) }
	for _, tt := range []struct {
		name, body string
		at         clerk.Position
		want       string
	}{
		{"before the page", "[" + user(5) + "]", clerk.Position{After: 7}, "created_at"},
		{"not in order", "[" + user(9) + "," + user(8) + "]", clerk.Position{After: 7}, "created_at"},
		{"the cursor itself", "[" + user(8) + "]", clerk.Position{After: 7, Cursor: "user_8"}, "created_at"},
		{"no created_at", `[{"id":"user_8"}]`, clerk.Position{}, "users[0].created_at: want integer, got nothing"},
		{"no object", `["canary"]`, clerk.Position{}, "users[0]: want object, got string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tt.body) }))
			t.Cleanup(s.Close)
			_, err := clerk.NewAPI(clerktest.Key, clerk.APIOptions{URL: s.URL}).Users(t.Context(), tt.at)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("want an error about %q, got %v", tt.want, err)
			}
		})
	}
}

func TestMalformedUsersAreListedApart(t *testing.T) {
	t.Parallel()
	c, api := startClerk(t, clerk.APIOptions{})
	fill(c, 2, 1)
	c.Put(clerktest.User{ID: "user_bad", CreatedAt: 1_700_000_000_001, Raw: `{"id":"user_bad","created_at":1700000000001,"first_name":["canary"]}`})
	p, err := api.Users(t.Context(), clerk.Position{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Users) != 2 || len(p.Malformed) != 1 || p.Malformed[0].ID != "user_bad" || !errors.Is(p.Malformed[0].Err, clerk.ErrMalformed) {
		t.Errorf("want two users and user_bad, got %+v", p)
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	c, api := startClerk(t, clerk.APIOptions{})
	fill(c, 700, 1)
	ctx := t.Context()
	if n, err := api.Count(ctx); n != 700 || err != nil {
		t.Errorf("count: want 700, got %d and %v", n, err)
	}
	if i, err := api.Instance(ctx); i.ID != "ins_clerktest" || i.Environment != "production" || err != nil {
		t.Errorf("instance: got %+v and %v", i, err)
	}
	// Signs before an id mean something to Clerk, and a list without the filter would be anybody.
	for _, ids := range [][]string{{"user_000001", "user_none", "-user_000002"}, {"+user_000001", "user_000001"}} {
		users, err := api.UsersByID(ctx, ids)
		if err != nil || len(users) != 1 || users[0].ID != "user_000001" {
			t.Errorf("%v: want user_000001, got %v and %v", ids, users, err)
		}
	}
	if users, err := api.UsersByID(ctx, []string{"", "-x"}); len(users) > 0 || err != nil {
		t.Errorf("want nobody, got %d users and %v", len(users), err)
	}
	for id, want := range map[string]bool{"user_000001": false, "user_none": true, "../instance": true} {
		if gone, err := api.Gone(ctx, id); gone != want || err != nil {
			t.Errorf("gone %s: want %v, got %v and %v", id, want, gone, err)
		}
	}
	// A 404 that is not Clerk's own says nothing about the user.
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	if gone, err := clerk.NewAPI(clerktest.Key, clerk.APIOptions{URL: s.URL}).Gone(ctx, "user_000001"); gone || err == nil {
		t.Errorf("want an error about a stranger's 404, got %v and %v", gone, err)
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	c, api := startClerk(t, clerk.APIOptions{})
	if at, err := api.Newest(t.Context()); !at.IsZero() || err != nil {
		t.Errorf("nobody: want no time, got %v and %v", at, err)
	}
	c.Put(clerktest.User{ID: "user_1", CreatedAt: 2000, UpdatedAt: 9000})
	c.Put(clerktest.User{ID: "user_2", CreatedAt: 3000, UpdatedAt: 3000})
	c.Put(clerktest.User{ID: "user_3", CreatedAt: 1000, UpdatedAt: 1000})
	if at, err := api.Newest(t.Context()); at.UnixMilli() != 3000 || err != nil {
		t.Errorf("want 3000, got %d and %v", at.UnixMilli(), err)
	}
}
