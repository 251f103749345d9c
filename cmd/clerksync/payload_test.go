package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

var aDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rendered is what a payload looks like to who receives it.
func rendered(t *testing.T, p payloads, event, id, email string) (json.RawMessage, map[string]any) {
	t.Helper()
	body, err := p.body(event, p.data(event, id, email, aDay), aDay)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := clerk.ParseEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	if envelope.Type != event || envelope.Timestamp != aDay.UnixMilli() {
		t.Errorf("envelope: want %s at %d, got %s at %d", event, aDay.UnixMilli(), envelope.Type, envelope.Timestamp)
	}
	var data map[string]any
	if err := json.Unmarshal(envelope.Data, &data); err != nil {
		t.Fatal(err)
	}
	return envelope.Data, data
}

func TestPayloadIsWhatClerkSends(t *testing.T) {
	t.Parallel()
	// UserJSON of @clerk/backend, as its webhooks have it.
	keys := strings.Fields(`backup_code_enabled banned bypass_client_trust create_organization_enabled create_organizations_limit
		created_at delete_self_enabled deprovisioned email_addresses enterprise_accounts external_accounts external_id first_name
		has_image id image_url last_active_at last_name last_sign_in_at legal_accepted_at locale locked lockout_expires_in_seconds
		mfa_disabled_at mfa_enabled_at object passkeys password_enabled password_last_updated_at phone_numbers
		primary_email_address_id primary_phone_number_id primary_web3_wallet_id private_metadata profile_image_url public_metadata
		saml_accounts totp_enabled two_factor_enabled unsafe_metadata updated_at username verification_attempts_remaining
		web3_wallets`)
	id := regexp.MustCompile(`^user_[0-9A-Za-z]{27}$`)
	p := newPayloads(1)
	seen := map[string]bool{}
	for range 200 {
		userID := p.id("user")
		if !id.MatchString(userID) || seen[userID] {
			t.Fatalf("id: want a new one that matches %s, got %s", id, userID)
		}
		seen[userID] = true
		raw, data := rendered(t, p, eventCreated, userID, "")
		if d := cmp.Diff(keys, slices.Sorted(maps.Keys(data))); d != "" {
			t.Fatalf("keys of data (-want +got)\n%s", d)
		}
		u, err := clerk.ParseUser(raw)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := u.FirstName.Value()
		last, _ := u.LastName.Value()
		email, _ := u.PrimaryEmail().Value()
		image, _ := u.ImageURL.Value()
		updated, _ := u.UpdatedAt.Value()
		if u.ID != userID || first == "" || last == "" || updated != aDay.UnixMilli() {
			t.Errorf("user: want %s with both names, updated at %d, got %q %q %q at %d", userID, aDay.UnixMilli(), u.ID, first, last, updated)
		}
		if !regexp.MustCompile(`^[a-z]+\.[a-z]+\d+@([a-z]+\.)?example\.[a-z]+$`).MatchString(email) {
			t.Errorf("email: want ASCII at an example domain, got %q", email)
		}
		if !strings.HasPrefix(image, "https://img.clerk.com/") {
			t.Errorf("image_url: want https://img.clerk.com/…, got %q", image)
		}
		if u.Change(u.Version("msg_1", aDay.UnixMilli())).UserID != userID {
			t.Errorf("change: want one for %s", userID)
		}
	}
}

func TestPayloadRepeatsItselfForASeed(t *testing.T) {
	t.Parallel()
	user := func(seed uint64) string {
		p := newPayloads(seed)
		raw, _ := rendered(t, p, eventCreated, p.id("user"), "")
		return string(raw)
	}
	if d := cmp.Diff(user(7), user(7)); d != "" {
		t.Errorf("the same seed (-first +second)\n%s", d)
	}
	if user(7) == user(8) {
		t.Error("another seed: want another user, got the same one")
	}
}

func TestPayloadOfAnUpdateIsTheSamePerson(t *testing.T) {
	t.Parallel()
	p := newPayloads(3)
	id := p.id("user")
	_, created := rendered(t, p, eventCreated, id, "")
	_, updated := rendered(t, p, eventUpdated, id, "")
	for _, key := range []string{"id", "primary_email_address_id", "username"} {
		if created[key] != updated[key] {
			t.Errorf("%s: want %v as before, got %v", key, created[key], updated[key])
		}
	}
	address := func(user map[string]any) any {
		return user["email_addresses"].([]any)[0].(map[string]any)["email_address"]
	}
	if address(created) != address(updated) {
		t.Errorf("email: want %v as before, got %v", address(created), address(updated))
	}
	if created["image_url"] == updated["image_url"] {
		t.Error("image_url: want another one, so that an update has something to write")
	}
	if updated["created_at"].(float64) >= updated["updated_at"].(float64) {
		t.Errorf("created_at: want it before %v, got %v", updated["updated_at"], updated["created_at"])
	}
}

func TestPayloadTakesAnEmail(t *testing.T) {
	t.Parallel()
	p := newPayloads(4)
	raw, _ := rendered(t, p, eventUpdated, p.id("user"), "ann@example.com")
	u, err := clerk.ParseUser(raw)
	if err != nil {
		t.Fatal(err)
	}
	if email, _ := u.PrimaryEmail().Value(); email != "ann@example.com" {
		t.Errorf("primary email: want ann@example.com, got %q", email)
	}
}

func TestPayloadOfADeleteIsSmall(t *testing.T) {
	t.Parallel()
	_, data := rendered(t, newPayloads(5), eventDeleted, "user_1", "")
	if d := cmp.Diff(map[string]any{"deleted": true, "id": "user_1", "object": "user"}, data); d != "" {
		t.Errorf("data of user.deleted (-want +got)\n%s", d)
	}
}
