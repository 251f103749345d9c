package clerk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// fixedWords is all that an error about foreign bytes may say: nothing in it can come from them.
var fixedWords = regexp.MustCompile(`^(body|type|data(\.(id|username|first_name|last_name|image_url|primary_email_address_id|updated_at|` +
	`email_addresses(\[\d+\](\.(id|email_address))?)?))?): ` +
	`(want (object|array|string|non-empty string|integer), got (nothing|object|array|string|number|boolean|null|something that is not JSON)` +
	`|not one JSON value: malformed payload)$`)

func checkError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, clerk.ErrMalformed) {
		t.Errorf("want ErrMalformed, got %v", err)
	}
	if !fixedWords.MatchString(err.Error()) {
		t.Errorf("want an error of fixed words, got %q", err)
	}
}

// decode reads one JSON value and nothing behind it, and numbers of any size.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("trailing bytes")
	}
	return nil
}

func FuzzParseEnvelope(f *testing.F) {
	for _, file := range payloads(f) {
		f.Add(testdata(f, file))
	}
	for _, body := range []string{
		``, `null`, `[]`, `{"type":"x"}`, `{"data":{}}`, `{"type":"x","data":{}}x`, "\ufeff{}", `{"Type":"x","type":"","data":[]}`,
		"{\"type\":\"\xff\",\"data\":{\"\xff\":\"\xff\"}}", `{"type":"\ud800","data":{},"timestamp":-1e999}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// encoding/json's own reading of the same bytes.
		var m map[string]any
		valid := decode(body, &m) == nil
		typ, _ := m["type"].(string)
		_, isObject := m["data"].(map[string]any)
		want := valid && typ != "" && isObject

		e, err := clerk.ParseEnvelope(body)
		if err != nil {
			checkError(t, err)
			if want {
				t.Errorf("want an envelope, got %v", err)
			}
			return
		}
		if !want {
			t.Fatal("want an error, got none")
		}
		if e.Type != typ {
			t.Errorf("type: want %q, got %q", typ, e.Type)
		}
		if !bytes.Contains(body, e.Data) {
			t.Errorf("data: want bytes of the body, got %q", e.Data)
		}
		var data any
		if err := decode(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m["data"], data); d != "" {
			t.Errorf("data (-want +got)\n%s", d)
		}
	})
}

func FuzzParseUser(f *testing.F) {
	for _, file := range payloads(f) {
		e, err := clerk.ParseEnvelope(testdata(f, file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(e.Data))
	}
	for _, data := range []string{
		``, `{"id":""}`, `{"id":"u","updated_at":1e400}`, `{"id":"u","email_addresses":[{"id":null,"email_address":"<a>&\u2028"},null]}`,
		"{\"id\":\"\xff\",\"first_name\":\"\xc3\x28 \u2029\",\"last_name\":\"\\ud800\"}",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := clerk.ParseUser(data)
		if err != nil {
			checkError(t, err)
			return
		}
		if u.ID == "" {
			t.Error("want an id, got none")
		}
		if got := (clerk.Event{Data: data}).UserID(); got != u.ID {
			t.Errorf("the id in the log: want %q, got %q", u.ID, got)
		}
		if want, got := u.EmailAddresses.Present(), u.Change(u.Version("msg_1", 1)).Email.Present(); got != want {
			t.Errorf("an email as present as the list: want %t, got %t", want, got)
		}
		sent, err := json.Marshal(json.RawMessage(data)) // as it travels to Inngest: compacted and escaped
		if err != nil {
			t.Fatal(err)
		}
		got, err := clerk.ParseUser(sent)
		if err != nil {
			t.Fatalf("compacted: %v", err)
		}
		if d := cmp.Diff(u, got, optionals); d != "" {
			t.Errorf("compacted (-want +got)\n%s", d)
		}
	})
}
