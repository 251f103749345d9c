package test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// The tests of faults_*_test.go are one experiment under many faults. A stream of webhooks about many users, several
// each and in any order, is delivered by a client that plays Svix: it redelivers what got no 2xx. Meanwhile something
// breaks, and is mended. In the end every event has been worked on for good, every document is the model's, and the
// dead letters are the events that can never succeed.

// scaled is n, or five times that for CLERKSYNC_SOAK=1.
func scaled(n int) int {
	if os.Getenv("CLERKSYNC_SOAK") != "" {
		return 5 * n
	}
	return n
}

// event is a webhook about a user.
type event struct {
	webhook
	user      string
	updatedAt int64
	// says are the document's fields that the payload carries; one that is empty is null there.
	says map[string]string
	// broken events can never succeed: their first name is a list.
	broken bool
	// skew is how wrong the clock is that signs the first delivery.
	skew time.Duration
}

// model is the document that a user's events must end in, nil where there is none.
func model(events []event) bson.M {
	events = slices.SortedFunc(slices.Values(events), func(a, b event) int {
		return cmp.Or(cmp.Compare(a.updatedAt, b.updatedAt), cmp.Compare(a.ts, b.ts), cmp.Compare(a.id, b.id))
	})
	fields := map[string]string{}
	for _, e := range events {
		if e.typ == "user.deleted" {
			return nil
		}
		if !e.broken {
			maps.Copy(fields, e.says)
		}
	}
	fields["full_name"] = strings.TrimSpace(fields["first_name"] + " " + fields["last_name"])
	doc := bson.M{"_id": events[0].user, "username": events[0].user}
	for field, value := range fields {
		if value != "" {
			doc[field] = value
		}
	}
	return doc
}

// history makes a user's events: created and one to three partial updates, some with the same updated_at; then one
// user in five is deleted, and one in twenty gets an event that can never succeed.
func history(r *rand.Rand, nth int) []event {
	user := newID("user")
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	values := func() map[string]string {
		return map[string]string{
			"first_name": one("Ann", "Bo", "Cleo", ""), "last_name": one("Lee", "Li", ""),
			"profile_picture": one("https://img.example.com/1", "https://img.example.com/2", ""),
			// The local part is the id, so that the username is the same whichever event makes the document.
			"email": one(user+"@one.example.com", user+"@two.example.com", ""),
		}
	}
	events := []event{{webhook: webhook{typ: "user.created"}, updatedAt: 10, says: values()}}
	for range 1 + r.IntN(3) {
		says := values()
		maps.DeleteFunc(says, func(string, string) bool { return r.IntN(2) == 0 })
		events = append(events, event{webhook: webhook{typ: "user.updated"}, updatedAt: 10 + r.Int64N(4), says: says})
	}
	switch {
	case nth%5 == 0:
		events = append(events, event{webhook: webhook{typ: "user.deleted"}})
	case nth%20 == 1:
		events = append(events, event{webhook: webhook{typ: "user.updated"}, updatedAt: 20, broken: true})
	}
	for i := range events {
		e := &events[i]
		e.user, e.id, e.ts = user, newID("msg"), 1_700_000_000_000+r.Int64N(3)
		e.data = e.payload()
	}
	return events
}

func (e event) payload() map[string]any {
	if e.typ == "user.deleted" {
		return map[string]any{"id": e.user, "deleted": true, "object": "user"}
	}
	data := map[string]any{"id": e.user, "object": "user", "updated_at": e.updatedAt, "banned": false}
	if e.broken {
		data["first_name"] = []any{"Ann"}
	}
	for field, value := range e.says {
		switch {
		case field == "email" && value == "":
			data["email_addresses"], data["primary_email_address_id"] = []any{}, nil
		case field == "email":
			data["email_addresses"], data["primary_email_address_id"] = emails("old@example.com", value), "idn_1"
		case field == "profile_picture":
			data["image_url"] = value // Clerk sends an empty one, or null
		case value == "":
			data[field] = nil
		default:
			data[field] = value
		}
	}
	return data
}

// stream delivers the histories of many users, in any order, until each webhook got its 2xx.
type stream struct {
	w      *world
	events []event
	// copies of each webhook are delivered at once. Default 1.
	copies int
	// lasts is how long it takes to send each webhook once. Default: as fast as they are taken.
	lasts time.Duration

	begin                       time.Time
	attempts, refused, accepted atomic.Int64
	senders                     sync.WaitGroup

	read   map[*process]int // lines of its log
	runs   map[string]int   // that ended well, by event id
	errors int              // runs that failed, and will be retried
}

const (
	concurrency = 16
	// redeliverAfter is Svix's 5 s and more, for those in a hurry.
	redeliverAfter = 100 * time.Millisecond
)

func newStream(w *world, users int) *stream {
	seed := uint64(time.Now().UnixNano())
	w.t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := &stream{w: w, copies: 1, read: map[*process]int{}, runs: map[string]int{}}
	for nth := range users {
		s.events = append(s.events, history(r, nth)...)
	}
	for _, e := range s.events {
		s.runs[e.id] = 0
	}
	r.Shuffle(len(s.events), func(i, j int) { s.events[i], s.events[j] = s.events[j], s.events[i] })
	return s
}

