package clerk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

func at(ms int64) time.Time { return time.UnixMilli(ms) }

func TestParseEnvelope(t *testing.T) {
	t.Parallel()
	const depth = 9000 // encoding/json gives up at 10,000
	deep := `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	tests := []struct {
		name, body string
		want       clerk.Envelope
	}{
		{
			"all that is needed", `{"type":"user.created","data":{},"timestamp":1763358000000}`,
			clerk.Envelope{Type: "user.created", Data: json.RawMessage(`{}`), Timestamp: 1763358000000},
		},
		{
			"data are the bytes as they came", `{"data": {"b" : 1.50,` + "\n\t" + `"a":"<\u0062>","b":[ ]} , "type":"x"}`,
			clerk.Envelope{Type: "x", Data: json.RawMessage(`{"b" : 1.50,` + "\n\t" + `"a":"<\u0062>","b":[ ]}`)},
		},
		{
			"unknown types and unknown keys are fine", `{"object":"event","type":"organization.created","data":{"id":1},"instance_id":null}`,
			clerk.Envelope{Type: "organization.created", Data: json.RawMessage(`{"id":1}`)},
		},
		{
			"white space around it", " \t\r\n{\"type\":\"x\",\"data\":{}}\r\n\t ",
			clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)},
		},
		{
			"an escaped key is that key", `{"ty\u0070e":"x","d\u0061ta":{}}`,
			clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)},
		},
		{
			"keys of another case are other keys", `{"type":"x","Type":"y","TYPE":"z","data":{},"Data":{"a":1},"timestamp":1,"Timestamp":2}`,
			clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`), Timestamp: 1},
		},
		{
			"of a repeated key the last one counts", `{"type":"x","data":{"a":1},"timestamp":1,"type":"y","data":{},"timestamp":2}`,
			clerk.Envelope{Type: "y", Data: json.RawMessage(`{}`), Timestamp: 2},
		},
		{
			"deep data", `{"type":"x","data":` + deep + `}`,
			clerk.Envelope{Type: "x", Data: json.RawMessage(deep)},
		},
		{"timestamp missing", `{"type":"x","data":{}}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp null", `{"type":"x","data":{},"timestamp":null}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp a string", `{"type":"x","data":{},"timestamp":"1763358000000"}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp a fraction", `{"type":"x","data":{},"timestamp":1763358000000.5}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp an object", `{"type":"x","data":{},"timestamp":{}}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp beyond 64 bits", `{"type":"x","data":{},"timestamp":9223372036854775808}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`)}},
		{"timestamp negative", `{"type":"x","data":{},"timestamp":-1}`, clerk.Envelope{Type: "x", Data: json.RawMessage(`{}`), Timestamp: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := clerk.ParseEnvelope([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("envelope (-want +got)\n%s", d)
			}
		})
	}
}

