package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

// memory is a database of one user. Its calls are atomic, as those of a real one.
type memory struct {
	document
	there, buried bool
	revisions     uint64
}

func (m *memory) find(context.Context, string) (document, bool, error) {
	d := m.document
	d.user = d.apply(edit{}) // a copy
	return d, m.there, nil
}

func (m *memory) insert(_ context.Context, _, username string, e edit) error {
	if m.there {
		return errDuplicate
	}
	m.document = document{user: user{}.apply(e), adopted: true, unconfirmed: true, revision: m.newRevision()}
	m.values[fieldUsername] = username
	m.there = true
	return nil
}

func (m *memory) update(_ context.Context, _ string, d document, username string, e edit) error {
	if !m.there || m.adopted != d.adopted || m.revision != d.revision {
		return errRaced
	}
	m.user = m.apply(e)
	if username != "" {
		m.values[fieldUsername] = username
	}
	m.adopted, m.unconfirmed, m.revision = true, !d.adopted, m.newRevision()
	return nil
}

func (m *memory) remove(context.Context, string) (bool, error) {
	was := m.there
	m.there, m.document = false, document{}
	return was, nil
}

func (m *memory) isDeleted(context.Context, string) (bool, error) { return m.buried, nil }

func (m *memory) bury(context.Context, string, clerk.Version) error {
	if m.buried {
		return errDuplicate
	}
	m.buried = true
	return nil
}

func (m *memory) newRevision() (id bson.ObjectID) {
	m.revisions++
	binary.BigEndian.PutUint64(id[:], m.revisions)
	return id
}

// verdict is what becomes of a writer's next call.
type verdict int

const (
	answered   verdict = iota
	lostBefore         // the writer stops, or the call fails, before the database sees it
	lostAfter          // the database has done it, and the writer never learns
)

var errLost = errors.New("connection lost")

// writer runs one event, again and again until it succeeds, as Inngest does. It stops before every call to the
// database and asks what becomes of it.
type writer struct {
	db      documents
	event   event
	wait    func() bool
	verdict verdict
	saw     strings.Builder // all that its next step depends on: the answers since it was started last
	done    bool
}

// event is a change, or a delete where there is none.
type event struct {
	name   string
	change *clerk.Change
}

func (w *writer) run(wait func() bool) {
	defer func() {
		if r := recover(); r != nil && r != (ended{}) {
			panic(r)
		}
	}()
	w.wait = wait
	p := protocol{db: w, afterRace: func(context.Context, int) error { return nil }}
	for {
		var err error
		if w.event.change == nil {
			_, err = p.remove(context.Background(), "user_ann", v(9, "delete"))
		} else {
			_, err = p.apply(context.Background(), *w.event.change)
		}
		if err == nil {
			w.done = true
			return
		}
		w.saw.Reset()
	}
}

// step makes one call as the verdict says.
func step[T any](w *writer, call func() (T, error)) (T, error) {
	if !w.wait() {
		panic(ended{})
	}
	var none T
	if w.verdict == lostBefore {
		return none, errLost
	}
	result, err := call()
	if w.verdict == lostAfter {
		return none, errLost
	}
	fmt.Fprint(&w.saw, result, err, ";")
	return result, err
}

type found struct {
	document
	ok bool
}

// String is what a writer can tell one document from another by: no two have the same revision.
func (f found) String() string { return fmt.Sprint(f.ok, f.adopted, f.unconfirmed, f.revision) }

func (w *writer) find(ctx context.Context, id string) (document, bool, error) {
	f, err := step(w, func() (found, error) {
		d, ok, err := w.db.find(ctx, id)
		return found{d, ok}, err
	})
	return f.document, f.ok, err
}

func (w *writer) insert(ctx context.Context, id, username string, e edit) error {
	_, err := step(w, func() (any, error) { return nil, w.db.insert(ctx, id, username, e) })
	return err
}

func (w *writer) update(ctx context.Context, id string, d document, username string, e edit) error {
	_, err := step(w, func() (any, error) { return nil, w.db.update(ctx, id, d, username, e) })
	return err
}

func (w *writer) remove(ctx context.Context, id string) (bool, error) {
	return step(w, func() (bool, error) { return w.db.remove(ctx, id) })
}

func (w *writer) isDeleted(ctx context.Context, id string) (bool, error) {
	return step(w, func() (bool, error) { return w.db.isDeleted(ctx, id) })
}

func (w *writer) bury(ctx context.Context, id string, v clerk.Version) error {
	_, err := step(w, func() (any, error) { return nil, w.db.bury(ctx, id, v) })
	return err
}

// choice is one step of a schedule: which writer goes on, and what becomes of its call.
type choice struct {
	writer  int
	verdict verdict
}

// world is the state that a schedule led to.
type world struct {
	db      *memory
	writers []*writer
	lost    int
}

// play runs the events from the beginning by a schedule.
func play(stub *memory, events []event, schedule []choice) world {
	db := *stub
	db.document, _, _ = stub.find(context.Background(), "") // a copy
	w := world{db: &db}
	var next []func() bool
	for _, e := range events {
		wr := &writer{db: &db, event: e}
		n, stop := inSteps(wr.run)
		defer stop()
		n() // up to its first call
		w.writers, next = append(w.writers, wr), append(next, n)
	}
	for _, c := range schedule {
		w.writers[c.writer].verdict = c.verdict
		next[c.writer]()
		if c.verdict != answered {
			w.lost++
		}
	}
	return w
}

