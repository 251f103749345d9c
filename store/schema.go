package store

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// schema numbers the shape of the sub-document "sync", as it is written now. Documents of an older one are never all rewritten at
// once: each is read as what it is, and gets the shape of now, whole, with the next write that its user needs anyway. So a
// release that changes the shape may be rolled out while the one before runs, which leaves alone what it can't know (ErrNewer; Inngest tries
// again, and finds a process of the new release), and may be rolled back as long as that one, too, reads the new shape.
//
//	0  {rev, unconfirmed, fields: {<name>: {at, ts, event}}}, of releases that did not number it
//	1  the same, with its number
//
// To change the shape: add a row, raise the number, give readSync a case for what was until now, and keep a document of that in
// testdata: TestOldSchemas reads all that are there.
const schema = 1

// bookkeeping is the sub-document "sync".
type bookkeeping struct {
	Schema      int                `bson:"schema"`
	Revision    bson.ObjectID      `bson:"rev"`
	Unconfirmed bool               `bson:"unconfirmed,omitempty"`
	Fields      map[string]version `bson:"fields"`
}

// version is a clerk.Version in a document.
type version struct {
	At      int64  `bson:"at"`
	TS      int64  `bson:"ts"`
	EventID string `bson:"event"`
}

// readSync reads the sub-document of any schema so far. It returns [ErrForeign] and [ErrNewer].
func readSync(value bson.RawValue) (b bookkeeping, err error) {
	doc, ok := value.DocumentOK()
	if !ok {
		return b, fmt.Errorf("read user: %w", ErrForeign)
	}
	number, _ := doc.Lookup("schema").AsInt64OK() // 0 where there is none
	switch number {
	case 0, 1:
		if err := value.Unmarshal(&b); err != nil || b.Revision.IsZero() {
			return b, fmt.Errorf("read user: %w", ErrForeign)
		}
		return b, nil
	default:
		return b, fmt.Errorf("read user: %w", ErrNewer)
	}
}
