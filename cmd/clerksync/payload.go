package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The user events that the functions are triggered by, as Clerk names them.
const (
	eventCreated = "user.created"
	eventUpdated = "user.updated"
	eventDeleted = "user.deleted"
)

// object is a JSON object; encoding/json writes its keys in alphabetical order, and so does Clerk.
type object = map[string]any

// payloads makes up what Clerk sends: the types UserJSON and UserDeletedJSON, and what is inside them, of Clerk's
// npm package @clerk/backend, in the envelope of its webhooks. The same seed makes the same users.
type payloads struct{ random }

func newPayloads(seed uint64) payloads {
	return payloads{random{rand.New(rand.NewPCG(seed, 0))}} //nolint:gosec // it makes up users, and must repeat itself
}

// body is the webhook of event about data, an object.
func (p payloads) body(event string, data any, now time.Time) ([]byte, error) {
	return marshal(object{
		"data": data,
		"event_attributes": object{"http_request": object{
			"client_ip":  fmt.Sprintf("192.0.2.%d", p.IntN(256)), // RFC 5737: nobody's
			"user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		}},
		"instance_id": "ins_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
		"object":      "event",
		"timestamp":   now.UnixMilli(),
		"type":        event,
	})
}

// data is what event carries about the user of that id. email replaces the made-up address unless it is empty.
//
// What a person keeps is drawn from the id, so that user.created and user.updated of one id are about the same
// person; an update brings another name and picture.
func (p payloads) data(event, id, email string, now time.Time) object {
	if event == eventDeleted {
		return object{"deleted": true, "id": id, "object": "user"}
	}
	r := randomOf(id)
	first, last := pick(r, firstNames), pick(r, lastNames)
	address := asciiLetters(first) + "." + asciiLetters(last) + strconv.Itoa(r.IntN(100000)) + "@" + pick(r, domains)
	if email != "" {
		address = email
	}
	picture, age := r.picture(), time.Duration(1+r.IntN(90))*24*time.Hour
	made := now
	if event == eventUpdated {
		made = now.Add(-age)
		first, last, picture = pick(p.random, firstNames), pick(p.random, lastNames), p.picture()
	}
	return r.user(object{
		"created_at": made.UnixMilli(),
		"first_name": first,
		"id":         id,
		"image_url":  picture,
		"last_name":  last,
		"updated_at": now.UnixMilli(),
	}, address, made)
}

// user completes u with every other field that Clerk sends.
func (r random) user(u object, address string, made time.Time) object {
	madeAt := made.UnixMilli()
	emailID := r.id("idn")
	linked, accounts := []object{}, []object{}
	if r.IntN(2) == 0 {
		google := r.id("idn")
		linked = append(linked, object{"id": google, "type": "oauth_google"})
		accounts = append(accounts, r.googleAccount(u, google, address, madeAt))
	}
	emails := []object{r.email(emailID, address, linked, madeAt)}
	if r.IntN(5) == 0 {
		emails = append(emails, r.email(r.id("idn"), "home."+address, []object{}, madeAt))
	}
	phones, phoneID := []object{}, any(nil)
	if r.IntN(3) == 0 {
		id := r.id("idn")
		phones, phoneID = append(phones, r.phone(id, madeAt)), id
	}
	username := any(nil)
	if r.IntN(3) == 0 {
		username, _, _ = strings.Cut(address, "@")
	}
	maps.Copy(u, object{
		"backup_code_enabled": false, "banned": false, "bypass_client_trust": false, "create_organization_enabled": true,
		"create_organizations_limit": nil, "delete_self_enabled": true, "deprovisioned": false, "email_addresses": emails,
		"enterprise_accounts": []object{}, "external_accounts": accounts, "external_id": nil, "has_image": len(accounts) > 0,
		"last_active_at": u["updated_at"], "last_sign_in_at": madeAt, "legal_accepted_at": nil, "locale": nil,
		"locked": false, "lockout_expires_in_seconds": nil, "mfa_disabled_at": nil, "mfa_enabled_at": nil, "object": "user",
		"passkeys": []object{}, "password_enabled": len(accounts) == 0, "password_last_updated_at": nil,
		"phone_numbers": phones, "primary_email_address_id": emailID, "primary_phone_number_id": phoneID,
		"primary_web3_wallet_id": nil, "private_metadata": object{},
		"profile_image_url": "https://images.clerk.dev/uploaded/" + r.id("img"),
		"public_metadata":   object{"plan": pick(r, []string{"free", "pro", "team"})}, "saml_accounts": []object{},
		"totp_enabled": false, "two_factor_enabled": false, "unsafe_metadata": object{}, "username": username,
		"verification_attempts_remaining": 100, "web3_wallets": []object{},
	})
	return u
}

func (r random) email(id, address string, linked []object, madeAt int64) object {
	return object{
		"created_at": madeAt, "email_address": address, "id": id, "linked_to": linked, "matches_sso_connection": false,
		"object": "email_address", "reserved": false, "updated_at": madeAt, "verification": r.verification("email_code", madeAt),
	}
}

func (r random) phone(id string, madeAt int64) object {
	return object{
		"backup_codes": nil, "created_at": madeAt, "default_second_factor": false, "id": id, "linked_to": []object{},
		"object": "phone_number", "phone_number": fmt.Sprintf("+120255501%02d", r.IntN(100)), // reserved for fiction
		"reserved": false, "reserved_for_second_factor": false, "updated_at": madeAt,
		"verification": r.verification("phone_code", madeAt),
	}
}

func (r random) googleAccount(u object, id, address string, madeAt int64) object {
	google := strconv.FormatInt(1e17+r.Int64N(9e17), 10)
	return object{
		"approved_scopes": "email https://www.googleapis.com/auth/userinfo.email " +
			"https://www.googleapis.com/auth/userinfo.profile openid profile",
		"created_at": madeAt, "email_address": address, "external_account_id": r.id("eac"), "family_name": u["last_name"],
		"first_name": u["first_name"], "given_name": u["first_name"], "google_id": google, "id": id, "identification_id": id,
		"image_url": u["image_url"], "label": nil, "last_name": u["last_name"], "object": "google_account", "picture": u["image_url"],
		"provider": "oauth_google", "provider_user_id": google, "public_metadata": object{}, "updated_at": madeAt, "username": nil,
		"verification": r.verification("oauth_google", madeAt),
	}
}

func (r random) verification(strategy string, madeAt int64) object {
	return object{
		"attempts": 1, "expire_at": madeAt + (10 * time.Minute).Milliseconds(), "id": r.id("ver"),
		"object": "verification_" + strategy, "status": "verified", "strategy": strategy,
	}
}

// random draws the parts of a payload.
type random struct{ *rand.Rand }

// randomOf draws the same for the same id.
func randomOf(id string) random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))                         // it never fails
	return random{rand.New(rand.NewPCG(h.Sum64(), 1))} //nolint:gosec // it makes up users, and must repeat itself
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// id is one of Clerk's ids: a prefix and a KSUID, which starts with the time; in these years with a 3.
func (r random) id(prefix string) string {
	b := append(make([]byte, 0, len(prefix)+28), prefix+"_3"...)
	for range 26 {
		b = append(b, base62[r.IntN(len(base62))])
	}
	return string(b)
}

