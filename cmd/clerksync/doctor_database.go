package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glowup-app/clerksync/store"
)

func (d *doctor) databaseChecks(f facts) []check {
	return []check{
		{
			"database", func(context.Context) (string, error) { return d.checkDatabase(f) },
			"is it up, and does DATABASE_URI say where, as whom and with which certificates? Webhooks are not lost: Inngest keeps them for a day",
		},
		{
			"indexes", d.withDatabase(f, d.checkIndexes),
			"`clerksync serve` makes them at start; where it can't, its log line `database not ready` says why",
		},
		{
			"write concern", d.withDatabase(f, d.checkWriteConcern),
			"give the replica set a third member that holds data in the arbiter's place",
		},
		{
			"dead letters", d.withDatabase(f, d.checkLetters),
			"`clerksync dlq list` says why; `clerksync dlq replay` sends them again when the cause is gone",
		},
		{
			"drift", d.withDatabase(f, d.checkDrift),
			"`clerksync reconcile` lists them, and with --repair mends them",
		},
	}
}

func (d *doctor) readDatabase(ctx context.Context) (store.Server, error) {
	if d.store == nil {
		return store.Server{}, notConfigured
	}
	return d.store.Server(ctx)
}

// checkDatabase says what the database can do, too.
func (d *doctor) checkDatabase(f facts) (string, error) {
	s, err := f.database()
	if err != nil {
		return "", err
	}
	can := []string{"no transactions (none are needed)"}
	if s.Transactions() {
		can = []string{"transactions"}
	}
	if s.Expires() {
		can = append(can, "TTL")
	} else {
		can = append(can, "no TTL (the function sweep-expired removes what has expired)")
	}
	if s.OneWriter && !d.cfg.Inngest.Dev {
		return "", &fault{fmt.Sprintf("%s does not update a document in one step, which is for development", s), "use MongoDB or FerretDB 2"}
	}
	return fmt.Sprintf("%s: %s", s, strings.Join(can, ", ")), nil
}

// withDatabase skips a check where the database does not answer.
func (d *doctor) withDatabase(f facts, run func(context.Context, store.Server) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		s, err := f.database()
		if err != nil {
			return "", skipped("the database does not answer")
		}
		return run(ctx, s)
	}
}

func (d *doctor) checkIndexes(ctx context.Context, s store.Server) (string, error) {
	missing, err := d.store.MissingIndexes(ctx)
	switch {
	case err != nil:
		return "", err
	case len(missing) > 0:
		return "", errors.New(strings.Join(missing, "; "))
	case !s.Expires():
		return "username is unique, and the others are there", nil
	}
	return "username is unique, what expires does, and the others are there", nil
}

// checkWriteConcern looks for the topology in which a majority is easily lost: two members with data and an arbiter. See
// https://www.mongodb.com/docs/manual/core/replica-set-arbiter/.
func (d *doctor) checkWriteConcern(_ context.Context, s store.Server) (string, error) {
	concern := d.store.WriteConcern()
	switch {
	case concern != "majority":
		return "", &fault{fmt.Sprintf("writes wait for %s, not for a majority", concern), "a defect of clerksync: tell us"}
	case s.Arbiters > 0 && s.DataMembers < 3:
		return "", fmt.Errorf("with one of the %d members away that hold data, no write can be confirmed by a majority", s.DataMembers)
	case s.ReplicaSet == "" && !s.Sharded:
		return "majority, which is one server here", nil
	}
	return "majority", nil
}

func (d *doctor) checkLetters(ctx context.Context, _ store.Server) (string, error) {
	n, err := d.store.WaitingLetters(ctx)
	switch {
	case err != nil:
		return "", err
	case n > 0:
		return "", fmt.Errorf("%d waiting", n)
	}
	return "none waiting", nil
}

// checkDrift is about the last reconcile.
func (d *doctor) checkDrift(ctx context.Context, _ store.Server) (string, error) {
	r, ok, err := d.store.LastReconciliation(ctx)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", skipped("the users were never compared with Clerk's: `clerksync reconcile`, or RECONCILE_CRON")
	case r.Drift() > 0:
		return "", fmt.Errorf("%d users of %d differed %s: %d missing, %d stale, %d deleted in Clerk; %d repaired",
			r.Drift(), r.Users, ago(r.At), r.Missing, r.Stale, r.Deleted, r.Repaired)
	}
	return fmt.Sprintf("%d users compared %s, no drift left", r.Users, ago(r.At)), nil
}

// ago is how long ago something was, as people say it.
func ago(at time.Time) string {
	switch age := time.Since(at); {
	case age < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(max(age, 0).Seconds()))
	case age < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(age.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(age.Hours()/24))
	}
}
