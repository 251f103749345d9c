// Package store keeps the copy: a MongoDB collection with a document per user.
//
// What holds, for any order, duplication and concurrency of a user's events, and with writers that stop
// anywhere and are run again:
//
//   - Each synced field has the value of the newest event that carried it ([clerk.Version] orders them). The
//     rule is the pure function in merge.go.
//   - A deleted user stays deleted: a tombstone, in a collection of its own, outlives the document.
//   - An event that is not newer than what is there writes nothing.
//
// It rests on what every server behind the MongoDB wire protocol has: unique indexes, insert, delete, and
// compare-and-set on one document, by a filter on its revision. There are no transactions. Whoever reads the
// collection may not assume more than one document at a time to be consistent, and leaves the sub-document
// "sync" alone.
package store
