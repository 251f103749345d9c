package inngest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
)

// at is when the tests' signatures are made.
var at = time.Unix(1_800_000_000, 0)

// inngestSigns signs as Inngest does: the library's own signature is the second opinion.
func inngestSigns(t *testing.T, key, body string) string {
	t.Helper()
	s, err := inngestgo.Sign(t.Context(), at, []byte(key), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSigned(t *testing.T) {
	t.Parallel()
	const key, fallback, body = "signkey-prod-00ff", "signkey-prod-ff00", `{"b": 1.50, "a":[{"é":"<\u20ac>"}]}`
	good := inngestSigns(t, key, body)
	for _, tt := range []struct {
		name, body, signature string
		after                 time.Duration // since it was signed
		want                  bool
	}{
		{"by the key", body, good, 0, true},
		{"by the key, other white space and order", `{"a":[{"é":"<€>"}],"b":1.5}`, good, 0, true},
		{"by the fallback", body, inngestSigns(t, fallback, body), 0, true},
		{"an empty body", "", inngestSigns(t, key, ""), 0, true},
		{"just in time", body, good, signatureAge, true},
		{"by a clock that is ahead", body, good, -signatureAge, true},
		{"too old", body, good, signatureAge + time.Second, false},
		{"too far ahead", body, good, -signatureAge - time.Second, false},
		{"by another key", body, inngestSigns(t, "signkey-prod-0000", body), 0, false},
		{"by the key with its prefix", body, inngestSigns(t, "x"+key, body), 0, false},
		{"by no key", body, inngestSigns(t, "", body), 0, false},
		{"another body", `{"b":1.5}`, good, 0, false},
		{"another time", body, strings.Replace(good, "t=1", "t=2", 1), 0, false},
		{"no body", "", good, 0, false},
		{"a body that is no JSON", "hello", inngestSigns(t, key, "hello"), 0, false},
		{"two values", body + body, good, 0, false},
		{"no signature", body, "", 0, false},
		{"no time", body, good[strings.Index(good, "s="):], 0, false},
		{"a time that is no number", body, "t=now&" + good[strings.Index(good, "s="):], 0, false},
		{"a signature that is no hex", body, "t=1800000000&s=xx", 0, false},
		{"half a signature", body, good[:len(good)-32], 0, false},
		{"a longer one", body, good + "00", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := newSigner(key, fallback).signed([]byte(tt.body), tt.signature, at.Add(tt.after)); tt.want != got {
				t.Errorf("want %v, got %v", tt.want, got)
			}
		})
	}
	if newSigner("", "").signed([]byte(body), inngestSigns(t, "", body), at) {
		t.Error("want nothing signed where there is no key")
	}
}

// In cloud mode nothing reaches inngestgo that is not signed, and all that is.
func TestGuard(t *testing.T) {
	t.Parallel()
	const body = `{"event":{}}`
	signature := func(key string) string {
		now := time.Now()
		s, err := inngestgo.Sign(t.Context(), now, []byte(key), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		o      Options
		header string
		want   bool // it is let through
	}{
		{"signed", Options{SigningKey: "signkey-test-aa"}, signature("signkey-test-aa"), true},
		{"signed by the fallback", Options{SigningKey: "signkey-test-aa", SigningKeyFallback: "bb"}, signature("bb"), true},
		{"forged", Options{SigningKey: "signkey-test-aa"}, signature("bb"), false},
		{"forged where no key is set", Options{}, signature(""), false},
		{"unsigned in dev mode", Options{Dev: true}, "", true},
		{"unsigned in cloud mode", Options{SigningKey: "signkey-test-aa"}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			through := false
			f := Functions{o: tt.o}
			h := f.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through = true }))
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, (&url.URL{Path: Path}).String(), strings.NewReader(body))
			if tt.header != "" {
				req.Header.Set(inngestgo.HeaderKeySignature, tt.header)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if tt.want != through {
				t.Errorf("want it let through %v, got %v, status %d", tt.want, through, rec.Code)
			}
			if !tt.want && rec.Code != http.StatusUnauthorized {
				t.Errorf("status: want 401, got %d", rec.Code)
			}
		})
	}
}
