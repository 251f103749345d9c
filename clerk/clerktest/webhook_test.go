package clerktest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

func TestWebhooksAreOfTheirSize(t *testing.T) {
	t.Parallel()
	for _, size := range clerktest.Sizes {
		t.Run(clerktest.SizeName(size), func(t *testing.T) {
			t.Parallel()
			body := clerktest.Webhook("user_1", 7, size)
			if want, got := size, len(body); got < want-want/20 || got > want+want/20 {
				t.Errorf("size: want %d to within 5 %%, got %d", want, got)
			}
			if !json.Valid([]byte(body)) {
				t.Fatalf("want JSON, got %s", body)
			}
			e, err := clerk.ParseEnvelope([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			u, err := clerk.ParseUser(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			want := clerk.User{
				ID: "user_1", Username: clerk.Null[string](), FirstName: clerk.Some("Søren"), LastName: clerk.Some("Kierkegaard"),
				ImageURL:              clerk.Some("https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJodHRwcyJ9?7"),
				EmailAddresses:        clerk.Some([]clerk.EmailAddress{{ID: "idn_3Aq0AuthEmail000000000000001", Address: "user_1@example.com"}}),
				PrimaryEmailAddressID: clerk.Some("idn_3Aq0AuthEmail000000000000001"), UpdatedAt: clerk.Some[int64](7),
			}
			if d := cmp.Diff(want, u, cmp.AllowUnexported(clerk.Optional[string]{}, clerk.Optional[int64]{}, clerk.Optional[[]clerk.EmailAddress]{})); d != "" {
				t.Errorf("user (-want +got)\n%s", d)
			}
		})
	}
}