// start delivers in the background.
func (s *stream) start() {
	s.begin = time.Now()
	queue := make(chan event)
	s.senders.Go(func() {
		defer close(queue)
		for _, e := range s.events {
			select {
			case queue <- e:
				s.pause(s.lasts / time.Duration(len(s.events)))
			case <-s.w.t.Context().Done():
				return
			}
		}
	})
	for range concurrency {
		s.senders.Go(func() {
			for e := range queue {
				s.deliver(e)
			}
		})
	}
	s.w.t.Cleanup(s.senders.Wait)
}

// deliver returns when every copy of the webhook got its 2xx.
func (s *stream) deliver(e event) {
	var copies sync.WaitGroup
	var taken atomic.Int64
	for range s.copies {
		copies.Go(func() {
			h := e.webhook
			h.sentAfter = e.skew
			for s.w.t.Context().Err() == nil {
				s.attempts.Add(1)
				a, err := s.w.tryPost(h)
				if err == nil && a.status == http.StatusOK {
					taken.Add(1)
					return
				}
				s.refused.Add(1)
				s.pause(redeliverAfter)
				h.sentAfter = 0 // Svix signs each attempt anew
			}
		})
	}
	copies.Wait()
	if taken.Load() == int64(s.copies) { // else the test is over
		s.accepted.Add(1)
	}
}

func (s *stream) pause(d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.w.t.Context().Done():
	}
}

// await waits until count says want, for as long as it comes nearer.
func (s *stream) await(what string, want int64, count func() int64) {
	s.w.t.Helper()
	for has := count(); has < want; has = count() {
		waitFor(s.w.t, fmt.Sprintf("more %s than %d of %d", what, has, want), func() bool { return count() > has })
	}
}

// awaitAccepted waits until this part of the webhooks got a 2xx.
func (s *stream) awaitAccepted(n, of int) {
	s.w.t.Helper()
	s.await("accepted webhooks", int64(len(s.events)*n/of), s.accepted.Load)
}

// awaitRefused waits for n more attempts without a 2xx.
func (s *stream) awaitRefused(n int64) {
	s.w.t.Helper()
	s.await("refused webhooks", s.refused.Load()+n, s.refused.Load)
}

// awaitErrors waits for n more runs that fail.
func (s *stream) awaitErrors(n int) {
	s.w.t.Helper()
	s.readLogs()
	s.await("runs that fail", int64(s.errors+n), func() int64 {
		s.readLogs()
		return int64(s.errors)
	})
}

// finish waits until every webhook is accepted and worked on for good, and compares all documents with the model.
func (s *stream) finish() {
	t := s.w.t
	t.Helper()
	var dead map[string]bson.M
	defer func() {
		t.Logf("sent %d, accepted %d, redelivered %d, applied %d, dead %d; %d runs failed; took %v", len(s.events), s.accepted.Load(),
			s.attempts.Load()-int64(len(s.events)), s.applied(), len(dead), s.errors, time.Since(s.begin).Round(100*time.Millisecond))
	}()
	wantDead, byUser := map[string]string{}, map[string][]event{}
	for _, e := range s.events {
		byUser[e.user] = append(byUser[e.user], e)
		if e.broken {
			wantDead[e.id] = e.user
		}
	}
	s.awaitAccepted(1, 1)
	s.await("events applied", int64(len(s.events)-len(wantDead)), s.applied)
	s.await("dead letters", int64(len(wantDead)), func() int64 {
		dead = s.w.all("users_dead_letters")
		return int64(len(dead))
	})
	gotDead := map[string]string{}
	for id, letter := range dead {
		gotDead[id] = fmt.Sprint(letter["user_id"])
	}
	if d := gocmp.Diff(wantDead, gotDead); d != "" {
		t.Errorf("dead letters, and their users (-model +database)\n%s", d)
	}
	want := map[string]bson.M{}
	for user, events := range byUser {
		if doc := model(events); doc != nil {
			want[user] = doc
		}
	}
	if d := gocmp.Diff(want, s.w.all("users")); d != "" {
		t.Errorf("documents (-model +database)\n%s", d)
	}
}

// applied is how many events have been worked on, and did not fail.
func (s *stream) applied() int64 {
	s.readLogs()
	var n int64
	for _, runs := range s.runs {
		if runs > 0 {
			n++
		}
	}
	return n
}

// readLogs counts the runs that were logged since it was last called.
func (s *stream) readLogs() {
	for _, app := range s.w.apps {
		s.read[app] = app.since(s.read[app], func(l line) {
			id := l.str("event_id")
			if _, ours := s.runs[id]; !ours {
				return
			}
			switch l.str("outcome") {
			case "created", "updated", "unchanged", "stale", "deleted", "already deleted":
				s.runs[id]++
			case "error":
				s.errors++
			}
		})
	}
}

// all are the documents of a collection as an application reads them, by _id.
func (w *world) all(collection string) map[string]bson.M {
	w.t.Helper()
	cursor, err := w.users.Database().Collection(collection).Find(w.t.Context(), bson.M{})
	if err != nil {
		w.t.Fatal(err)
	}
	var list []bson.M
	if err := cursor.All(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	docs := map[string]bson.M{}
	for _, doc := range list {
		delete(doc, "sync")
		docs[fmt.Sprint(doc["_id"])] = doc
	}
	return docs
}
