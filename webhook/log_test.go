package webhook_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

func TestLogLines(t *testing.T) {
	t.Parallel()
	// Every value that the log must not have holds the word canary.
	const body = `{"type":"user.created","timestamp":1763358000000,"data":{"id":"user_1","first_name":"canary","email_addresses":[{"id":"canary","email_address":"canary@example.com"}]},"event_attributes":{"http_request":{"client_ip":"canary"}}}`
	type line = map[string]any
	tests := []struct {
		name   string
		header http.Header
		body   string
		send   func(context.Context, clerk.Event) error
		want   line
	}{
		{
			"accepted", signed("msg_1", body), body, nil,
			line{"level": "DEBUG", "msg": "webhook handed over", "request_id": "request-1", "event_id": "msg_1", "event": "clerk/user.created", "user_id": "user_1", "outcome": "accepted"},
		},
		{
			"not handed over", signed("msg_1", body), body, func(context.Context, clerk.Event) error { return errQueue },
			line{
				"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "event_id": "msg_1", "event": "clerk/user.created", "user_id": "user_1",
				"outcome": "not_handed_over", "status": 503.0, "reason": "the queue is away",
			},
		},
		{
			"unsigned",
			http.Header{"X-Canary": {"canary"}},
			body, nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "unverified", "status": 401.0, "reason": "no signature headers"},
		},
		{
			"forged",
			http.Header{"Svix-Id": {"canary"}, "Svix-Timestamp": {"1763358000"}, "Svix-Signature": {"v1,canary"}},
			body, nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "unverified", "status": 401.0, "reason": "message timestamp too old"},
		},
		{
			"forged, with a timestamp that is none",
			http.Header{"Svix-Id": {"canary"}, "Svix-Timestamp": {"canary"}, "Svix-Signature": {"v1,canary"}},
			body, nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "unverified", "status": 401.0, "reason": "invalid signature headers"},
		},
		{
			"signed with another secret", headers("svix-", foreign, "msg_canary", body), body, nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "unverified", "status": 401.0, "reason": "no matching signature found"},
		},
		{
			"malformed", signed("msg_1", `{"type":["canary"]}`), `{"type":["canary"]}`, nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "malformed", "status": 400.0, "reason": "type: want non-empty string, got array"},
		},
		{
			"too large", signed("msg_1", strings.Repeat("canary", 1e6)), strings.Repeat("canary", 1e6), nil,
			line{"level": "WARN", "msg": "webhook refused", "request_id": "request-1", "outcome": "too_large", "status": 413.0, "reason": "body over the limit"},
		},
		{
			"an id that is no string", signed("msg_1", `{"type":"x","data":{"id":["canary"]}}`), `{"type":"x","data":{"id":["canary"]}}`, nil,
			line{"level": "DEBUG", "msg": "webhook handed over", "request_id": "request-1", "event_id": "msg_1", "event": "clerk/x", "outcome": "accepted"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, tt.send)
			b.call(t, tt.header, tt.body)
			if d := cmp.Diff([]line{tt.want}, b.logs.lines(t)); d != "" {
				t.Errorf("log (-want +got)\n%s", d)
			}
			if text := b.logs.String(); strings.Contains(text, "canary") {
				t.Errorf("want no value of the request in the log, got %s", text)
			}
		})
	}
}

