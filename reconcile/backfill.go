package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store"
)

// BackfillOptions of a Backfill; a zero field means its default.
type BackfillOptions struct {
	// DryRun counts what would be written, and writes nothing, no checkpoint either.
	DryRun bool
	// Restart takes no notice of the checkpoint of an earlier run.
	Restart bool
	// Since leaves out users who have not changed since then. Clerk can't list by updated_at alone, so all are read.
	Since time.Time
	// SinceAs is how the operator said that, by which an interrupted run knows that it is to go on: an age moves on.
	SinceAs string
	// Logger is told about each user that could not be written. Default: none.
	Logger *slog.Logger
	// Progress is called after each page with the numbers so far, not concurrently. Default: nobody.
	Progress func(store.Checkpoint)
	// Patience is how long the database may refuse a page before the backfill ends. Default 1 minute.
	Patience time.Duration
}

// pagesInFlight are read from Clerk or being written at once. They are read one after the other, since each begins where the
// one before ended, which is what makes the walk right; and written beside that.
const pagesInFlight = 4

// ErrOtherBackfill says that the checkpoint is that of a backfill that reads other users.
var ErrOtherBackfill = errors.New("an earlier backfill of another Clerk instance, or with another --since, has not ended: repeat it, or begin anew with --restart")

type backfill struct {
	api   *clerk.API
	store *store.Store
	o     BackfillOptions
}

// Backfill loads all users. It saves a checkpoint after each page and goes on from there when it is called again after it
// was interrupted; the numbers that it returns count from the beginning. An error says why it has not come to the end; what could not be written of single
// users is in Failed, and in the log.
func Backfill(ctx context.Context, api *clerk.API, s *store.Store, o BackfillOptions) (store.Checkpoint, error) {
	o.Patience = cmp.Or(o.Patience, time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(store.Checkpoint) {}
	}
	b := backfill{api: api, store: s, o: o}
	at, err := b.begin(ctx)
	if err != nil {
		return at, err
	}
	o.Progress(at)
	at, err = b.run(ctx, at)
	switch {
	case err != nil && ctx.Err() != nil: // whatever it was that was cut off
		err = context.Cause(ctx)
	case err == nil && !o.DryRun:
		err = s.DropCheckpoint(ctx)
	}
	return at, err
}

func (b backfill) begin(ctx context.Context) (store.Checkpoint, error) {
	instance, err := b.api.Instance(ctx)
	if err != nil {
		return store.Checkpoint{}, err
	}
	fresh := store.Checkpoint{Instance: instance.ID, StartedAt: time.Now(), SinceAs: b.o.SinceAs}
	if !b.o.Since.IsZero() {
		fresh.Since = b.o.Since.UnixMilli()
	}
	if b.o.DryRun || b.o.Restart {
		return fresh, nil
	}
	at, ok, err := b.store.Checkpoint(ctx)
	switch {
	case err != nil || !ok:
		return fresh, err
	case at.Instance != fresh.Instance || at.SinceAs != fresh.SinceAs:
		return fresh, ErrOtherBackfill
	}
	return at, nil
}

// job is a page on its way to the database.
type job struct {
	page clerk.Page
	done chan store.Checkpoint // the page's own numbers
}

func (b backfill) run(ctx context.Context, at store.Checkpoint) (store.Checkpoint, error) {
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan job) // to be written
	// To be counted, in the order of the pages, so that a checkpoint never passes over one that is not written. Its length and who
	// holds a page outside of it bound the pages in flight.
	order := make(chan job, pagesInFlight-2)
	g.Go(func() error {
		defer close(jobs)
		defer close(order)
		return b.read(ctx, at.Position, jobs, order)
	})
	for range pagesInFlight - 1 {
		g.Go(func() error {
			for j := range jobs {
				numbers, err := b.write(ctx, j.page, at.Since)
				if err != nil {
					return err
				}
				j.done <- numbers
			}
			return nil
		})
	}
	g.Go(func() error {
		for j := range order {
			select {
			case n := <-j.done:
				at.Created += n.Created
				at.Updated += n.Updated
				at.Unchanged += n.Unchanged
				at.Skipped += n.Skipped
				at.Failed += n.Failed
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			at.Position = j.page.Next
			if !b.o.DryRun {
				if err := b.store.SaveCheckpoint(ctx, at); err != nil {
					return err
				}
			}
			b.o.Progress(at)
		}
		return nil
	})
	err := g.Wait()
	return at, err
}

func (b backfill) read(ctx context.Context, at clerk.Position, jobs, order chan<- job) error {
	for {
		page, err := b.api.Users(ctx, at)
		if err != nil {
			return err
		}
		j := job{page: page, done: make(chan store.Checkpoint, 1)}
		for _, to := range []chan<- job{order, jobs} {
			select {
			case to <- j:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if page.Last {
			return nil
		}
		at = page.Next
	}
}

// write applies a page and returns its numbers. What the database refuses is tried again for a while.
func (b backfill) write(ctx context.Context, page clerk.Page, since int64) (n store.Checkpoint, err error) {
	for _, u := range page.Malformed {
		b.failed(ctx, &n, u.ID, u.Err)
	}
	var changes []clerk.Change
	for _, u := range page.Users {
		if at, ok := u.UpdatedAt.Value(); ok && at < since {
			n.Skipped++
			continue
		}
		changes = append(changes, u.Read())
	}
	left, failures := changes, []error(nil)
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		if left, failures, err = b.apply(ctx, left, &n); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, errors.Join(failures...)
	}, backoff.WithMaxElapsedTime(b.o.Patience))
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return n, context.Cause(ctx)
	case len(failures) == 0, len(failures) == len(changes) && len(changes) > 1:
		// Not this or that user, but all of them.
		return n, fmt.Errorf("write users: %w", err)
	}
	for i, c := range left {
		b.failed(ctx, &n, c.UserID, failures[i])
	}
	return n, nil
}

// apply counts what was written, and returns what may be tried again, with the reasons.
func (b backfill) apply(ctx context.Context, changes []clerk.Change, n *store.Checkpoint) (left []clerk.Change, failures []error, err error) {
	results, err := b.results(ctx, changes)
	if err != nil {
		return changes, nil, err
	}
	for i, r := range results {
		switch {
		case store.Unreadable(r.Err):
			b.failed(ctx, n, changes[i].UserID, r.Err)
		case r.Err != nil:
			left, failures = append(left, changes[i]), append(failures, r.Err)
		case r.Outcome == clerk.Created:
			n.Created++
		case r.Outcome == clerk.Updated:
			n.Updated++
		default: // there already, or newer, or deleted for good
			n.Unchanged++
		}
	}
	return left, failures, nil
}

func (b backfill) results(ctx context.Context, changes []clerk.Change) ([]store.Result, error) {
	if !b.o.DryRun {
		return b.store.ApplyAll(ctx, changes)
	}
	comparisons, err := b.store.Compare(ctx, changes)
	results := make([]store.Result, len(comparisons))
	for i, c := range comparisons {
		results[i] = store.Result{Outcome: c.Outcome, Err: c.Err}
	}
	return results, err
}

func (b backfill) failed(ctx context.Context, n *store.Checkpoint, userID string, err error) {
	n.Failed++
	b.o.Logger.LogAttrs(ctx, slog.LevelError, "user not written", slog.String(clerk.KeyUserID, userID), slog.String(clerk.KeyError, err.Error()))
}
