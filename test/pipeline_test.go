package test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"
)

// emails is Clerk's email_addresses.
func emails(addresses ...string) []any {
	list := []any{}
	for i, a := range addresses {
		list = append(list, map[string]any{"id": fmt.Sprintf("idn_%d", i), "object": "email_address", "email_address": a})
	}
	return list
}

// user is a whole user as Clerk sends it, as far as the sync goes, and some of the rest.
func user(id string, updatedAt int64) map[string]any {
	return map[string]any{
		"id": id, "object": "user", "updated_at": updatedAt, "created_at": 1, "banned": false, "username": nil,
		"first_name": "Ann", "last_name": "Lee", "image_url": "https://img.example.com/" + id,
		"email_addresses": emails("old."+id+"@example.com", id+"@example.com"), "primary_email_address_id": "idn_1",
		"public_metadata": map[string]any{"$set": map[string]any{"a.b": 1}}, "external_accounts": []any{},
	}
}

func TestPipeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := func(t *testing.T, w *world, id string, want bson.M) {
		t.Helper()
		if want != nil {
			want["_id"] = id
		}
		if d := cmp.Diff(want, w.doc(id)); d != "" {
			t.Errorf("document (-want +got)\n%s", d)
		}
	}
	whole := func(id string) bson.M {
		return bson.M{
			"email": id + "@example.com", "username": id, "first_name": "Ann", "last_name": "Lee", "full_name": "Ann Lee",
			"profile_picture": "https://img.example.com/" + id,
		}
	}
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, w *world, id string)
	}{
		{"create, update, delete", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			check(t, w, id, whole(id))
			changed := user(id, 20)
			changed["first_name"] = "Anna"
			w.do("updated", "user.updated", changed)
			want := whole(id)
			want["first_name"], want["full_name"] = "Anna", "Anna Lee"
			check(t, w, id, want)
			w.do("deleted", "user.deleted", map[string]any{"id": id, "deleted": true, "object": "user"})
			check(t, w, id, nil)
		}},
		{"a partial update changes what it carries", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			w.do("updated", "user.updated", map[string]any{"id": id, "updated_at": 20, "image_url": "https://img.example.com/new"})
			want := whole(id)
			want["profile_picture"] = "https://img.example.com/new"
			check(t, w, id, want)
		}},
		{"null clears", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			w.do("updated", "user.updated", map[string]any{
				"id": id, "updated_at": 20, "first_name": nil, "last_name": nil, "image_url": nil, "email_addresses": []any{},
			})
			check(t, w, id, bson.M{"username": id})
		}},
		{"names that are null from the start", func(t *testing.T, w *world, id string) {
			u := user(id, 10)
			u["first_name"], u["last_name"] = nil, nil
			w.do("created", "user.created", u)
			want := whole(id)
			delete(want, "first_name")
			delete(want, "last_name")
			delete(want, "full_name")
			check(t, w, id, want)
		}},
		{"no primary address: the first one", func(t *testing.T, w *world, id string) {
			u := user(id, 10)
			u["primary_email_address_id"] = nil
			w.do("created", "user.created", u)
			want := whole(id)
			want["email"], want["username"] = "old."+id+"@example.com", "old."+id
			check(t, w, id, want)
		}},
		{"an event without the list does not touch the email", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			w.do("unchanged", "user.updated", map[string]any{"id": id, "updated_at": 20, "primary_email_address_id": "idn_0"})
			check(t, w, id, whole(id))
		}},
		{"a phone-only user", func(t *testing.T, w *world, id string) {
			u := user(id, 10)
			u["email_addresses"], u["primary_email_address_id"] = []any{}, nil
			u["phone_numbers"] = []any{map[string]any{"id": "idn_p", "phone_number": "+15555550100"}}
			w.do("created", "user.created", u)
			want := whole(id)
			delete(want, "email")
			check(t, w, id, want)
		}},
		{"Clerk's username", func(t *testing.T, w *world, id string) {
			u := user(id, 10)
			u["username"] = "clerk_" + id
			w.do("created", "user.created", u)
			u["username"], u["updated_at"] = "renamed_"+id, 20
			w.do("unchanged", "user.updated", u)
			want := whole(id)
			want["username"] = "clerk_" + id
			check(t, w, id, want)
		}},
		{"updated before created", func(t *testing.T, w *world, id string) {
			w.do("created", "user.updated", map[string]any{"id": id, "updated_at": 20, "first_name": "Anna"})
			w.do("updated", "user.created", user(id, 10))
			want := whole(id)
			want["first_name"], want["full_name"] = "Anna", "Anna Lee"
			check(t, w, id, want)
		}},
		{"deleted before created", func(t *testing.T, w *world, id string) {
			w.do("deleted", "user.deleted", map[string]any{"id": id, "deleted": true})
			w.do("already deleted", "user.created", user(id, 10))
			check(t, w, id, nil)
		}},
		{"updated after deleted", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			w.do("deleted", "user.deleted", map[string]any{"id": id, "deleted": true})
			w.do("already deleted", "user.updated", user(id, 1<<50))
			w.do("already deleted", "user.deleted", map[string]any{"id": id, "deleted": true})
			check(t, w, id, nil)
		}},
		{"a stale update", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 20))
			stale := user(id, 10)
			stale["first_name"] = "Old"
			w.do("stale", "user.updated", stale)
			check(t, w, id, whole(id))
		}},
		{"an older partial update with a field that the newer one lacked", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", map[string]any{"id": id, "updated_at": 20, "first_name": "Ann"})
			w.do("updated", "user.updated", map[string]any{"id": id, "updated_at": 10, "first_name": "Old", "last_name": "Lee"})
			check(t, w, id, bson.M{"username": id, "first_name": "Ann", "last_name": "Lee", "full_name": "Ann Lee"})
		}},
		{"the same webhook again", func(t *testing.T, w *world, id string) {
			h := webhook{id: newID("msg"), typ: "user.created", data: user(id, 10)}
			for range 3 {
				if want, got := 200, w.post(h).status; want != got {
					t.Errorf("status: want %d, got %d", want, got)
				}
			}
			if want, got := "created", w.outcome(h.id); want != got {
				t.Errorf("outcome: want %q, got %q", want, got)
			}
			w.do("unchanged", "user.created", user(id, 10)) // the same content under another id
			check(t, w, id, whole(id))
		}},
		{"the application's own fields", func(t *testing.T, w *world, id string) {
			w.do("created", "user.created", user(id, 10))
			if _, err := w.users.UpdateByID(t.Context(), id, bson.M{"$set": bson.M{"plan": "pro"}}); err != nil {
				t.Fatal(err)
			}
			w.do("updated", "user.updated", map[string]any{"id": id, "updated_at": 20, "last_name": "Li"})
			want := whole(id)
			want["plan"], want["last_name"], want["full_name"] = "pro", "Li", "Ann Li"
			check(t, w, id, want)
		}},
		{"a document that the application made first", func(t *testing.T, w *world, id string) {
			if _, err := w.users.InsertOne(t.Context(), bson.M{"_id": id, "username": "boss_" + id, "plan": "pro"}); err != nil {
				t.Fatal(err)
			}
			w.do("updated", "user.created", user(id, 10))
			want := whole(id)
			want["plan"], want["username"] = "pro", "boss_"+id
			check(t, w, id, want)
		}},
		{"an event that can never succeed is not retried", func(t *testing.T, w *world, id string) {
			w.do("failed", "user.updated", map[string]any{"id": id, "first_name": []any{"canary"}})
			w.do("failed", "user.created", map[string]any{"first_name": "canary"})
			check(t, w, id, nil)
		}},
		{"other events are taken and change nothing", func(t *testing.T, w *world, id string) {
			w.send("session.created", map[string]any{"id": "sess_1", "user_id": id})
			w.send("something.new", map[string]any{"id": id})
			check(t, w, id, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, w.in(t), strings.ToLower(newID("user")))
		})
	}
	t.Run("fifty users with one local part at once", func(t *testing.T) {
		t.Parallel()
		w := w.in(t)
		var ids, events [50]string
		var g errgroup.Group
		for i := range ids {
			ids[i], events[i] = newID("user"), newID("msg")
			g.Go(func() error {
				a, err := w.tryPost(webhook{id: events[i], typ: "user.created", data: map[string]any{
					"id": ids[i], "email_addresses": emails(fmt.Sprintf("sam@%d.example.com", i)),
				}})
				if err == nil && a.status != 200 {
					err = fmt.Errorf("status: want 200, got %d", a.status)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		names, numbered := map[string]bool{}, regexp.MustCompile(`^sam\d*$`)
		for i, id := range ids {
			if want, got := "created", w.outcome(events[i]); want != got {
				t.Errorf("outcome: want %q, got %q", want, got)
			}
			name, _ := w.doc(id)["username"].(string)
			if names[name] || !numbered.MatchString(name) {
				t.Errorf("want sam and a number that nobody has, got %q", name)
			}
			names[name] = true
		}
	})
	t.Cleanup(func() {
		for _, hidden := range []string{"canary", "Ann", "@example.com", secret} {
			if strings.Contains(w.app.output(), hidden) {
				t.Errorf("want no secret and no personal data in the log, found %q", hidden)
			}
		}
	})
}
