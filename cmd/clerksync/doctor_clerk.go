package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glowup-app/clerksync/clerk"
)

func (d *doctor) clerkChecks(f facts) []check {
	return []check{
		{"clerk", d.checkClerk, "set CLERK_SECRET_KEY to the secret key of the instance, from Clerk's dashboard under API keys"},
		{
			"last webhook", func(ctx context.Context) (string, error) { return d.checkLastWebhook(ctx, f) },
			"Clerk's endpoint may be disabled, or lead elsewhere: see Webhooks in its dashboard, and replay what failed; then `clerksync backfill`. With several servers, ask each",
		},
	}
}

const noClerkKey = skipped("CLERK_SECRET_KEY is not set")

func (d *doctor) checkClerk(ctx context.Context) (string, error) {
	if d.clerk == nil {
		return "", noClerkKey
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	i, err := d.clerk.Instance(ctx)
	switch {
	case errors.Is(err, clerk.ErrUnauthorized):
		return "", clerk.ErrUnauthorized
	case err != nil:
		return "", &fault{reason(err), "is Clerk's API up, and reached from here? https://status.clerk.com"}
	}
	return printable(fmt.Sprintf("%s, %s", i.ID, i.Environment)), nil
}

// webhookGrace is for how long a webhook may be under way: Svix tries again after 5 s and 5 min.
const webhookGrace = 10 * time.Minute

// checkLastWebhook looks for silence: Svix switches an endpoint off that has only failed for days, and then nothing
// fails any more.
func (d *doctor) checkLastWebhook(ctx context.Context, f facts) (string, error) {
	page, err := f.page()
	if err != nil {
		return "", err
	}
	metric := prometheus.BuildFQName("clerksync", "webhook", "last_verified_timestamp_seconds") // it belongs to webhook
	if _, ok := page.value(metric); !ok {
		return "", skipped("the server does not say: /metrics has no " + metric)
	}
	last, came := page.at(metric)
	text := "the last came " + ago(last)
	if !came {
		started, ok := page.at("process_start_time_seconds")
		if !ok {
			return "", skipped("none since the server's start, and /metrics does not say when that was")
		}
		last, text = started, "none since the server's start "+ago(started)
	}
	if d.clerk == nil {
		return "", skipped(text + "; without CLERK_SECRET_KEY nobody knows whether there should be more")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	newest, err := d.clerk.Newest(ctx)
	switch {
	case err != nil:
		return "", skipped(text + "; Clerk does not say whether there should be more: " + reason(err))
	case newest.After(last) && time.Since(newest) > webhookGrace:
		return "", fmt.Errorf("%s, and a user was made in Clerk %s", text, ago(newest))
	}
	return text + ", and Clerk has no user who is newer", nil
}
