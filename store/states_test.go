package store

import (
	"os"
	"regexp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// state is where the user stands, in the words of docs/architecture.md.
func (m *memory) state() string {
	switch {
	case !m.there && m.buried:
		return "deleted"
	case !m.there:
		return "absent"
	case !m.adopted && m.buried:
		return "stray"
	case !m.adopted:
		return "stub"
	case m.buried:
		return "leaving"
	case m.unconfirmed:
		return "unconfirmed"
	default:
		return "live"
	}
}

// TestDocumentStates compares the arrows of docs/architecture.md with those that writers take who meet in every way.
// What the application and the clock do is no writer's.
func TestDocumentStates(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^ +(\w+) --> (\w+): (.+)$`).FindAllStringSubmatch(string(page), -1) {
		known := slices.Contains([]string{"absent", "stub", "unconfirmed", "live", "leaving", "stray", "deleted"}, m[1])
		if known && m[1] != m[2] && m[3] != "application inserts" && m[3] != "tombstone expires" {
			want = append(want, m[1]+" to "+m[2])
		}
	}
	created := ann()
	newer := clerk.Change{UserID: "user_ann", Version: v(6, "newer"), FirstName: clerk.Some("Anna")}
	events := []event{{"created", &created}, {"newer", &newer}, {"deleted", nil}}
	bare := document{user: user{values: map[string]string{}}}
	seen := map[string]bool{}
	for _, start := range []*memory{{}, {there: true, document: bare}, {there: true, buried: true, document: bare}} {
		for _, set := range multisets(events, 3) {
			follow(start, set, seen)
		}
	}
	var got []string
	for arrow := range seen {
		got = append(got, arrow)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("arrows of docs/architecture.md, and of the writers (-docs +writers)\n%s", d)
	}
}

// follow plays all schedules, and notes each change of state.
func follow(start *memory, events []event, seen map[string]bool) {
	worlds := map[string]bool{}
	todo := [][]choice{nil}
	for len(todo) > 0 {
		schedule := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		w := play(start, events, schedule)
		if worlds[w.key()] {
			continue
		}
		worlds[w.key()] = true
		for i, wr := range w.writers {
			if wr.done {
				continue
			}
			longer := append(slices.Clone(schedule), choice{writer: i})
			if from, to := w.db.state(), play(start, events, longer).db.state(); from != to {
				seen[from+" to "+to] = true
			}
			todo = append(todo, longer)
		}
	}
}
