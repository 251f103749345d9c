package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/inngest"
	"github.com/glowup-app/clerksync/reconcile"
	"github.com/glowup-app/clerksync/store"
)

// settle is how long a change may take from Clerk to the collection.
const settle = 30 * time.Second

// documentsPerPage are those of eight questions to Clerk, which are asked at once.
const documentsPerPage = 8 * clerk.MaxIDs

// scheduled is the reconcile that Inngest runs. It finds drift and repairs nothing: that wants a person's eyes.
type scheduled struct {
	reconciler *reconcile.Reconciler
	log        *slog.Logger
}

func newScheduled(cfg config.Config, s *store.Store, log *slog.Logger) scheduled {
	api := clerk.NewAPI(cfg.ClerkSecretKey.Reveal(), clerk.APIOptions{URL: cfg.ClerkAPIURL})
	return scheduled{reconcile.New(api, s, reconcile.Options{Settle: settle}), log}
}

// Reconcile is inngest.Reconciler's. The state is text, so that Inngest keeps its numbers as they are.
func (s scheduled) Reconcile(ctx context.Context, state string) (inngest.Reconciled, error) {
	st := reconcile.State{StartedAt: time.Now()}
	if state != "" {
		if err := json.Unmarshal([]byte(state), &st); err != nil {
			return inngest.Reconciled{}, fmt.Errorf("read state: %w", err)
		}
	}
	if err := s.reconciler.Step(ctx, &st, documentsPerPage); err != nil {
		return inngest.Reconciled{}, err
	}
	text, err := json.Marshal(st)
	if err != nil {
		return inngest.Reconciled{}, fmt.Errorf("write state: %w", err)
	}
	next := inngest.Reconciled{State: string(text), Wait: st.Wait, Done: st.Done}
	if st.Done {
		next.Result = summarize(st.Result)
		level, msg := slog.LevelInfo, "reconcile finished"
		if st.Result.Drift() > 0 {
			level, msg = slog.LevelWarn, "reconcile found drift"
		}
		s.log.LogAttrs(ctx, level, msg, slog.Int64(clerk.KeyUsers, st.Result.Users), //nolint:sloglint // one of the two above
			slog.Int64(clerk.KeyDrift, st.Result.Drift()), slog.Duration(clerk.KeyDuration, st.Result.Took))
	}
	return next, nil
}