// Whatever becomes of a webhook, neither the log nor the answer nor the metrics tell what was in it.
func TestPayloadsStayInside(t *testing.T) {
	t.Parallel()
	body := testdata(t, "user.created.password.json")
	private := []string{"grace", "Grace", "Hopper", "example.com", "+15550100", "img.clerk.com", "192.0.2", "cus_", "admiral", "gravatar", "idn_"}
	for _, p := range private {
		if !strings.Contains(body, p) {
			t.Fatalf("want %q in the payload, got none", p)
		}
	}
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		send   func(context.Context, clerk.Event) error
	}{
		"accepted":   {signed("msg_1", body), body, nil},
		"refused":    {signed("msg_1", body), body, func(context.Context, clerk.Event) error { return errors.New("no") }},
		"panicked":   {signed("msg_1", body), body, func(_ context.Context, e clerk.Event) error { panic(string(e.Data)) }},
		"unsigned":   {http.Header{}, body, nil},
		"forged":     {headers("svix-", foreign, "msg_1", body), body, nil},
		"malformed":  {signed("msg_1", body[1:]), body[1:], nil},
		"cut off":    {signed("msg_1", body[:len(body)-9]), body[:len(body)-9], nil},
		"over 1 MiB": {signed("msg_1", strings.Repeat(body, 300)), strings.Repeat(body, 300), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, tt.send)
			seen := []string{b.call(t, tt.header, tt.body).Body, b.logs.String(), gather(t, b)}
			for _, text := range seen {
				for _, p := range append(private, secret[6:], secret2[6:]) {
					if strings.Contains(text, p) {
						t.Errorf("want no %q outside, got %s", p, text)
					}
				}
			}
		})
	}
}

// gather is all the metrics in text.
func gather(t testing.TB, b *bridge) string {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		text.WriteString(f.String())
	}
	return text.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t, webhook.Options{}, func(_ context.Context, e clerk.Event) error {
		if e.ID == "msg_away" {
			return errQueue
		}
		return nil
	})
	deliver := func(id, body string) { b.call(t, signed(id, body), body) }
	for _, typ := range []string{"user.created", "user.updated", "user.updated", "user.deleted", "session.created", "anything", ""} {
		deliver("msg_1", `{"type":"`+typ+`","data":{"id":"user_1"}}`)
	}
	deliver("msg_away", envelope("user_1"))
	b.call(t, http.Header{}, envelope("user_1"))
	b.call(t, headers("svix-", foreign, "msg_1", envelope("user_1")), envelope("user_1"))
	deliver("msg_1", strings.Repeat("x", mib+1))

	const want = `
# HELP clerksync_webhooks_total Webhook deliveries by Clerk's event type (other: not a user event; none: not read) and outcome.
# TYPE clerksync_webhooks_total counter
clerksync_webhooks_total{outcome="accepted",type="other"} 2
clerksync_webhooks_total{outcome="accepted",type="user.created"} 1
clerksync_webhooks_total{outcome="accepted",type="user.deleted"} 1
clerksync_webhooks_total{outcome="accepted",type="user.updated"} 2
clerksync_webhooks_total{outcome="malformed",type="none"} 1
clerksync_webhooks_total{outcome="not_handed_over",type="user.updated"} 1
clerksync_webhooks_total{outcome="too_large",type="none"} 1
clerksync_webhooks_total{outcome="unverified",type="none"} 2
`
	if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want), "clerksync_webhooks_total"); err != nil {
		t.Error(err)
	}
	counts := map[string]uint64{}
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				counts[f.GetName()+" "+m.GetLabel()[0].GetValue()] = h.GetSampleCount()
			}
		}
	}
	if d := cmp.Diff(map[string]uint64{
		"clerksync_webhook_duration_seconds accepted":        6,
		"clerksync_webhook_duration_seconds malformed":       1,
		"clerksync_webhook_duration_seconds not_handed_over": 1,
		"clerksync_webhook_duration_seconds too_large":       1,
		"clerksync_webhook_duration_seconds unverified":      2,
		"clerksync_handover_duration_seconds ok":             6,
		"clerksync_handover_duration_seconds error":          1,
	}, counts); d != "" {
		t.Errorf("observations (-want +got)\n%s", d)
	}
	problems, err := testutil.GatherAndLint(b.metrics)
	if err != nil || len(problems) > 0 {
		t.Errorf("want metrics as Prometheus likes them, got %v, error %v", problems, err)
	}
}
