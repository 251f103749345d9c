package clerk

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Envelope is the body of a webhook: {"type": "user.created", "timestamp": 1700000000000, "data": {…}, …}.
type Envelope struct {
	Type string // not empty
	// Timestamp is when the event happened, in Unix milliseconds, or 0 where the envelope has no integer.
	Timestamp int64
	// Data is an object: a part of the body, the bytes as they came. It is good for as long as the body is.
	Data json.RawMessage
}

// ParseEnvelope reads the body of a webhook. Its errors quote nothing of the body.
func ParseEnvelope(body []byte) (Envelope, error) {
	var typ, data, timestamp json.RawMessage
	err := readMembers(body, "body", func(key, value []byte) {
		switch string(key) { // of a repeated key the last one counts
		case "type":
			typ = value
		case "data":
			data = value
		case "timestamp":
			timestamp = value
		}
	})
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{Data: data}
	var ok bool
	if e.Type, ok = decodeString(typ); !ok || e.Type == "" {
		return Envelope{}, &FieldError{Field: "type", Want: "non-empty string", Got: kind(typ)}
	}
	if k := kind(data); k != "object" {
		return Envelope{}, &FieldError{Field: "data", Want: "object", Got: k}
	}
	if ts, err := strconv.ParseInt(string(timestamp), 10, 64); err == nil {
		e.Timestamp = ts
	}
	return e, nil
}

// Event is what goes to Inngest and comes back from it, as Inngest's event API takes it:
// https://www.inngest.com/docs/events/sending-events.
type Event struct {
	ID   string          `json:"id,omitempty"` // the webhook's message id: a redelivery is the same event
	Name string          `json:"name"`         // "clerk/" and Clerk's type
	Data json.RawMessage `json:"data"`
	TS   int64           `json:"ts,omitempty"` // Unix milliseconds; 0: Inngest sets the time of receipt
}

// AppendJSON appends the event as one JSON object. Its data goes along as it came, not read again.
func (e Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if e.ID != "" {
		dst = append(appendString(append(dst, `"id":`...), e.ID), ',')
	}
	dst = appendString(append(dst, `"name":`...), e.Name)
	dst = append(append(dst, `,"data":`...), e.Data...)
	if e.TS != 0 {
		dst = strconv.AppendInt(append(dst, `,"ts":`...), e.TS, 10)
	}
	return append(dst, '}')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always has its JSON
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// The user events, by their names at Inngest. Clerk's own Inngest integration sends the same ones.
const (
	UserCreated = "clerk/user.created"
	UserUpdated = "clerk/user.updated"
	UserDeleted = "clerk/user.deleted"
)

// Probe is the event that `clerksync doctor` makes. It is nobody's, and no function is for it.
const Probe = "clerk/clerksync.probe"

const (
	namePrefix = "clerk/"
	// maxAhead is how far in the future a timestamp is still a clock that runs ahead and not a broken one.
	maxAhead = 24 * time.Hour
)

// earliest is 2001: Clerk did not exist, and a timestamp in seconds taken for milliseconds is in 1970.
var earliest = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// Event is the event of the webhook with that message id, received at now.
//
// Inngest reads a ts in the future as a schedule, so a timestamp that is ahead of our clock becomes now; one
// that cannot be right is left out.
func (e Envelope) Event(id string, now time.Time) Event {
	ts := e.Timestamp
	switch {
	case ts < earliest, ts > now.Add(maxAhead).UnixMilli():
		ts = 0
	case ts > now.UnixMilli():
		ts = now.UnixMilli()
	}
	return Event{ID: id, Name: namePrefix + e.Type, Data: e.Data, TS: ts}
}

// UserID is data.id where it is a string, else empty. It reads a payload of any type, for logs.
func (e Event) UserID() string {
	o, err := readObject(e.Data, "data")
	if err != nil {
		return ""
	}
	id, _ := decodeString(o["id"])
	return id
}

// String names the event without its data.
func (e Event) String() string { return fmt.Sprintf("%s %s", e.Name, e.ID) }
