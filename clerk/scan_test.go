package clerk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzMembers compares with encoding/json: what is one object, and what it holds.
func FuzzMembers(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("want payloads, got %d, error %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, raw := range []string{
		``, ` `, `{`, `}`, `{}`, ` {} `, `{}{}`, `{},`, `[]`, `"a"`, `null`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{"a" 1}`, `{a:1}`,
		`{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `{"\ud83d\ude00":"\"\\\/\b\f\n\r\t"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12`, `{"a":"\`, "{\"a\":\"\n\"}", "{\"a\":\"\x7f\xff\"}", "{\"\xff\":1}",
		`{"a":[]}`, `{"a":[1,[2,{"b":[]}]]}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1`, `{"a":[1}`, `{"a":{]}`, `{"a": [ 1 , 2 ] , "b" : { } }`,
		`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a":nul`, `{"a":truefalse}`, `{"a":0,"b":-0,"c":10,"d":-1.50,"e":1e5,"f":1E-5,"g":1.5e+05}`,
		`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":+1}`, `{"a":1e5.5}`, `{"a":0x1}`, "{\"a\":\u00a01}", "\v{}",
		`{"a":` + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting-1) + `}`, `{"a":` + strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting) + `}`,
		strings.Repeat(`{"a":`, maxNesting) + `1` + strings.Repeat(`}`, maxNesting), strings.Repeat(`{"a":`, maxNesting+1) + `1` + strings.Repeat(`}`, maxNesting+1),
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := map[string]json.RawMessage{}
		valid := members(raw, func(key, value []byte) { got[string(key)] = value })
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); valid != (err == nil && want != nil) { // null is a map to encoding/json
			t.Fatalf("%.200q: want it valid %v, got %v", raw, err == nil && want != nil, valid)
		}
		if d := cmp.Diff(want, got); valid && d != "" {
			t.Errorf("members (-want +got)\n%s", d)
		}
	})
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("msg_1", "clerk/user.created", []byte(`{"id": "user_1"}`), int64(1))
	f.Add("", "", []byte(`{}`), int64(0))
	f.Add("a\"\\\x00\x7f\xffé\u2028<", "\n", []byte(`{"a":"<\u0061>"}`), int64(-1))
	f.Fuzz(func(t *testing.T, id, name string, data []byte, ts int64) {
		if !json.Valid(data) {
			return
		}
		e := Event{ID: id, Name: name, Data: data, TS: ts}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.AppendJSON(nil), &got); err != nil {
			t.Fatalf("%s: %v", e.AppendJSON(nil), err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("event (-want +got)\n%s", d)
		}
	})
}
