package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
)

const (
	// askers bounds the questions to Clerk at once.
	askers = 8
	// maxHeld bounds what waits for a second look, at some 50 bytes each.
	maxHeld = 50_000
	// plenty is from where on a scheduled run counts documents without user at the first look: by then something is wrong at large,
	// and waiting for each group would take it hours.
	plenty = 1000
)

// entry is a document.
type entry struct {
	id     string
	synced bool
}

// stepDocuments asks Clerk about the users of documents, and holds those whom it does not know.
func (r *Reconciler) stepDocuments(ctx context.Context, st *State, limit int64) error {
	var batch []entry
	n := int64(0)
	flush := func() error {
		err := r.ask(ctx, st, batch, limit > 0)
		batch = batch[:0]
		r.o.Progress("documents", st.Documents)
		return err
	}
	err := r.store.Documents(ctx, st.After, limit, func(id string, synced bool) error {
		n++
		st.Documents++
		st.After = id
		if batch = append(batch, entry{id, synced}); len(batch) < askers*clerk.MaxIDs {
			return nil
		}
		if err := flush(); err != nil || limit > 0 || len(st.Held) < r.mayHold() {
			return err
		}
		if r.o.Delete && !r.o.Yes {
			st.Refused = true // there are more than MaxDelete already
		}
		if err := r.wait(ctx, r.o.Settle); err != nil {
			return err
		}
		return r.lookAgain(ctx, st)
	})
	if err == nil {
		err = flush()
	}
	st.Listed = limit == 0 || n < limit
	return err
}

// mayHold is enough to see that there are more than may be removed.
func (r *Reconciler) mayHold() int {
	if r.o.Delete && !r.o.Yes {
		return max(maxHeld, int(r.o.MaxDelete)+1)
	}
	return maxHeld
}

// ask sorts out the documents whose users Clerk has.
func (r *Reconciler) ask(ctx context.Context, st *State, batch []entry, scheduled bool) error {
	ids := make([]string, len(batch))
	for i, e := range batch {
		ids[i] = e.id
	}
	there, err := r.there(ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range batch {
		switch {
		case there[e.id]:
		case !e.synced:
			r.found(&st.Result, Drift{Kind: Unknown, UserID: e.id})
		case scheduled && st.Result.Deleted+int64(len(st.Held)) >= plenty:
			r.found(&st.Result, Drift{Kind: Deleted, UserID: e.id})
		default:
			st.Held = append(st.Held, e.id)
		}
	}
	return nil
}

// there are those of the users that Clerk has.
func (r *Reconciler) there(ctx context.Context, ids []string) (map[string]bool, error) {
	var mu sync.Mutex
	there := map[string]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(askers)
	for some := range slices.Chunk(ids, clerk.MaxIDs) {
		g.Go(func() error {
			users, err := r.api.UsersByID(ctx, some)
			mu.Lock()
			defer mu.Unlock()
			for _, u := range users {
				there[u.ID] = true
			}
			return err
		})
	}
	return there, g.Wait()
}

// lookAgain gives the verdict about the held documents: Clerk still does not know their users, and they are still there.
func (r *Reconciler) lookAgain(ctx context.Context, st *State) error {
	there, err := r.there(ctx, st.Held)
	if err != nil {
		return err
	}
	var gone []string
	for some := range slices.Chunk(st.Held, clerk.MaxPage) {
		changes := make([]clerk.Change, len(some))
		for i, id := range some {
			changes[i].UserID = id
		}
		comparisons, err := r.store.Compare(ctx, changes)
		if err != nil {
			return err
		}
		for i, c := range comparisons {
			if c.Exists && !there[some[i]] {
				gone = append(gone, some[i])
			}
		}
	}
	st.Held = nil
	if r.o.Delete && !r.o.Yes && int64(len(gone)) > r.o.MaxDelete {
		st.Refused = true
	}
	for _, id := range gone {
		d := Drift{Kind: Deleted, UserID: id}
		switch {
		case !r.o.Delete:
		case st.Refused:
			d.Note = fmt.Sprintf("not removed: there are more than %d", r.o.MaxDelete)
		default:
			if d, err = r.remove(ctx, d); err != nil {
				return err
			}
		}
		r.found(&st.Result, d)
	}
	return nil
}

// remove asks Clerk about this one user, and deletes what is here if it does not know them.
func (r *Reconciler) remove(ctx context.Context, d Drift) (Drift, error) {
	gone, err := r.api.Gone(ctx, d.UserID)
	if err != nil {
		return d, fmt.Errorf("remove %s: %w", d.UserID, err)
	}
	if !gone {
		d.Note = "Clerk has the user when asked for them alone"
		return d, nil
	}
	if _, err := r.store.Delete(ctx, d.UserID, clerk.ReadGone(r.now().UnixMilli())); err != nil {
		return d, fmt.Errorf("remove %s: %w", d.UserID, err)
	}
	d.Repaired = true
	return d, nil
}
