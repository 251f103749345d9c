// Package inngest talks to Inngest: the [Sender] hands events to its event API, and [Functions] serves the
// typed functions that Inngest invokes.
//
// Inngest is the durable queue. It promises to invoke a function at least once for each event that it took,
// to retry it with backoff while it returns an error, and to drop a repeated event id for 24 hours
// (https://www.inngest.com/docs/events/idempotency). Nothing here rests on more: a function may run twice, out
// of order, or beside another run for the same user, and the store's merge makes the same document of it.
//
// Return values and error texts stay at Inngest, so they hold no personal data: outcomes, field names and user
// ids only.
package inngest