func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{"nothing", "", "body: want object, got nothing"},
		{"white space only", " \n", "body: want object, got nothing"},
		{"null", "null", "body: want object, got null"},
		{"an array", "[]", "body: want object, got array"},
		{"a string", `"canary"`, "body: want object, got string"},
		{"a number", "-17", "body: want object, got number"},
		{"a boolean", "true", "body: want object, got boolean"},
		{"a form", "canary=1", "body: want object, got something that is not JSON"},
		{"a byte order mark", "\ufeff" + `{"type":"x","data":{}}`, "body: want object, got something that is not JSON"},
		{"white space that JSON does not have, before", "\u00a0" + `{"type":"x","data":{}}`, "body: want object, got something that is not JSON"},
		{"white space that JSON does not have, behind", `{"type":"x","data":{}}` + "\v", "body: not one JSON value: malformed payload"},
		{"cut off", `{"type":"canary","data":{`, "body: not one JSON value: malformed payload"},
		{"trailing bytes", `{"type":"x","data":{}}canary`, "body: not one JSON value: malformed payload"},
		{"a second value", `{"type":"x","data":{}}{}`, "body: not one JSON value: malformed payload"},
		{"a trailing zero byte", `{"type":"x","data":{}}` + "\x00", "body: not one JSON value: malformed payload"},
		{"a trailing comma", `{"type":"x","data":{},}`, "body: not one JSON value: malformed payload"},
		{"a comment", `{"type":"x","data":{}/*canary*/}`, "body: not one JSON value: malformed payload"},
		{"nested too deep", `{"type":"x","data":` + strings.Repeat(`{"a":`, 1e5), "body: not one JSON value: malformed payload"},
		{
			"nested too deep, and closed", `{"type":"x","data":{"a":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + `}}`,
			"body: not one JSON value: malformed payload",
		},
		{"no type", `{"data":{}}`, "type: want non-empty string, got nothing"},
		{"type of another case", `{"Type":"canary","data":{}}`, "type: want non-empty string, got nothing"},
		{"type empty", `{"type":"","data":{}}`, "type: want non-empty string, got string"},
		{"type null", `{"type":null,"data":{}}`, "type: want non-empty string, got null"},
		{"type a number", `{"type":17,"data":{}}`, "type: want non-empty string, got number"},
		{"type an object", `{"type":{"canary":1},"data":{}}`, "type: want non-empty string, got object"},
		{"type set and then set to null", `{"type":"x","data":{},"type":null}`, "type: want non-empty string, got null"},
		{"no data", `{"type":"x"}`, "data: want object, got nothing"},
		{"data of another case", `{"type":"x","DATA":{"canary":1}}`, "data: want object, got nothing"},
		{"data null", `{"type":"x","data":null}`, "data: want object, got null"},
		{"data an array", `{"type":"x","data":[{"canary":1}]}`, "data: want object, got array"},
		{"data a string", `{"type":"x","data":"{\"canary\":1}"}`, "data: want object, got string"},
		{"data a number", `{"type":"x","data":17}`, "data: want object, got number"},
		{"data a boolean", `{"type":"x","data":false}`, "data: want object, got boolean"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := clerk.ParseEnvelope([]byte(tt.body))
			if !errors.Is(err, clerk.ErrMalformed) {
				t.Fatalf("want ErrMalformed, got %v", err)
			}
			if err.Error() != tt.want {
				t.Errorf("want %q, got %q", tt.want, err)
			}
			if d := cmp.Diff(clerk.Envelope{}, got); d != "" {
				t.Errorf("envelope beside an error (-want +got)\n%s", d)
			}
		})
	}
}

func TestEnvelopeEvent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	y2001 := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		ts   int64
		want int64
	}{
		{"the past stays", now.Add(-time.Hour).UnixMilli(), now.Add(-time.Hour).UnixMilli()},
		{"now stays", now.UnixMilli(), now.UnixMilli()},
		{"a redelivery of three days ago stays", now.Add(-72 * time.Hour).UnixMilli(), now.Add(-72 * time.Hour).UnixMilli()},
		{"a millisecond ahead becomes now", now.UnixMilli() + 1, now.UnixMilli()},
		{"a day ahead becomes now", now.Add(24 * time.Hour).UnixMilli(), now.UnixMilli()},
		{"over a day ahead is left out", now.Add(24*time.Hour).UnixMilli() + 1, 0},
		{"the end of time is left out", 1<<63 - 1, 0},
		{"the start of 2001 stays", y2001.UnixMilli(), y2001.UnixMilli()},
		{"before 2001 is left out", y2001.UnixMilli() - 1, 0},
		{"seconds taken for milliseconds are left out", now.Unix(), 0},
		{"none is left out", 0, 0},
		{"negative is left out", -1, 0},
		{"the start of time is left out", -1 << 63, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := clerk.Envelope{Type: "user.created", Timestamp: tt.ts, Data: json.RawMessage(`{"id":"user_1"}`)}
			want := clerk.Event{ID: "msg_1", Name: clerk.UserCreated, Data: e.Data, TS: tt.want}
			if d := cmp.Diff(want, e.Event("msg_1", now)); d != "" {
				t.Errorf("event (-want +got)\n%s", d)
			}
		})
	}
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		event clerk.Event
		want  string
	}{
		{
			"all of it",
			clerk.Event{ID: "msg_1", Name: clerk.UserDeleted, Data: json.RawMessage(`{ "id": "user_1" }`), TS: 1763358000000},
			`{"id":"msg_1","name":"clerk/user.deleted","data":{"id":"user_1"},"ts":1763358000000}`,
		},
		{"without ts Inngest sets it", clerk.Event{ID: "msg_1", Name: "clerk/x", Data: json.RawMessage(`{}`)}, `{"id":"msg_1","name":"clerk/x","data":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.event)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("event (-want +got)\n%s", d)
			}
		})
	}
}

func TestEventUserID(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, data, want string }{
		{"a string", `{"id":"user_1"}`, "user_1"},
		{"another key", `{"ID":"user_1"}`, ""},
		{"a number", `{"id":17}`, ""},
		{"null", `{"id":null}`, ""},
		{"no object", `["user_1"]`, ""},
		{"no JSON", `{"id":"user_1"`, ""},
		{"nothing", ``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := (clerk.Event{Data: json.RawMessage(tt.data)}).UserID(); got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
}

func TestEventStringHoldsNoData(t *testing.T) {
	t.Parallel()
	e := clerk.Event{ID: "msg_1", Name: clerk.UserCreated, Data: json.RawMessage(`{"first_name":"canary"}`), TS: 1}
	if want, got := "clerk/user.created msg_1", e.String(); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}
