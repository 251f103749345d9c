package webhook_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glowup-app/clerksync/webhook"
)

// An endpoint that the sender has switched off is silent, and what anyone can post must not hide that.
func TestLastVerified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, webhook.Options{}, nil)
		check := func(when string, want int64) {
			t.Helper()
			if got := lastVerified(t, b); want != got {
				t.Errorf("%s: want %d, got %d", when, want, got)
			}
		}
		body := envelope("user_1")
		b.call(t, http.Header{}, body)
		b.call(t, headers("svix-", foreign, "msg_1", body), body)
		check("before the first", 0)
		<-time.After(time.Hour) // of the bubble, which takes none
		b.call(t, signed("msg_1", body), body)
		first := time.Now().Unix()
		check("a verified one", first)
		<-time.After(time.Hour)
		b.call(t, headers("svix-", foreign, "msg_1", body), body)
		check("an unverified one later", first)
		const probe = `{"type":"clerksync.probe","data":{}}`
		b.call(t, signed("msg_1", probe), probe)
		check("the doctor's probe", first)
		b.call(t, signed("msg_1", `{}`), `{}`)
		check("a verified one that is no envelope", time.Now().Unix())
	})
}

func lastVerified(t *testing.T, b *bridge) int64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "clerksync_webhook_last_verified_timestamp_seconds" {
			return int64(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("no such metric")
	return 0
}
