package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"github.com/glowup-app/clerksync/clerk"
)

// TestHistories lets random histories of a few users befall the store, on a real database, and compares with a model:
// one event after another, where each step's outcome and each document's bytes are known beforehand; and concurrently,
// with writers that stop at every call and are run again, where the end is known. make soak plays a million, or for SOAKTIME.
func TestHistories(t *testing.T) {
	t.Parallel()
	enough := int64(10_000) // a third of them one after another
	if soak {
		enough = 1_000_000
	}
	binary := buildServer(t)
	var total tally
	start := time.Now()
	more := func() bool { return total.histories.Load() < enough }
	if limit := soakTime(t); soak && limit > 0 {
		more = func() bool { return time.Since(start) < limit }
	}
	t.Run("play", func(t *testing.T) { // ends when all labs have
		for i := range min(runtime.GOMAXPROCS(0), 8) {
			t.Run(fmt.Sprintf("lab %d", i), func(t *testing.T) {
				t.Parallel()
				uri, _ := startServer(t, binary)
				l := newLab(t, uri, &total)
				for more() {
					rapid.Check(t, l.playOne)
				}
			})
		}
	})
	t.Log(total.since(start))
	if soak {
		fmt.Println(total.since(start)) // t.Log shows with -test.v only, and then with much else
	}
}

// soakTime is 0 where a number of histories is asked for.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("SOAKTIME"), "0"))
	if err != nil {
		t.Fatalf("SOAKTIME: %v", err)
	}
	return d
}

// tally is what was played, to see that the histories are what they should be.
type tally struct {
	histories, events, duplicates atomic.Int64
	lost, crashes, conflicts      atomic.Int64
}

func (c *tally) since(start time.Time) string {
	took := time.Since(start)
	return fmt.Sprintf("%d histories, %d events, %d duplicates, %d lost calls, %d crashes, %d conflicts in %s: %.0f histories/s",
		c.histories.Load(), c.events.Load(), c.duplicates.Load(), c.lost.Load(), c.crashes.Load(), c.conflicts.Load(),
		took.Round(time.Second), float64(c.histories.Load())/took.Seconds())
}

// conflicts is the store's counter, counted here.
type conflicts struct {
	prometheus.Counter
	n *atomic.Int64
}

func (c conflicts) Inc() { c.n.Add(1) }

// history is what befalls a few users, whose names are alike.
type history struct {
	stubs []bson.M // by user: what the application made first, nil where it made nothing
	acts  []act    // in the order of their delivery, some twice
}

func (h history) has(k kind) bool {
	return slices.ContainsFunc(h.acts, func(a act) bool { return a.kind == k })
}

// act is one thing that befalls a user.
type act struct {
	kind   kind
	user   int
	change clerk.Change // of all but a change only the user's id and the version
}

type kind int

const (
	change   kind = iota // Clerk's user.created and user.updated
	del                  // Clerk's user.deleted
	give                 // an event is given up and becomes a dead letter
	ownField             // the application sets a field of its own
)

func (a act) String() string {
	text := func(o clerk.Optional[string]) string {
		switch value, ok := o.Value(); {
		case ok:
			return fmt.Sprintf("%q", value)
		case o.Present():
			return "null"
		}
		return "-"
	}
	c := a.change
	s := fmt.Sprintf("%s %s %v", [...]string{"change", "delete", "give up", "own field"}[a.kind], c.UserID, c.Version)
	if a.kind == change {
		s += fmt.Sprintf(" email %s first %s last %s picture %s username %s",
			text(c.Email), text(c.FirstName), text(c.LastName), text(c.ProfilePicture), text(c.Username))
	}
	return s
}

const mostActs, mostAgain, mostUsers = 6, 2, 3

func userID(user int) string { return fmt.Sprintf("user_%d", user) }