// picture is the URL of an image as Clerk's proxy serves it.
func (r random) picture() string {
	inner := `{"type":"proxy","src":"https://images.clerk.dev/oauth_google/` + r.id("img") + `"}`
	return "https://img.clerk.com/" + base64.RawURLEncoding.EncodeToString([]byte(inner))
}

func pick(r random, from []string) string { return from[r.IntN(len(from))] }

var (
	firstNames = []string{
		"Adriana", "Bengt", "Chiara", "Dawit", "Eleni", "Farid", "Gitanjali", "Hana", "Ines", "Jørgen", "Kofi", "Léa",
		"Mateo", "Nour", "Oksana", "Priya", "Quentin", "Rosa", "Sébastien", "Tomoko", "Uma", "Vikram", "Wanjiru", "Zoë",
	}
	lastNames = []string{
		"Abebe", "Bianchi", "Castañeda", "D'Amico", "Eriksson", "Fournier", "Grünwald", "Haddad", "Ito", "Jansen", "Kaya",
		"Lindqvist", "Mbeki", "Novák", "O'Brien", "Papadakis", "Quispe", "Rao", "Silva", "Tanaka", "Ueda", "Vargas", "Wójcik",
	}
	domains = []string{"example.com", "example.org", "mail.example.net"} // RFC 2606: nobody's

	plainLetters = strings.NewReplacer("á", "a", "é", "e", "ë", "e", "ñ", "n", "ó", "o", "ø", "o", "ü", "u", "'", "")
)

// asciiLetters is a name as it stands in an email address.
func asciiLetters(name string) string { return plainLetters.Replace(strings.ToLower(name)) }

// marshal is json.Marshal without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
