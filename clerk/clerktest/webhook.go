package clerktest

import (
	"fmt"
	"strings"
)

// Sizes are those of the payloads in benchmarks, in bytes: a user with next to nothing, a usual one, and ones that carry more
// metadata than anybody should give them.
var Sizes = []int{1 << 10, 4 << 10, 64 << 10, 256 << 10}

// SizeName is a size as the benchmarks show it: 4kB.
func SizeName(size int) string { return fmt.Sprintf("%dkB", size>>10) }

// UserOfSize is the data of a user event, compact as Clerk sends it. What the sync reads is all there; from 3 kB on it has
// everything that Clerk's user object has, and what is missing then to size is public metadata. The picture changes
// with updatedAt.
func UserOfSize(id string, updatedAt int64, size int) string {
	address := strings.ToLower(id) + "@example.com"
	u := fmt.Sprintf(`{"backup_code_enabled":false,"banned":false,"created_at":1763361000000,"email_addresses":[{"created_at":1763361000000,`+
		`"email_address":%q,"id":"idn_3Aq0AuthEmail000000000000001","linked_to":[],"object":"email_address","reserved":false,`+
		`"updated_at":1763361000850,"verification":{"attempts":1,"expire_at":1763361600000,"status":"verified","strategy":"email_code"}}],`+
		`"first_name":"Søren","has_image":true,"id":%q,"image_url":"https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJodHRwcyJ9?%d",`+
		`"last_name":"Kierkegaard","object":"user","primary_email_address_id":"idn_3Aq0AuthEmail000000000000001",`+
		`"updated_at":%d,"username":null`, address, id, updatedAt, updatedAt)
	if size > len(u)+len(rest)+len(google) {
		u += rest + google
	}
	return u + metadata(size-len(u)) + "}"
}

// Webhook is the body of a user.updated webhook, of size bytes or, where that is less than the envelope of the
// smallest user needs, a little more.
func Webhook(id string, at int64, size int) string {
	head, tail := `{"data":`, fmt.Sprintf(`,"instance_id":"ins_2g7np7Hrk0SN6kj5EDMLDaKNL0S","object":"event","timestamp":%d,"type":"user.updated"}`, at)
	return head + UserOfSize(id, at, size-len(head)-len(tail)) + tail
}

// metadata is a member of n bytes; none where n is too few for one.
func metadata(n int) string {
	const begin, end = `,"public_metadata":{"notes":[`, `]}`
	n -= len(begin) + len(end) + len(`""`) + len("}") // the user's own brace
	if n < 0 {
		return ""
	}
	notes := strings.Repeat(note+",", n/len(note+","))
	return begin + notes + `"` + strings.Repeat("x", n-len(notes)) + `"` + end
}

const (
	// note is as wide as a short text that a person wrote; one of the functions' invocations may have no more than
	// 5,000 members.
	note = `{"at":1763361000000,"text":"Called about the invoice of last month, wants it on paper and \"with the old address\". ` +
		`Asked whether the second workspace counts as a seat of its own; said that it doesn't, see the terms. ` +
		`Prefers to be called in the morning. Rückruf am Dienstag, 10 Uhr."}`

	rest = `,"bypass_client_trust":false,"create_organization_enabled":true,"create_organizations_limit":null,"delete_self_enabled":true,` +
		`"deprovisioned":false,"enterprise_accounts":[],"external_id":null,"last_active_at":1763361000420,"last_sign_in_at":1763361000425,` +
		`"legal_accepted_at":1763361000000,"locale":"da-DK","locked":false,"lockout_expires_in_seconds":null,"mfa_disabled_at":null,` +
		`"mfa_enabled_at":null,"organization_memberships":null,"passkeys":[],"password_enabled":false,"password_last_updated_at":null,` +
		`"phone_numbers":[],"primary_phone_number_id":null,"primary_web3_wallet_id":null,"private_metadata":{},` +
		`"profile_image_url":"https://images.clerk.dev/oauth_google/img_3AqS0renGoogle000000000000001.jpeg","saml_accounts":[],"timezone":null,` +
		`"totp_enabled":false,"two_factor_enabled":false,"unsafe_metadata":{},"verification_attempts_remaining":100,"web3_wallets":[]`

	google = `,"external_accounts":[{"approved_scopes":"email https://www.googleapis.com/auth/userinfo.email ` +
		`https://www.googleapis.com/auth/userinfo.profile openid profile","created_at":1763361000000,"email_address":"soren@example.com",` +
		`"external_account_id":"eac_3AqS0renGoogle00000000000001","family_name":"Kierkegaard","first_name":"Søren","given_name":"Søren",` +
		`"google_id":"104512345678901234567","id":"idn_3AqGoogleAccount000000000001","identification_id":"idn_3AqGoogleAccount000000000001",` +
		`"image_url":"https://img.clerk.com/eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJnb29nbGUifQ","label":null,"last_name":"Kierkegaard",` +
		`"object":"google_account","phone_number":null,"picture":"https://lh3.googleusercontent.com/a/AATXAJx0=s1000-c",` +
		`"provider":"oauth_google","provider_user_id":"104512345678901234567","public_metadata":{},"updated_at":1763361000010,"username":null,` +
		`"verification":{"attempts":null,"expire_at":1763361600000,"id":"ver_3AqOauthGoogle00000000000001","status":"verified","strategy":"oauth_google"}}]`
)