// genHistory draws few users with few names, and events of few versions, so that they meet.
func genHistory() *rapid.Generator[history] {
	return rapid.Custom(func(t *rapid.T) history {
		var h history
		for user := range rapid.IntRange(1, mostUsers).Draw(t, "users") {
			h.stubs = append(h.stubs, genStub(user).Draw(t, "stub"))
		}
		acts := rapid.SliceOfNDistinct(genAct(len(h.stubs)), 1, mostActs-mostAgain, func(a act) string { return a.change.Version.EventID })
		h.acts = acts.Draw(t, "acts")
		again := rapid.SliceOfN(rapid.SampledFrom(h.acts), 0, mostAgain).Draw(t, "duplicates")
		h.acts = rapid.Permutation(append(again, h.acts...)).Draw(t, "order")
		return h
	})
}

func genStub(user int) *rapid.Generator[bson.M] {
	return rapid.Custom(func(t *rapid.T) bson.M {
		stub := bson.M{"_id": userID(user), "plan": "free", "settings": bson.D{{Key: "dark", Value: true}}}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0, 1, 2:
			return nil
		case 3:
		case 4:
			stub["username"] = [mostUsers]string{"ann", "bob", "boss"}[user]
		case 5:
			stub["email"], stub["first_name"], stub["full_name"] = "bob@example.com", "Stub", "A. Stub"
		}
		return stub
	})
}

func genAct(users int) *rapid.Generator[act] {
	return rapid.Custom(func(t *rapid.T) act {
		a := act{
			kind:   rapid.SampledFrom([]kind{change, change, change, change, del, del, give, ownField}).Draw(t, "kind"),
			user:   rapid.IntRange(0, users-1).Draw(t, "user"),
			change: genChange().Draw(t, "change"),
		}
		c := &a.change
		c.UserID = userID(a.user)
		if domain, ok := c.Email.Value(); ok && domain != "" {
			c.Email = clerk.Some("ann@" + domain + ".example.com")
		}
		switch rapid.IntRange(0, 3).Draw(t, "username") {
		case 1:
			c.Username = clerk.Null[string]()
		case 2:
			c.Username = clerk.Some("ann")
		case 3:
			c.Username = clerk.Some("bob")
		}
		return a
	})
}

// do makes the act happen, as the functions do.
func (a act) do(ctx context.Context, s *Store) (clerk.Outcome, error) {
	c := a.change
	switch a.kind {
	case change:
		return s.Apply(ctx, c)
	case del:
		return s.Delete(ctx, c.UserID, c.Version)
	case give:
		return "", s.KeepDeadLetter(ctx, clerk.DeadLetter{
			Event: clerk.Event{ID: c.Version.EventID, Name: "clerk/user.updated", Data: json.RawMessage(`{"id":"` + c.UserID + `"}`)},
			RunID: "run", FailedAt: time.Now(),
		})
	default:
		return "", s.write(ctx, "own field", func(ctx context.Context) error {
			_, err := s.users.UpdateByID(ctx, c.UserID, bson.M{"$set": bson.M{"plan": c.Version.EventID}})
			return err
		})
	}
}

// person is the model of one user: what has happened, and what must be there for it.
type person struct {
	id       string
	stub     bson.M          // what the application made first
	plan     string          // the application's own field, as of now
	changes  []clerk.Change  // that came while the user was not deleted
	username string          // once it has one
	deletes  []clerk.Version // one of which the tombstone must have
	letters  []string        // ids
}

func newPeople(stubs []bson.M) []*person {
	people := make([]*person, 0, len(stubs))
	for user, stub := range stubs {
		p := &person{id: userID(user), stub: stub}
		p.username, _ = stub["username"].(string)
		p.plan, _ = stub["plan"].(string)
		people = append(people, p)
	}
	return people
}

