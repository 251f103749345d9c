package clerk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

func TestParseUserKeepsAbsentNullAndPresentApart(t *testing.T) {
	t.Parallel()
	type user = clerk.User
	const id = "user_1"
	tests := []struct {
		field, value string // of the present case
		null         user
		present      user
	}{
		{"username", `"ada"`, user{ID: id, Username: null()}, user{ID: id, Username: some("ada")}},
		{"first_name", `"Ada"`, user{ID: id, FirstName: null()}, user{ID: id, FirstName: some("Ada")}},
		{"last_name", `""`, user{ID: id, LastName: null()}, user{ID: id, LastName: some("")}},
		{"image_url", `"https://img.example.com"`, user{ID: id, ImageURL: null()}, user{ID: id, ImageURL: some("https://img.example.com")}},
		{"primary_email_address_id", `"idn_1"`, user{ID: id, PrimaryEmailAddressID: null()}, user{ID: id, PrimaryEmailAddressID: some("idn_1")}},
		{"updated_at", `1763358000000`, user{ID: id, UpdatedAt: clerk.Null[int64]()}, user{ID: id, UpdatedAt: clerk.Some[int64](1763358000000)}},
		{"email_addresses", `[]`, user{ID: id, EmailAddresses: clerk.Null[[]clerk.EmailAddress]()}, user{ID: id, EmailAddresses: addresses()}},
	}
	for _, tt := range tests {
		for _, c := range []struct {
			name, data string
			want       user
		}{
			{"absent", `{"id":"user_1"}`, user{ID: id}},
			{"null", `{"id":"user_1","` + tt.field + `":null}`, tt.null},
			{"present", `{"id":"user_1","` + tt.field + `":` + tt.value + `}`, tt.present},
			{"of another case is another key", `{"id":"user_1","` + strings.ToUpper(tt.field) + `":` + tt.value + `}`, user{ID: id}},
			{"set and then null", `{"id":"user_1","` + tt.field + `":` + tt.value + `,"` + tt.field + `":null}`, tt.null},
		} {
			t.Run(tt.field+" "+c.name, func(t *testing.T) {
				t.Parallel()
				got, err := clerk.ParseUser(json.RawMessage(c.data))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(c.want, got, optionals); d != "" {
					t.Errorf("user (-want +got)\n%s", d)
				}
			})
		}
	}
}

func TestParseUserRefuses(t *testing.T) {
	t.Parallel()
	// canary in each type, so that no error text can quote a value unseen.
	const (
		str, num, yes = `"canary"`, `4242.5`, `true`
		obj, arr      = `{"canary":"canary"}`, `["canary"]`
	)
	type refusal struct{ name, data, field, want, got string }
	tests := []refusal{
		{"no object", `["canary"]`, "data", "object", "array"},
		{"null", `null`, "data", "object", "null"},
		{"nothing", ``, "data", "object", "nothing"},
		{"no id", `{"ID":"canary"}`, "data.id", "non-empty string", "nothing"},
		{"id empty", `{"id":""}`, "data.id", "non-empty string", "string"},
		{"id null", `{"id":null}`, "data.id", "non-empty string", "null"},
		{"id a number", `{"id":4242.5}`, "data.id", "non-empty string", "number"},
		{"id an object", `{"id":{"canary":1}}`, "data.id", "non-empty string", "object"},
		{"an address that is null", `{"id":"u","email_addresses":[null]}`, "data.email_addresses[0]", "object", "null"},
		{"the third address a string", `{"id":"u","email_addresses":[{"email_address":""},{"email_address":"canary"},"canary"]}`, "data.email_addresses[2]", "object", "string"},
		{"an address without address", `{"id":"u","email_addresses":[{"id":"canary"}]}`, "data.email_addresses[0].email_address", "string", "nothing"},
		{"an address whose address is null", `{"id":"u","email_addresses":[{"email_address":null}]}`, "data.email_addresses[0].email_address", "string", "null"},
		{"an address whose address is an object", `{"id":"u","email_addresses":[{"email_address":{"canary":1}}]}`, "data.email_addresses[0].email_address", "string", "object"},
		{"an address whose id is a number", `{"id":"u","email_addresses":[{"id":4242,"email_address":"canary"}]}`, "data.email_addresses[0].id", "string", "number"},
		{"updated_at in text", `{"id":"u","updated_at":"2026-11-23T12:00:00Z"}`, "data.updated_at", "integer", "string"},
		{"updated_at a fraction", `{"id":"u","updated_at":4242.5}`, "data.updated_at", "integer", "number"},
		{"updated_at beyond 64 bits", `{"id":"u","updated_at":42424242424242424242}`, "data.updated_at", "integer", "number"},
		{"updated_at beyond a float", `{"id":"u","updated_at":42e999}`, "data.updated_at", "integer", "number"},
		{"updated_at that a float rounds", `{"id":"u","updated_at":9007199254740993.0}`, "data.updated_at", "integer", "number"},
	}
	for _, field := range []string{"username", "first_name", "last_name", "image_url", "primary_email_address_id"} {
		for got, value := range map[string]string{"number": num, "boolean": yes, "object": obj, "array": arr} {
			tests = append(tests, refusal{field + " " + got, `{"id":"u","` + field + `":` + value + `}`, "data." + field, "string", got})
		}
	}
	for got, value := range map[string]string{"boolean": yes, "object": obj, "array": arr} {
		tests = append(tests, refusal{"updated_at " + got, `{"id":"u","updated_at":` + value + `}`, "data.updated_at", "integer", got})
	}
	for got, value := range map[string]string{"string": str, "number": num, "boolean": yes, "object": obj} {
		tests = append(tests, refusal{"email_addresses " + got, `{"id":"u","email_addresses":` + value + `}`, "data.email_addresses", "array", got})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			user, err := clerk.ParseUser(json.RawMessage(tt.data))
			var got *clerk.FieldError
			if !errors.As(err, &got) {
				t.Fatalf("want a FieldError, got %v", err)
			}
			if d := cmp.Diff(clerk.FieldError{Field: tt.field, Want: tt.want, Got: tt.got}, *got); d != "" {
				t.Errorf("error (-want +got)\n%s", d)
			}
			if !errors.Is(err, clerk.ErrMalformed) {
				t.Error("want ErrMalformed, so that it is not retried")
			}
			if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, "42") || strings.Contains(text, "2026") {
				t.Errorf("the error quotes the payload: %s", text)
			}
			if d := cmp.Diff(clerk.User{}, user, optionals); d != "" {
				t.Errorf("user beside an error (-want +got)\n%s", d)
			}
		})
	}
}

func TestParseUserRefusesWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"cut off":         `{"id":"canary`,
		"trailing bytes":  `{"id":"u"} canary`,
		"nested too deep": `{"id":"u","a":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := clerk.ParseUser(json.RawMessage(data))
			if !errors.Is(err, clerk.ErrMalformed) {
				t.Fatalf("want ErrMalformed, got %v", err)
			}
			if want := "data: not one JSON value: malformed payload"; err.Error() != want {
				t.Errorf("want %q, got %q", want, err)
			}
		})
	}
}

func TestParseUserUpdatedAt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1763358000000":       1763358000000,
		"1763358000000.0":     1763358000000,
		"1.763358e12":         1763358000000,
		"17633580000000E-1":   1763358000000,
		"9007199254740993":    9007199254740993, // one above what a float64 tells apart
		"9223372036854775807": 1<<63 - 1,
		"-1":                  -1,
		"-0":                  0,
		"0":                   0,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			u, err := clerk.ParseUser(json.RawMessage(`{"id":"user_1","updated_at":` + text + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := u.UpdatedAt.Value(); got != want || !ok {
				t.Errorf("want %d, got %d, present %t", want, got, ok)
			}
		})
	}
}

func TestPrimaryEmail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		want       clerk.Optional[string]
	}{
		{"no list says nothing", `"primary_email_address_id":"idn_1"`, clerk.Optional[string]{}},
		{"a list of null clears", `"email_addresses":null`, null()},
		{"an empty list clears", `"email_addresses":[],"primary_email_address_id":"idn_1"`, null()},
		{"the one that is named", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"id":"b","email_address":"b@example.com"}],"primary_email_address_id":"b"`, some("b@example.com")},
		{"the first when none is named", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"id":"b","email_address":"b@example.com"}]`, some("a@example.com")},
		{"the first when null is named", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"id":"b","email_address":"b@example.com"}],"primary_email_address_id":null`, some("a@example.com")},
		{"the first when another one is named", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"id":"b","email_address":"b@example.com"}],"primary_email_address_id":"c"`, some("a@example.com")},
		{"an empty name is no name", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"email_address":"b@example.com"}],"primary_email_address_id":""`, some("a@example.com")},
		{"the first of two of that id", `"email_addresses":[{"id":"a","email_address":"a@example.com"},{"id":"b","email_address":"b@example.com"},{"id":"b","email_address":"c@example.com"}],"primary_email_address_id":"b"`, some("b@example.com")},
		{"ids may be absent or null", `"email_addresses":[{"email_address":"a@example.com"},{"id":null,"email_address":"b@example.com"}]`, some("a@example.com")},
		{"an empty address clears", `"email_addresses":[{"id":"a","email_address":""}]`, null()},
		{"it stays as it was written", `"email_addresses":[{"id":"a","email_address":"Ada+Tag@Example.COM"}]`, some("Ada+Tag@Example.COM")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := clerk.ParseUser(json.RawMessage(`{"id":"user_1",` + tt.data + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, u.PrimaryEmail(), optionals); d != "" {
				t.Errorf("primary email (-want +got)\n%s", d)
			}
		})
	}
}
