package clerk

import (
	"encoding/json"
	"fmt"
)

// User is what the sync reads of Clerk's user object, in a webhook's data or from the Backend API. Everything
// but ID can be absent.
type User struct {
	ID        string // never empty
	Username  Optional[string]
	FirstName Optional[string]
	LastName  Optional[string]
	ImageURL  Optional[string]

	EmailAddresses        Optional[[]EmailAddress]
	PrimaryEmailAddressID Optional[string]

	UpdatedAt Optional[int64] // Unix milliseconds
}

// EmailAddress is one of a user's addresses.
type EmailAddress struct {
	ID      string
	Address string
}

// ParseUser reads data of a user event, or one user of the Backend API. It returns a [*FieldError] for a
// field of the wrong type and for a user without id.
func ParseUser(data json.RawMessage) (User, error) {
	o, err := readObject(data, "data")
	if err != nil {
		return User{}, err
	}
	return o.user()
}

func (o object) user() (_ User, err error) {
	const path = "data"
	id, ok := decodeString(o["id"])
	if !ok || id == "" {
		return User{}, &FieldError{Field: "data.id", Want: "non-empty string", Got: kind(o["id"])}
	}
	u := User{ID: id}
	for _, f := range []struct {
		key string
		dst *Optional[string]
	}{
		{"username", &u.Username},
		{"first_name", &u.FirstName},
		{"last_name", &u.LastName},
		{"image_url", &u.ImageURL},
		{"primary_email_address_id", &u.PrimaryEmailAddressID},
	} {
		if *f.dst, err = readString(o, path, f.key); err != nil {
			return User{}, err
		}
	}
	if u.UpdatedAt, err = read(o, path, "updated_at", "integer", decodeInteger); err != nil {
		return User{}, err
	}
	if u.EmailAddresses, err = readEmailAddresses(o, path); err != nil {
		return User{}, err
	}
	return u, nil
}

func readEmailAddresses(o object, path string) (Optional[[]EmailAddress], error) {
	const key = "email_addresses"
	var none Optional[[]EmailAddress]
	items, err := read(o, path, key, "array", func(raw json.RawMessage) (list []json.RawMessage, ok bool) {
		return list, json.Unmarshal(raw, &list) == nil
	})
	if err != nil {
		return none, err
	}
	list, ok := items.Value()
	if !ok {
		return Optional[[]EmailAddress]{state: items.state}, nil
	}
	addresses := make([]EmailAddress, len(list))
	for i, raw := range list {
		at := fmt.Sprintf("%s.%s[%d]", path, key, i)
		item, err := readObject(raw, at)
		if err != nil {
			return none, err
		}
		id, err := readString(item, at, "id")
		if err != nil {
			return none, err
		}
		address, ok := decodeString(item["email_address"])
		if !ok {
			return none, &FieldError{Field: at + ".email_address", Want: "string", Got: kind(item["email_address"])}
		}
		addresses[i].ID, _ = id.Value()
		addresses[i].Address = address
	}
	return Some(addresses), nil
}

// PrimaryEmail is the address that primary_email_address_id names, else the first one. It is null when the
// list is null or empty, and absent when the payload has no list.
func (u User) PrimaryEmail() Optional[string] {
	addresses, ok := u.EmailAddresses.Value()
	if !ok || len(addresses) == 0 {
		if u.EmailAddresses.Present() {
			return Null[string]()
		}
		return Optional[string]{}
	}
	primary := addresses[0]
	if id, _ := u.PrimaryEmailAddressID.Value(); id != "" { // an address without an id has the empty one
		for _, a := range addresses {
			if a.ID == id {
				primary = a
				break
			}
		}
	}
	return nonEmpty(Some(primary.Address))
}

// nonEmpty is o with an empty value turned into null.
func nonEmpty(o Optional[string]) Optional[string] {
	if v, ok := o.Value(); ok && v == "" {
		return Null[string]()
	}
	return o
}