// take is what an act does. It says which outcome that has, and whether the user's document changes by it.
func (p *person) take(a act) (outcome clerk.Outcome, writes bool) {
	there := p.there()
	switch {
	case a.kind == give:
		p.letters = append(p.letters, a.change.Version.EventID)
		return "", false
	case a.kind == ownField:
		if writes = there && p.plan != a.change.Version.EventID; writes {
			p.plan = a.change.Version.EventID
		}
		return "", writes
	case len(p.deletes) > 0:
		return clerk.AlreadyDeleted, false
	case a.kind == del:
		p.deletes = append(p.deletes, a.change.Version)
		return clerk.Deleted, there
	}
	before := p.fields()
	first, carries, newer, seen := len(p.changes) == 0, false, false, false
	for name, value := range carried(a.change) {
		if value.Present() {
			newest := p.newest(name)
			carries, newer, seen = true, newer || a.change.Version.Compare(newest) > 0, seen || a.change.Version == newest
		}
	}
	p.changes = append(p.changes, a.change)
	switch {
	case !there:
		return clerk.Created, true
	case p.username == "", !maps.Equal(before, p.fields()):
		return clerk.Updated, true
	case newer || seen || !carries:
		return clerk.Unchanged, newer || first // at the first, the application's document is adopted
	default:
		return clerk.Stale, first
	}
}

func (p *person) there() bool { return len(p.deletes) == 0 && (p.stub != nil || len(p.changes) > 0) }

// newest is the version of the newest change that carried a field.
func (p *person) newest(field string) clerk.Version {
	newest := beforeAll
	for _, c := range p.changes {
		if carried(c)[field].Present() && c.Version.Compare(newest) > 0 {
			newest = c.Version
		}
	}
	return newest
}

// beforeAll is the version of what the application wrote.
var beforeAll = clerk.Version{At: -1 << 63}

func carried(c clerk.Change) map[string]clerk.Optional[string] {
	return map[string]clerk.Optional[string]{
		"email": c.Email, "first_name": c.FirstName, "last_name": c.LastName, "profile_picture": c.ProfilePicture,
	}
}

// fields are those of Clerk's, by the ten lines of model. The full name is the application's until Clerk sends a name.
func (p *person) fields() map[string]string {
	stub := clerk.Change{Version: beforeAll}
	if email, ok := p.stub["email"].(string); ok {
		stub.Email = clerk.Some(email)
	}
	if name, ok := p.stub["first_name"].(string); ok {
		stub.FirstName = clerk.Some(name)
	}
	fields := model(append(slices.Clone(p.changes), stub))
	if p.newest("first_name") == beforeAll && p.newest("last_name") == beforeAll {
		delete(fields, "full_name")
		if name, ok := p.stub["full_name"].(string); ok {
			fields["full_name"] = name
		}
	}
	return fields
}

// document is what an application must read, nil where there must be nothing.
func (p *person) document() bson.M {
	if !p.there() {
		return nil
	}
	doc := bson.M{"_id": p.id}
	if p.stub != nil {
		doc["settings"] = p.stub["settings"]
	}
	if p.plan != "" {
		doc["plan"] = p.plan
	}
	if p.username != "" {
		doc["username"] = p.username
	}
	for k, v := range p.fields() {
		doc[k] = v
	}
	return doc
}

// base is what the document shall be called after a first change, if nobody else is called so.
func (p *person) base(c clerk.Change) string {
	if name, ok := c.Username.Value(); ok {
		return name
	}
	if name, _, ok := strings.Cut(p.fields()["email"], "@"); ok {
		return name
	}
	return p.id
}

// lab is a database in which one history after another is played.
type lab struct {
	total *tally
	last  history // whose documents are still there
	// stores are replicas: one may stand still within a write, for which it holds its lock, while others go on.
	stores []*Store
}

