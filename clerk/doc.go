// Package clerk knows what Clerk sends and serves: the webhook envelope, the user payload inside it, and what one
// event says about one user (a [Change] and its [Version]).
//
// Clerk's payloads are foreign bytes. Three things are promised about reading them:
//
//   - Absent, null and present stay apart for every field that is synced (see [Optional]): an absent key
//     changes nothing, a null key clears.
//   - A field of the wrong JSON type is a [FieldError] that names the field and never quotes its value.
//   - Keys match exactly. encoding/json on structs also takes "First_Name" for "first_name"; here that is
//     another, unknown field, and unknown fields are ignored.
//
// The [API] reads users from Clerk's Backend API; [API.Users] says how all of them are read while they change.
//
// The shapes are Clerk's: https://clerk.com/docs/guides/development/webhooks/overview (envelope) and
// https://clerk.com/docs/reference/backend-api/tag/Users (user).
package clerk
