// Package reconcile makes the copy complete and keeps it true: [Backfill] loads all users from Clerk's Backend API, and
// [Reconcile] compares them with the collection and repairs what differs.
//
// Both run beside live webhooks at any time. What they read is applied by the rule of package store, with the lowest version
// of the user's updated_at ([clerk.User.Read]), so they never overwrite what is newer, write nothing about a user who
// is copied already, and never bring back a deleted one. Both need the same memory for a thousand users and for a million.
package reconcile
