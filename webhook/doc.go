// Package webhook is the bridge: it takes Clerk's webhooks, verifies them and hands them to the queue.
//
// Nothing else is on the request path: no database, no call to Clerk. What it promises to the sender (Svix):
//
//   - A 2xx means that the queue has the event for good; never is one sent before that.
//   - Any other status means that it may not, and that the same webhook may be sent again.
//   - An answer comes within 10 s of the body, whatever the queue does. Svix gives up on a request after 15 s
//     and then redelivers: https://docs.svix.com/retries.
//
// Nothing of a body is parsed or logged before its signature is verified, and no answer says why a signature
// was refused.
package webhook