// ended unwinds a writer that is not played to its end.
type ended struct{}

// inSteps runs f up to its next wait, or its end, at each call of next, which says whether there is more. After stop,
// wait returns false. It is [iter.Pull], of which the race detector keeps 150 kB for every call.
func inSteps(f func(wait func() bool)) (next func() (more bool), stop func()) {
	goOn, waits := make(chan bool), make(chan bool)
	go func() {
		defer close(waits)
		if <-goOn {
			f(func() bool {
				waits <- true
				return <-goOn
			})
		}
	}()
	next = func() bool {
		goOn <- true
		return <-waits
	}
	stop = func() {
		close(goOn)
		for range waits { // until f has returned
		}
	}
	return next, stop
}

// key tells two worlds apart by what can happen next.
func (w world) key() string {
	var b strings.Builder
	fmt.Fprint(&b, w.db.there, w.db.buried, w.db.adopted, w.db.unconfirmed, w.db.revision, w.lost)
	for _, f := range synced {
		b.WriteString(w.db.values[f.Key] + "," + w.db.versions[f.Key].EventID + ";")
	}
	for _, wr := range w.writers {
		fmt.Fprintf(&b, "|%v ", wr.done)
		b.WriteString(wr.saw.String())
	}
	return b.String()
}

// soak is set by make soak: everything that takes minutes.
var soak = os.Getenv("CLERKSYNC_SOAK") != ""

// TestEveryInterleaving plays every order in which up to three writers' calls can reach the database, with writers
// that stop at every point and are run again. In the end the document must be what the model says.
func TestEveryInterleaving(t *testing.T) {
	t.Parallel()
	created := ann()
	newer := clerk.Change{UserID: "user_ann", Version: v(6, "newer"), FirstName: clerk.Some("Anna"), Email: clerk.Null[string]()}
	older := clerk.Change{UserID: "user_ann", Version: v(4, "older"), LastName: clerk.Some("Old"), Username: clerk.Some("old")}
	events := []event{{"created", &created}, {"newer", &newer}, {"older", &older}, {"deleted", nil}}
	bare := &memory{there: true, document: document{user: user{values: map[string]string{}}}}
	named := &memory{there: true, document: document{user: user{values: map[string]string{fieldUsername: "boss"}}}}
	for _, start := range []struct {
		name string
		db   *memory
	}{{"no document", &memory{}}, {"a stub", bare}, {"a stub with a username", named}} {
		for _, set := range multisets(events, 3) {
			if len(set) == 3 && start.db.there && !soak {
				continue
			}
			var names []string
			for _, e := range set {
				names = append(names, e.name)
			}
			t.Run(start.name+"/"+strings.Join(names, "+"), func(t *testing.T) {
				t.Parallel()
				mostLost := 2
				if len(set) == 3 && !soak {
					mostLost = 1
				}
				worlds := explore(t, start.db, set, mostLost)
				if least := 8 * len(set); worlds < least {
					t.Errorf("want at least %d worlds, saw %d: the schedules are not what they should be", least, worlds)
				}
			})
		}
	}
}

// multisets are all choices of one to most of the events, each possibly more than once.
func multisets(events []event, most int) [][]event {
	var all [][]event
	var add func(set []event, from int)
	add = func(set []event, from int) {
		if len(set) > 0 {
			all = append(all, slices.Clone(set))
		}
		if len(set) == most {
			return
		}
		for i := from; i < len(events); i++ {
			add(append(slices.Clone(set), events[i]), i)
		}
	}
	add(nil, 0)
	return all
}

// explore plays all schedules with at most so many lost calls, and says how many different worlds it saw.
func explore(t *testing.T, stub *memory, events []event, mostLost int) int {
	t.Helper()
	seen := map[string]bool{}
	todo := [][]choice{nil}
	for len(todo) > 0 {
		schedule := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		w := play(stub, events, schedule)
		key := w.key()
		if seen[key] {
			continue
		}
		seen[key] = true
		allDone := true
		for i, wr := range w.writers {
			if wr.done {
				continue
			}
			allDone = false
			for _, verdict := range []verdict{answered, lostBefore, lostAfter} {
				if verdict == answered || w.lost < mostLost {
					todo = append(todo, append(slices.Clone(schedule), choice{i, verdict}))
				}
			}
		}
		if allDone {
			if d := gocmp.Diff(expected(stub, events), w.outcome()); d != "" {
				t.Fatalf("after %s (-want +got)\n%s", describe(events, schedule), d)
			}
		}
	}
	return len(seen)
}

// expected is the document that the events must lead to, nil where there must be none.
func expected(stub *memory, events []event) map[string]string {
	var changes []clerk.Change
	for _, e := range events {
		if e.change == nil {
			return nil
		}
		changes = append(changes, *e.change)
	}
	want := model(distinct(changes))
	want[fieldUsername] = cmp.Or(stub.values[fieldUsername], "given")
	return want
}

// outcome is the document without what depends on who came first: which name a new document was given.
func (w world) outcome() map[string]string {
	if !w.db.there {
		return nil
	}
	got := maps.Clone(w.db.values)
	if name := got[fieldUsername]; name != "" && name != "boss" {
		got[fieldUsername] = "given"
	}
	return got
}

func describe(events []event, schedule []choice) string {
	var b strings.Builder
	for _, c := range schedule {
		fmt.Fprintf(&b, "\n  %s %s", events[c.writer].name, [...]string{"", "lost before", "lost after"}[c.verdict])
	}
	return b.String()
}