func newLab(t *testing.T, uri string, total *tally) *lab {
	t.Helper()
	l := &lab{total: total}
	name := fmt.Sprintf("store_test_%d_%d", os.Getpid(), databases.Add(1))
	for range mostActs {
		s, err := New(uri, name, "users", Options{CallTimeout: time.Minute}) // others may run between call and answer
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.intercept, s.wholeFilters = intercept, true
		s.metrics.conflicts = conflicts{s.metrics.conflicts, &total.conflicts}
		l.stores = append(l.stores, s)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		errs := []error{l.stores[0].users.Database().Drop(ctx)}
		for _, s := range l.stores {
			errs = append(errs, s.Close(ctx))
		}
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
	return l
}

// playOne plays one history, in one of three ways.
func (l *lab) playOne(t *rapid.T) {
	way := rapid.SampledFrom([]string{"one after another", "interleaved", "at once"}).Draw(t, "way")
	h := l.begin(t)
	switch way {
	case "interleaved":
		l.interleaved(t, h)
	case "at once":
		l.atOnce(t, h)
	default:
		l.oneAfterAnother(t, h)
	}
}

// begin draws a history, empties the database and makes the stubs.
func (l *lab) begin(t *rapid.T) history {
	h := genHistory().Draw(t, "history")
	for i, a := range h.acts {
		t.Logf("%d: %v", i, a)
		l.total.events.Add(1)
		if slices.ContainsFunc(h.acts[:i], func(b act) bool { return a.change.Version == b.change.Version }) {
			l.total.duplicates.Add(1)
		}
	}
	l.total.histories.Add(1)
	s := l.stores[0]
	for c, used := range map[*mongo.Collection]bool{s.users: true, s.tombstones: l.last.has(del), s.letters: l.last.has(give)} {
		if used {
			if _, err := c.DeleteMany(t.Context(), bson.D{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.last = h
	if stubs := slices.DeleteFunc(slices.Clone(h.stubs), func(stub bson.M) bool { return stub == nil }); len(stubs) > 0 {
		t.Logf("stubs %v", stubs)
		if _, err := s.users.InsertMany(t.Context(), stubs); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// oneAfterAnother plays a history step by step.
func (l *lab) oneAfterAnother(t *rapid.T, h history) {
	people := newPeople(h.stubs)
	docs := l.documents(t, l.stores[0].users)
	for _, a := range h.acts {
		docs = l.step(t, people, a, docs)
	}
	l.wantRest(t, people)
}

// step makes one act happen and looks at everything. It takes the documents as they are before, and returns them after.
func (l *lab) step(t *rapid.T, people []*person, a act, before map[string]string) (after map[string]string) {
	p := people[a.user]
	want, writes := p.take(a)
	got, err := a.do(t.Context(), l.stores[0])
	if err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	if want != got {
		t.Fatalf("%v: want outcome %q, got %q", a, want, got)
	}
	after = l.documents(t, l.stores[0].users)
	for _, q := range people {
		if changed := before[q.id] != after[q.id]; changed != (writes && q == p) {
			t.Fatalf("%v: want a change of document %s to be %v, was\n%s\nis\n%s",
				a, q.id, writes && q == p, bson.Raw(before[q.id]), bson.Raw(after[q.id]))
		}
	}
	if a.kind == change && p.there() && p.username == "" {
		p.username = bson.Raw(after[p.id]).Lookup(fieldUsername).StringValue()
		base := p.base(a.change)
		taken := slices.ContainsFunc(people, func(q *person) bool { return q != p && q.there() && q.username == base })
		if p.username != base && (!taken || !isSuffixed(base, p.username)) {
			t.Fatalf("%v: want username %s, with a number if it is taken (%v), got %s", a, base, taken, p.username)
		}
	}
	l.wantDocuments(t, people, after)
	return after
}

func isSuffixed(base, name string) bool {
	rest, ok := strings.CutPrefix(name, base)
	return ok && regexp.MustCompile(`^[0-9]+$`).MatchString(rest)
}

// documents are a collection's, as bytes, by id.
func (l *lab) documents(t *rapid.T, c *mongo.Collection) map[string]string {
	cursor, err := c.Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var all []bson.Raw
	if err := cursor.All(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, raw := range all {
		docs[raw.Lookup("_id").StringValue()] = string(raw)
	}
	return docs
}

// wantDocuments compares the users' documents with the model.
func (l *lab) wantDocuments(t *rapid.T, people []*person, docs map[string]string) {
	names := map[any]string{}
	for _, p := range people {
		var got bson.M
		if raw, ok := docs[p.id]; ok {
			if err := bson.Unmarshal([]byte(raw), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "sync")
		}
		if want := p.document(); !reflect.DeepEqual(want, got) { // cmp takes ten times as long
			t.Fatalf("document of %s (-want +got)\n%s", p.id, gocmp.Diff(want, got))
		}
		if name := got[fieldUsername]; name != nil {
			if other, ok := names[name]; ok {
				t.Fatalf("%s and %s are both called %s", other, p.id, name)
			}
			names[name] = p.id
		}
	}
}

// wantRest compares tombstones and dead letters with the model.
func (l *lab) wantRest(t *rapid.T, people []*person) {
	tombstones := l.documents(t, l.stores[0].tombstones)
	letters := map[string]bool{}
	for _, p := range people {
		raw, ok := tombstones[p.id]
		if want := len(p.deletes) > 0; want != ok {
			t.Fatalf("tombstone of %s: want it there %v, got %v", p.id, want, ok)
		}
		if ok {
			var got tombstone
			if err := bson.Unmarshal([]byte(raw), &got); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(p.deletes, clerk.Version(got.Version)) {
				t.Fatalf("tombstone of %s: want one of the versions %v, got %v", p.id, p.deletes, got.Version)
			}
		}
		for _, id := range p.letters {
			letters[id] = ok
		}
	}
	if len(letters) == 0 {
		return
	}
	got := map[string]bool{}
	for id, raw := range l.documents(t, l.stores[0].letters) {
		_, err := bson.Raw(raw).LookupErr("data")
		got[id] = err != nil
	}
	if d := gocmp.Diff(letters, got); d != "" {
		t.Fatalf("dead letters, and whether their data is gone (-want +got)\n%s", d)
	}
}

// fate is what becomes of one call.
type fate struct {
	verdict verdict
	crash   bool // the writer ends there, where it else gets an error
	yields  int  // how often others go first
}

func (f fate) String() string {
	s := [...]string{"answered", "lost before", "lost after"}[f.verdict]
	if f.crash {
		s += " and crashed"
	}
	return s
}

func genFate() *rapid.Generator[fate] {
	return rapid.Custom(func(t *rapid.T) fate {
		f := fate{yields: rapid.IntRange(0, 20).Draw(t, "yields")}
		switch rapid.IntRange(0, 7).Draw(t, "fate") {
		case 1:
			f.verdict = lostBefore
		case 2:
			f.verdict = lostAfter
		case 3:
			f.verdict, f.crash = lostBefore, true
		case 4:
			f.verdict, f.crash = lostAfter, true
		}
		return f
	})
}

// run is the run of a function for one delivery: attempts, each from the start, until one succeeds.
type run struct {
	act
	total   *tally
	deleted *atomic.Bool // a delete of the user has returned
	fates   []fate       // of its first calls; then all is well
	wait    func(yields int) bool
	faults  int // calls that were lost
	outcome clerk.Outcome
	err     error // that no retry can help
}

const (
	mostFates = 6
	// An attempt more than a run can lose calls, and a few for ErrConflict.
	mostAttempts = mostFates + 10
)

func (l *lab) runs(t *rapid.T, h history) []*run {
	deleted := make([]atomic.Bool, len(h.stubs))
	var runs []*run
	for i, a := range h.acts {
		fates := rapid.SliceOfN(genFate(), 0, mostFates).Draw(t, "fates")
		t.Logf("%d: %v", i, fates)
		runs = append(runs, &run{act: a, total: l.total, deleted: &deleted[a.user], fates: fates})
	}
	return runs
}

// work retries as Inngest does.
func (r *run) work(ctx context.Context, s *Store) {
	ctx = context.WithValue(ctx, runKey{}, r)
	for range mostAttempts {
		if r.attempt(ctx, s) {
			return
		}
	}
	r.err = fmt.Errorf("no success in %d attempts", mostAttempts)
}

func (r *run) attempt(ctx context.Context, s *Store) (done bool) {
	defer func() {
		switch p := recover(); p {
		case nil, crashed{}:
		case ended{}:
			done = true
		default:
			panic(p)
		}
	}()
	deleted := r.deleted.Load()
	out, err := r.do(ctx, s)
	switch {
	case errors.Is(err, errLost), errors.Is(err, ErrConflict), errors.Is(err, ErrUsernameTaken):
		return false
	case err != nil:
		r.err = err
	case deleted && r.kind == change && out != clerk.AlreadyDeleted:
		r.err = fmt.Errorf("began after a delete had returned: want outcome %q, got %q", clerk.AlreadyDeleted, out)
	case r.kind == del:
		r.deleted.Store(true)
	}
	r.outcome = out
	return true
}

// crashed unwinds an attempt that ends in the middle.
type crashed struct{}

type runKey struct{}

// intercept does to a run's calls what is their fate.
func intercept(ctx context.Context, do func(context.Context) error) error {
	r, ok := ctx.Value(runKey{}).(*run)
	if !ok {
		return do(ctx)
	}
	var f fate
	if len(r.fates) > 0 {
		f, r.fates = r.fates[0], r.fates[1:]
	}
	if !r.wait(f.yields) {
		panic(ended{})
	}
	if f.verdict != lostBefore {
		if err := do(ctx); f.verdict == answered {
			return err
		}
	}
	r.faults++
	if f.crash {
		r.total.crashes.Add(1)
		panic(crashed{})
	}
	r.total.lost.Add(1)
	return errLost
}

// interleaved plays all acts of a history concurrently, each by a replica of its own, one call to the database at a
// time, in an order that rapid draws and can repeat.
func (l *lab) interleaved(t *rapid.T, h history) {
	runs := l.runs(t, h)
	next := map[int]func() bool{}
	for i, r := range runs {
		ctx := t.Context()
		n, stop := inSteps(func(wait func() bool) {
			r.wait = func(int) bool { return wait() }
			r.work(ctx, l.stores[i])
		})
		defer stop()
		next[i] = n
	}
	for len(next) > 0 {
		i := rapid.SampledFrom(slices.Sorted(maps.Keys(next))).Draw(t, "next")
		if more := next[i](); !more {
			delete(next, i)
		}
	}
	l.wantEnd(t, h, runs)
}

// atOnce plays all acts of a history at once, on one store.
func (l *lab) atOnce(t *rapid.T, h history) {
	runs := l.runs(t, h)
	var wg sync.WaitGroup
	for _, r := range runs {
		r.wait = func(yields int) bool {
			for range yields {
				runtime.Gosched()
			}
			return true
		}
		wg.Go(func() { r.work(t.Context(), l.stores[0]) })
	}
	wg.Wait()
	l.wantEnd(t, h, runs)
}

// wantEnd compares what concurrent runs led to with the model, and lets one of the events come once more.
func (l *lab) wantEnd(t *rapid.T, h history, runs []*run) {
	people := newPeople(h.stubs)
	plans := make([][]string, len(people)) // that the application set
	for _, a := range h.acts {
		p := people[a.user]
		switch a.kind {
		case change:
			p.changes = append(p.changes, a.change)
		case del:
			p.deletes = append(p.deletes, a.change.Version)
		case give:
			p.letters = append(p.letters, a.change.Version.EventID)
		case ownField:
			plans[a.user] = append(plans[a.user], a.change.Version.EventID)
		}
	}
	docs := l.documents(t, l.stores[0].users)
	for user, p := range people {
		p.wantRuns(t, slices.DeleteFunc(slices.Clone(runs), func(r *run) bool { return r.user != user }))
		p.learn(t, bson.Raw(docs[p.id]), plans[user])
	}
	l.wantDocuments(t, people, docs)
	l.wantRest(t, people)
	if again := rapid.SampledFrom(h.acts).Draw(t, "again"); again.kind != ownField {
		l.step(t, people, again, docs)
	}
}

// wantRuns looks at what a user's concurrent runs returned. Which of them came first is not known, but much is.
func (p *person) wantRuns(t *rapid.T, runs []*run) {
	count := map[clerk.Outcome]int{}
	smooth := true
	for _, r := range runs {
		if r.err != nil {
			t.Fatalf("%v: %v", r.act, r.err)
		}
		count[r.outcome]++
		smooth = smooth && r.faults == 0
		if r.outcome == clerk.Stale {
			for name, value := range carried(r.change) {
				if value.Present() && r.change.Version.Compare(p.newest(name)) >= 0 {
					t.Fatalf("%v: want no outcome %q, its %s is the newest", r.act, r.outcome, name)
				}
			}
		}
	}
	most := 1
	if p.stub != nil {
		most = 0
	}
	if got := count[clerk.Created]; got > most {
		t.Fatalf("%s: want outcome %q at most %d times, got %d", p.id, clerk.Created, most, got)
	}
	switch {
	case len(p.deletes) == 0 && count[clerk.AlreadyDeleted]+count[clerk.Deleted] > 0:
		t.Fatalf("%s: want no delete, got %v", p.id, count)
	case smooth && len(p.deletes) > 0 && count[clerk.Deleted] == 0:
		t.Fatalf("%s: want outcome %q, got %v", p.id, clerk.Deleted, count)
	case smooth && len(p.deletes) == 0 && len(p.changes) > 0 && count[clerk.Created] != most:
		t.Fatalf("%s: want outcome %q %d times, got %v", p.id, clerk.Created, most, count)
	}
}

var someName = regexp.MustCompile(`^(ann|bob|user_[0-9])[0-9]*$`)

// learn takes over from the document what depends on who came first, if it can be right: the name, if it was given
// one, and the application's own field.
func (p *person) learn(t *rapid.T, doc bson.Raw, plans []string) {
	if !p.there() {
		return
	}
	if p.username == "" && len(p.changes) > 0 {
		p.username, _ = doc.Lookup(fieldUsername).StringValueOK()
		if !someName.MatchString(p.username) {
			t.Fatalf("%s: want a username made of one of its events, got %q", p.id, p.username)
		}
	}
	if p.stub == nil {
		plans = append(plans, "") // there was no document yet
	} else if len(plans) == 0 {
		plans = []string{p.plan}
	}
	p.plan, _ = doc.Lookup("plan").StringValueOK()
	if !slices.Contains(plans, p.plan) {
		t.Fatalf("%s: want the application's field to be one of %q, got %q", p.id, plans, p.plan)
	}
}

// Two events of one moment must end the same whichever comes first, or two replicas would differ for ever.
func TestEventsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for i, tt := range []struct {
		name         string
		older, newer clerk.Version
	}{
		{"the greater id wins", v(5, "msg_a"), v(5, "msg_b")},
		{"ids compare bytewise, not as numbers", v(5, "msg_10"), v(5, "msg_9")},
		{"ids compare bytewise, not as words", v(5, "msg_Z"), v(5, "msg_a")},
		{"ids compare bytewise, not as letters", v(5, "msg_z"), v(5, "msg_é")},
		{"a longer id wins over its beginning", v(5, "msg_a"), v(5, "msg_aa")},
		{"an id wins over none", v(5, ""), v(5, "msg_a")},
		{"the envelope's time goes before the id", clerk.Version{At: 5, TS: 6, EventID: "msg_b"}, clerk.Version{At: 5, TS: 7, EventID: "msg_a"}},
	} {
		older := clerk.Change{Version: tt.older, FirstName: clerk.Some("older"), LastName: clerk.Some("Lee"), Email: clerk.Some("older@example.com")}
		newer := clerk.Change{Version: tt.newer, FirstName: clerk.Some("newer"), LastName: clerk.Null[string]()}
		want := map[string]string{"first_name": "newer", "full_name": "newer", "email": "older@example.com"}
		for order, changes := range map[string][]clerk.Change{"in order": {older, newer}, "the other way round": {newer, older}} {
			t.Run(tt.name+"/"+order, func(t *testing.T) {
				id := fmt.Sprintf("user_%d_%s", i, order)
				for _, c := range append(changes, changes...) {
					c.UserID = id
					if _, err := s.Apply(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				got, _, err := s.find(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				delete(got.values, fieldUsername)
				if d := gocmp.Diff(want, got.values); d != "" {
					t.Errorf("document (-want +got)\n%s", d)
				}
			})
		}
	}
}
