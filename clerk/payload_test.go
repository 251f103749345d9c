package clerk_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// optionals lets cmp tell absent, null and present apart.
var optionals = cmp.AllowUnexported(clerk.Optional[string]{}, clerk.Optional[int64]{}, clerk.Optional[[]clerk.EmailAddress]{})

func some(s string) clerk.Optional[string] { return clerk.Some(s) }
func null() clerk.Optional[string]         { return clerk.Null[string]() }

func addresses(list ...clerk.EmailAddress) clerk.Optional[[]clerk.EmailAddress] {
	if list == nil {
		list = []clerk.EmailAddress{}
	}
	return clerk.Some(list)
}

// testdata is a webhook's body as Clerk sends it.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// payloads names the files of testdata.
func payloads(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("want files in testdata, got %d, error %v", len(paths), err)
	}
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	return paths
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file      string
		typ       string
		timestamp int64
		user      clerk.User
		change    clerk.Change // its version is that of the event
	}{
		{
			file: "user.created.password.json", typ: "user.created", timestamp: 1763358001262,
			user: clerk.User{
				ID: "user_3AqPassw0rdSeveralEmails0001", Username: some("amazing_grace"), FirstName: some("Grace"), LastName: some("Hopper"),
				ImageURL: some("https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzducDdIcmswU042a2o1RURNTERhS05MMFMifQ"),
				EmailAddresses: addresses(
					clerk.EmailAddress{ID: "idn_3AqWorkAddressNotPrimary0001", Address: "grace@work.example.com"},
					clerk.EmailAddress{ID: "idn_3AqHomeAddressPrimary0000001", Address: "grace.hopper@example.com"},
					clerk.EmailAddress{ID: "idn_3AqOldAddressUnverified00001", Address: "gmh@old.example.com"},
				),
				PrimaryEmailAddressID: some("idn_3AqHomeAddressPrimary0000001"), UpdatedAt: clerk.Some[int64](1763358001250),
			},
			change: clerk.Change{
				UserID: "user_3AqPassw0rdSeveralEmails0001", Version: clerk.Version{At: 1763358001250, TS: 1763358001262, EventID: "msg_1"},
				Email: some("grace.hopper@example.com"), FirstName: some("Grace"), LastName: some("Hopper"), Username: some("amazing_grace"),
				ProfilePicture: some("https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzducDdIcmswU042a2o1RURNTERhS05MMFMifQ"),
			},
		},
		{
			file: "user.created.oauth.json", typ: "user.created", timestamp: 1763361000447,
			user: clerk.User{
				ID: "user_3Aq0AuthGoogleAccount000001", Username: null(), FirstName: some("Søren"), LastName: some("Kierkegaard"),
				ImageURL:              some("https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJodHRwczovL2ltYWdlcy5jbGVyay5kZXYvb2F1dGhfZ29vZ2xlL2ltZ18zQXEifQ"),
				EmailAddresses:        addresses(clerk.EmailAddress{ID: "idn_3Aq0AuthEmail000000000000001", Address: "soren@example.com"}),
				PrimaryEmailAddressID: some("idn_3Aq0AuthEmail000000000000001"), UpdatedAt: clerk.Some[int64](1763361000430),
			},
			change: clerk.Change{
				UserID: "user_3Aq0AuthGoogleAccount000001", Version: clerk.Version{At: 1763361000430, TS: 1763361000447, EventID: "msg_1"},
				Email: some("soren@example.com"), FirstName: some("Søren"), LastName: some("Kierkegaard"), Username: null(),
				ProfilePicture: some("https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJodHRwczovL2ltYWdlcy5jbGVyay5kZXYvb2F1dGhfZ29vZ2xlL2ltZ18zQXEifQ"),
			},
		},
		{
			file: "user.created.phone.json", typ: "user.created", timestamp: 1763364000090,
			user: clerk.User{
				ID: "user_3AqPhone0nlyUser00000000001", Username: null(), FirstName: some("Radia"), LastName: null(),
				ImageURL:       some("https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsInJpZCI6InVzZXJfM0FxUGhvbmUifQ"),
				EmailAddresses: addresses(), PrimaryEmailAddressID: null(), UpdatedAt: clerk.Some[int64](1763364000077),
			},
			change: clerk.Change{
				UserID: "user_3AqPhone0nlyUser00000000001", Version: clerk.Version{At: 1763364000077, TS: 1763364000090, EventID: "msg_1"},
				Email: null(), FirstName: some("Radia"), LastName: null(), Username: null(),
				ProfilePicture: some("https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsInJpZCI6InVzZXJfM0FxUGhvbmUifQ"),
			},
		},
		{
			file: "user.created.nulls.json", typ: "user.created", timestamp: 1763367000016,
			user: clerk.User{
				ID: "user_3AqNullNamesAndImage0000001", Username: null(), FirstName: null(), LastName: null(), ImageURL: null(),
				EmailAddresses:        addresses(clerk.EmailAddress{ID: "idn_3AqNullNamesEmail0000000001", Address: "nameless@example.com"}),
				PrimaryEmailAddressID: some("idn_3AqNullNamesEmail0000000001"), UpdatedAt: clerk.Some[int64](1763367000005),
			},
			change: clerk.Change{
				UserID: "user_3AqNullNamesAndImage0000001", Version: clerk.Version{At: 1763367000005, TS: 1763367000016, EventID: "msg_1"},
				Email: some("nameless@example.com"), FirstName: null(), LastName: null(), ProfilePicture: null(), Username: null(),
			},
		},
		{
			file: "user.updated.json", typ: "user.updated", timestamp: 1763444400011,
			user: clerk.User{
				ID: "user_3AqPassw0rdSeveralEmails0001", Username: some("amazing_grace"), FirstName: some("Grace"), LastName: some("Murray Hopper"),
				ImageURL: some("https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJ1cGxvYWRlZCJ9"),
				EmailAddresses: addresses(
					clerk.EmailAddress{ID: "idn_3AqHomeAddressPrimary0000001", Address: "grace.hopper@example.com"},
					clerk.EmailAddress{ID: "idn_3AqNavyAddressNowPrimary0001", Address: "rear.admiral@navy.example.com"},
				),
				PrimaryEmailAddressID: some("idn_3AqNavyAddressNowPrimary0001"), UpdatedAt: clerk.Some[int64](1763444400000),
			},
			change: clerk.Change{
				UserID: "user_3AqPassw0rdSeveralEmails0001", Version: clerk.Version{At: 1763444400000, TS: 1763444400011, EventID: "msg_1"},
				Email: some("rear.admiral@navy.example.com"), FirstName: some("Grace"), LastName: some("Murray Hopper"), Username: some("amazing_grace"),
				ProfilePicture: some("https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJ1cGxvYWRlZCJ9"),
			},
		},
		{
			file: "user.deleted.json", typ: "user.deleted", timestamp: 1763530800000,
			user: clerk.User{ID: "user_3AqPassw0rdSeveralEmails0001"},
			change: clerk.Change{
				UserID:  "user_3AqPassw0rdSeveralEmails0001",
				Version: clerk.Version{At: 1763530800000, TS: 1763530800000, EventID: "msg_1"}, // without updated_at the event's ts
			},
		},
	}
	tested := []string{}
	for _, tt := range tests {
		tested = append(tested, tt.file)
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			e, err := clerk.ParseEnvelope(testdata(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if e.Type != tt.typ || e.Timestamp != tt.timestamp {
				t.Errorf("envelope: want %s at %d, got %s at %d", tt.typ, tt.timestamp, e.Type, e.Timestamp)
			}
			u, err := clerk.ParseUser(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.user, u, optionals); d != "" {
				t.Errorf("user (-want +got)\n%s", d)
			}
			if d := cmp.Diff(tt.change, u.Change(u.Version("msg_1", e.Timestamp)), optionals); d != "" {
				t.Errorf("change (-want +got)\n%s", d)
			}
		})
	}
	slices.Sort(tested)
	if d := cmp.Diff(tested, payloads(t)); d != "" {
		t.Errorf("every file of testdata is tested (-tested +there)\n%s", d)
	}
}

