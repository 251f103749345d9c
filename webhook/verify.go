package webhook

import (
	"errors"
	"fmt"
	"net/http"

	svix "github.com/svix/svix-webhooks/go"
)

var errNotSigned = errors.New("no signature headers")

// signed holds the three headers of one spelling, under the names that the svix library reads.
type signed http.Header

func (s signed) id() string { return http.Header(s).Get("Svix-Id") }

// signedHeaders takes the three headers of the first complete spelling, Svix's or that of Standard Webhooks
// (https://www.standardwebhooks.com). The other spelling is dropped: the id that we use must be the one that
// the signature covers.
func signedHeaders(h http.Header) (signed, bool) {
	for _, prefix := range []string{"Svix-", "Webhook-"} {
		id, ts, sig := h.Get(prefix+"Id"), h.Get(prefix+"Timestamp"), h.Get(prefix+"Signature")
		if id != "" && ts != "" && sig != "" {
			return signed{"Svix-Id": {id}, "Svix-Timestamp": {ts}, "Svix-Signature": {sig}}, true
		}
	}
	return nil, false
}

// verifier accepts what any of its secrets signed. The svix library allows 5 minutes between the clocks and
// compares in constant time.
type verifier []*svix.Webhook

func newVerifier(secrets []string) (verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no webhook secret")
	}
	v := make(verifier, len(secrets))
	for i, s := range secrets {
		wh, err := svix.NewWebhook(s)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d of %d: not base64 behind whsec_", i+1, len(secrets))
		}
		v[i] = wh
	}
	return v, nil
}

func (v verifier) verify(body []byte, s signed) (err error) {
	for _, wh := range v {
		if err = wh.Verify(body, http.Header(s)); err == nil {
			return nil
		}
	}
	return err
}
