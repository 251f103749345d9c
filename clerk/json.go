package clerk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// FieldError says that a field of a payload has the wrong JSON type. It holds no value of the payload, so it
// may be logged and shown.
type FieldError struct {
	Field string // path from the root, such as "data.email_addresses[0].email_address"
	Want  string // the JSON type that is expected
	Got   string // the JSON type that came, or "nothing"
}

// Error is the field's path, what it should be and what it is.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: want %s, got %s", e.Field, e.Want, e.Got)
}

// ErrMalformed marks a payload that can never be read: no retry helps. A [FieldError] is one.
var ErrMalformed = errors.New("malformed payload")

// Is makes every FieldError an [ErrMalformed].
func (e *FieldError) Is(target error) bool { return target == ErrMalformed }

type object map[string]json.RawMessage

// readObject reads one JSON object and leaves its values as they came. Of a repeated key the last one counts,
// as in JavaScript.
func readObject(raw json.RawMessage, path string) (object, error) {
	o := object{}
	err := readMembers(raw, path, func(key, value []byte) { o[string(key)] = value })
	return o, err
}

// readMembers is members with an error that says what raw is instead. It quotes nothing of it.
func readMembers(raw json.RawMessage, path string, each func(key, value []byte)) error {
	if members(raw, each) {
		return nil
	}
	if k := kind(bytes.Trim(raw, " \t\r\n")); k != "object" { // JSON's white space; bytes.TrimSpace takes more
		return &FieldError{Field: path, Want: "object", Got: k}
	}
	return fmt.Errorf("%s: not one JSON value: %w", path, ErrMalformed)
}

// read decodes o[key] with decode, which answers false for a value of another type.
func read[T any](o object, path, key, want string, decode func(json.RawMessage) (T, bool)) (Optional[T], error) {
	raw, ok := o[key]
	if !ok {
		return Optional[T]{}, nil
	}
	if kind(raw) == "null" {
		return Null[T](), nil
	}
	v, ok := decode(raw)
	if !ok {
		return Optional[T]{}, &FieldError{Field: path + "." + key, Want: want, Got: kind(raw)}
	}
	return Some(v), nil
}

func readString(o object, path, key string) (Optional[string], error) {
	return read(o, path, key, "string", decodeString)
}

// decodeString reads what was found valid before.
func decodeString(raw json.RawMessage) (s string, ok bool) {
	if kind(raw) != "string" {
		return "", false
	}
	return string(unquote(raw)), true
}

// decodeInteger also takes 1.7e12 and 1700000000000.0: a number that passed through a JSON library of another
// language is the same number.
func decodeInteger(raw json.RawMessage) (int64, bool) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, true
	}
	if kind(raw) != "number" {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	const exact = 1 << 53 // from there on a float64 may be the rounding of another integer
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= exact {
		return 0, false
	}
	return int64(f), true
}

// kind names the JSON type of raw, which has no white space around it, by its first character.
func kind(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return "number"
	default:
		return "something that is not JSON"
	}
}