// An event reaches the functions compacted and with its strings escaped anew, which must not change the user.
func TestPayloadsSurviveCompaction(t *testing.T) {
	t.Parallel()
	for _, file := range payloads(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			e, err := clerk.ParseEnvelope(testdata(t, file))
			if err != nil {
				t.Fatal(err)
			}
			want, err := clerk.ParseUser(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			sent, err := json.Marshal(e.Event("msg_1", at(e.Timestamp)))
			if err != nil {
				t.Fatal(err)
			}
			var received clerk.Event
			if err := json.Unmarshal(sent, &received); err != nil {
				t.Fatal(err)
			}
			got, err := clerk.ParseUser(received.Data)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, optionals); d != "" {
				t.Errorf("user (-want +got)\n%s", d)
			}
		})
	}
}

func TestPayloadNumbersKeepTheirText(t *testing.T) {
	t.Parallel()
	e, err := clerk.ParseEnvelope(testdata(t, "user.created.password.json"))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(e.Event("msg_1", at(e.Timestamp)))
	if err != nil {
		t.Fatal(err)
	}
	// A float64 holds neither.
	for _, want := range []string{`"bytes":9007199254740993`, `"score":81.50`} {
		if !bytes.Contains(sent, []byte(want)) {
			t.Errorf("want %s in the event, got none", want)
		}
	}
}
