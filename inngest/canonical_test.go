package inngest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// FuzzCanonical compares with the library that Inngest and inngestgo sign by.
func FuzzCanonical(f *testing.F) {
	files, err := filepath.Glob("../clerk/testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("want payloads, got %d, error %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`, `[1e21,1e-7,-0,1.0,333333333.33333329,4.50,0.000001]`,
		`"\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/<>&\u2028\u007f"`, `{"b":{"y":[],"x":{}},"a":[null,true,false]} `, `{"aa":1,"a":2,"":3}`,
		`{"\ud83d\ude00a":1,"\ud83d\ude01":2,"\ud83d\ude00":3,"\ufb33":4,"\ud7ff":5,"\ue000":6}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 2000 || !utf8.Valid(body) {
			return // jcs takes the square, and keeps bytes that are no UTF-8
		}
		got, err := canonical(body)
		want, wantErr := jcs.Transform(body)
		if err != nil || wantErr != nil {
			return // each refuses some of what the other takes, such as a key that comes twice
		}
		if string(want) != string(got) {
			t.Errorf("canonical form: want %s, got %s", want, got)
		}
	})
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":          "",
		"no JSON":          "hello",
		"two values":       "{}{}",
		"too deep":         strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
		"no end of depth":  strings.Repeat("[", maxInvokeBytes),
		"a number too big": "[1e999]",
	} {
		if got, err := canonical([]byte(body)); err == nil {
			t.Errorf("%s: want an error, got %.100s", name, got)
		}
	}
	for name, body := range map[string]string{
		"many items":   "[" + strings.Repeat("0,", maxValues) + "0]",
		"many arrays":  strings.Repeat("[[],", maxValues/2+1),
		"many members": `{` + strings.Repeat(`"a":{},`, maxValues/3+1) + `"a":{}}`,
	} {
		if _, err := canonical([]byte(body)); !errors.Is(err, errTooManyValues) {
			t.Errorf("%s: want %v, got %v", name, errTooManyValues, err)
		}
	}
	if want, got := 1, values([]byte(`"[,{:\",[{:"`)); want != got {
		t.Errorf("values of a string: want %d, got %d", want, got)
	}
}
