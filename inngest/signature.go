package inngest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// signatureAge is how far the time of a signature may be from ours, as in inngestgo.
const signatureAge = 5 * time.Minute

// keyPrefix names the environment of a signing key; it is no part of what signs.
var keyPrefix = regexp.MustCompile(`^signkey-\w+-`)

// signer checks Inngest's signatures: https://github.com/inngest/inngest/blob/main/docs/SDK_SPEC.md, section 4.1.
type signer struct {
	keys [][]byte
	// checking bounds the checks at once. One takes processor time and some 30 MiB at most, so more of them at once
	// gain nothing.
	checking chan struct{}
}

func newSigner(keys ...string) signer {
	s := signer{checking: make(chan struct{}, 4)}
	for _, key := range keys {
		if key != "" {
			s.keys = append(s.keys, []byte(keyPrefix.ReplaceAllString(key, "")))
		}
	}
	return s
}

// signed says whether one of the keys signed the body, in a header of the form t=SECONDS&s=HEX.
func (s signer) signed(body []byte, signature string, now time.Time) bool {
	values, err := url.ParseQuery(signature)
	if err != nil {
		return false
	}
	seconds, err := strconv.ParseInt(values.Get("t"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signatureAge {
		return false
	}
	got, err := hex.DecodeString(values.Get("s"))
	if err != nil {
		return false
	}
	s.checking <- struct{}{}
	defer func() { <-s.checking }()
	if len(body) > 0 {
		if body, err = canonical(body); err != nil {
			return false
		}
	}
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		mac.Write(strconv.AppendInt(nil, seconds, 10))
		if hmac.Equal(mac.Sum(nil), got) {
			return true
		}
	}
	return false
}
