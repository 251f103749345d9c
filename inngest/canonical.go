package inngest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// maxValues bounds the values of a body that is not known to be Inngest's, and so the memory that it takes to read
// them. A user's metadata, 8 kB of each kind at Clerk, can make some ten thousand in the invocation of a dead letter.
const maxValues = 200_000

var errTooManyValues = errors.New("more values than an invocation has")

// canonical is the form of a JSON value that Inngest signs, RFC 8785. The library jcs makes it too, of bodies that one
// trusts: its time grows with the square of their width, and its stack with their depth without end.
func canonical(body []byte) ([]byte, error) {
	if values(body) > maxValues {
		return nil, errTooManyValues
	}
	d := json.NewDecoder(bytes.NewReader(body)) // reads no deeper than 10,000
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	var dst bytes.Buffer
	dst.Grow(len(body))
	err := writeCanonical(&dst, v)
	return dst.Bytes(), err
}

// values is at least as many as there are in a body, keys not counted: each but one follows one of these signs.
func values(body []byte) int {
	n, inString := 1, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++ // what it escapes ends no string
			}
		case c == ',', c == ':', c == '[', c == '{':
			n++
		}
	}
	return n
}

func writeCanonical(dst *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil:
		dst.WriteString("null")
	case bool:
		dst.WriteString(strconv.FormatBool(v))
	case json.Number:
		return writeNumber(dst, v)
	case string:
		writeString(dst, v)
	case []any:
		return writeAll(dst, '[', ']', v, func(item any) error { return writeCanonical(dst, item) })
	case map[string]any:
		keys := slices.SortedFunc(maps.Keys(v), compareUTF16)
		return writeAll(dst, '{', '}', keys, func(key string) error {
			writeString(dst, key)
			dst.WriteByte(':')
			return writeCanonical(dst, v[key])
		})
	}
	return nil
}

func writeAll[T any](dst *bytes.Buffer, open, shut byte, all []T, write func(T) error) error {
	dst.WriteByte(open)
	for i, one := range all {
		if i > 0 {
			dst.WriteByte(',')
		}
		if err := write(one); err != nil {
			return err
		}
	}
	dst.WriteByte(shut)
	return nil
}

// writeNumber writes it as JavaScript does.
func writeNumber(dst *bytes.Buffer, n json.Number) error {
	f, _ := n.Float64() // infinite where it is out of range, which is no JSON
	text, err := jcs.NumberToJSON(f)
	dst.WriteString(text)
	return err
}

// compareUTF16 orders by the code units of UTF-16, which is not the order of bytes beyond U+FFFF.
func compareUTF16(a, b string) int {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	if i == len(a) || i == len(b) {
		return cmp.Compare(len(a), len(b))
	}
	for !utf8.RuneStart(a[i]) { // and so is b's: what comes before is the same
		i--
	}
	ra, _ := utf8.DecodeRuneInString(a[i:])
	rb, _ := utf8.DecodeRuneInString(b[i:])
	return cmp.Compare(rankUTF16(ra), rankUTF16(rb))
}

// rankUTF16 puts what is behind the surrogates behind all that is written with them.
func rankUTF16(r rune) rune {
	if r > 0xDFFF && r <= 0xFFFF {
		return r + utf8.MaxRune
	}
	return r
}

// writeString escapes what must be escaped, and nothing else.
func writeString(dst *bytes.Buffer, s string) {
	const escaped, letters, hexDigits = "\"\\\b\f\n\r\t", `"\bfnrt`, "0123456789abcdef"
	dst.WriteByte('"')
	for i := range len(s) {
		c := s[i]
		e := strings.IndexByte(escaped, c)
		switch {
		case e >= 0:
			dst.Write([]byte{'\\', letters[e]})
		case c < ' ':
			dst.Write([]byte{'\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15]})
		default:
			dst.WriteByte(c)
		}
	}
	dst.WriteByte('"')
}
