package clerk_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/glowup-app/clerksync/clerk"
)

// genVersion draws from few values, so that ties in every part are common.
func genVersion() *rapid.Generator[clerk.Version] {
	return rapid.Custom(func(t *rapid.T) clerk.Version {
		return clerk.Version{
			At:      rapid.OneOf(rapid.Int64Range(-1, 1), rapid.Int64()).Draw(t, "at"),
			TS:      rapid.OneOf(rapid.Int64Range(-1, 1), rapid.Int64()).Draw(t, "ts"),
			EventID: rapid.OneOf(rapid.SampledFrom([]string{"", "a", "ab", "b", "ä"}), rapid.String()).Draw(t, "event id"),
		}
	})
}

func TestVersionCompareIsATotalOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genVersion().Draw(t, "a"), genVersion().Draw(t, "b"), genVersion().Draw(t, "c")
		if a.Compare(a) != 0 {
			t.Errorf("reflexive: want 0, got %d", a.Compare(a))
		}
		if want, got := -sign(b.Compare(a)), sign(a.Compare(b)); got != want {
			t.Errorf("antisymmetric: want %d, got %d", want, got)
		}
		if equal := a.Compare(b) == 0; equal != (a == b) {
			t.Errorf("only the same event is equal: want %t, got %t", a == b, equal)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Error("transitive: a <= b <= c, but a > c")
		}
	})
}

func sign(n int) int { return min(max(n, -1), 1) }

func TestVersionCompare(t *testing.T) {
	t.Parallel()
	type version = clerk.Version
	tests := []struct {
		name         string
		older, newer version
	}{
		{"updated_at decides first", version{At: 1, TS: 9, EventID: "z"}, version{At: 2, TS: 1, EventID: "a"}},
		{"then the event's ts", version{At: 1, TS: 1, EventID: "z"}, version{At: 1, TS: 2, EventID: "a"}},
		{"then the event's id", version{At: 1, TS: 1, EventID: "a"}, version{At: 1, TS: 1, EventID: "b"}},
		{"ids compare bytewise", version{EventID: "Z"}, version{EventID: "a"}},
		{"an event without id is older", version{At: 1, TS: 1}, version{At: 1, TS: 1, EventID: "a"}},
		{"an event without time is older", version{EventID: "z"}, version{At: 1}},
		{"the ends of the range", version{At: -1 << 63}, version{At: 1<<63 - 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.older.Compare(tt.newer); got >= 0 {
				t.Errorf("older to newer: want negative, got %d", got)
			}
			if got := tt.newer.Compare(tt.older); got <= 0 {
				t.Errorf("newer to older: want positive, got %d", got)
			}
		})
	}
}

func TestUserVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		updatedAt clerk.Optional[int64]
		ts        int64
		want      clerk.Version
	}{
		{"updated_at goes before the event's ts", clerk.Some[int64](5), 7, clerk.Version{At: 5, TS: 7, EventID: "msg_1"}},
		{"without it the event's ts", clerk.Optional[int64]{}, 7, clerk.Version{At: 7, TS: 7, EventID: "msg_1"}},
		{"null is without it", clerk.Null[int64](), 7, clerk.Version{At: 7, TS: 7, EventID: "msg_1"}},
		{"zero is a value", clerk.Some[int64](0), 7, clerk.Version{At: 0, TS: 7, EventID: "msg_1"}},
		{"with neither it is the oldest", clerk.Optional[int64]{}, 0, clerk.Version{EventID: "msg_1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, clerk.User{UpdatedAt: tt.updatedAt}.Version("msg_1", tt.ts)); d != "" {
				t.Errorf("version (-want +got)\n%s", d)
			}
		})
	}
}

func TestUserChange(t *testing.T) {
	t.Parallel()
	v := clerk.Version{At: 1, TS: 2, EventID: "msg_1"}
	tests := []struct {
		name string
		user clerk.User
		want clerk.Change
	}{
		{"what the payload lacks changes nothing", clerk.User{ID: "user_1"}, clerk.Change{UserID: "user_1", Version: v}},
		{
			"null clears",
			clerk.User{ID: "user_1", FirstName: null(), LastName: null(), ImageURL: null(), Username: null(), EmailAddresses: clerk.Null[[]clerk.EmailAddress]()},
			clerk.Change{UserID: "user_1", Version: v, FirstName: null(), LastName: null(), ProfilePicture: null(), Username: null(), Email: null()},
		},
		{
			"values are taken as they are",
			clerk.User{ID: "user_1", FirstName: some(" Ada "), LastName: some(""), ImageURL: some("https://img.example.com"), Username: some("ada")},
			clerk.Change{UserID: "user_1", Version: v, FirstName: some(" Ada "), LastName: some(""), ProfilePicture: some("https://img.example.com"), Username: some("ada")},
		},
		{
			"an empty picture and an empty username are none",
			clerk.User{ID: "user_1", ImageURL: some(""), Username: some("")},
			clerk.Change{UserID: "user_1", Version: v, ProfilePicture: null(), Username: null()},
		},
		{
			"the email is the primary one",
			clerk.User{
				ID: "user_1", PrimaryEmailAddressID: some("b"),
				EmailAddresses: addresses(clerk.EmailAddress{ID: "a", Address: "a@example.com"}, clerk.EmailAddress{ID: "b", Address: "b@example.com"}),
			},
			clerk.Change{UserID: "user_1", Version: v, Email: some("b@example.com")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, tt.user.Change(v), optionals); d != "" {
				t.Errorf("change (-want +got)\n%s", d)
			}
		})
	}
}
