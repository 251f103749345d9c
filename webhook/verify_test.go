package webhook_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

// eventIDs of what was handed over.
func (b *bridge) eventIDs() []string {
	ids := []string{}
	for _, e := range b.sent() {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestSignature(t *testing.T) {
	t.Parallel()
	const body = `{"type":"user.created","data":{"id":"user_1","first_name":"canary"}}`
	now := time.Now().Unix()
	ts := strconv.FormatInt(now, 10)
	good := sign(secret, "msg_1", now, body)
	old := now - 301
	tests := []struct {
		name   string
		header http.Header
		want   string // the id of the event, or empty: refused
	}{
		{"the first secret", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good}}, "msg_1"},
		{"the second secret", headers("svix-", secret2, "msg_1", body), "msg_1"},
		{"Standard Webhooks' spelling", headers("webhook-", secret, "msg_1", body), "msg_1"},
		{"Standard Webhooks' spelling and the second secret", headers("webhook-", secret2, "msg_1", body), "msg_1"},
		{"the good one of several signatures", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {"v1,canary v2,canary " + good + " v1a,x"}}, "msg_1"},

		{"no headers", http.Header{}, ""},
		{"no id", http.Header{"Svix-Timestamp": {ts}, "Svix-Signature": {good}}, ""},
		{"no timestamp", http.Header{"Svix-Id": {"msg_1"}, "Svix-Signature": {good}}, ""},
		{"no signature", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}}, ""},
		{"empty headers", http.Header{"Svix-Id": {""}, "Svix-Timestamp": {""}, "Svix-Signature": {""}}, ""},
		{"an empty signature", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {"v1,"}}, ""},
		{"another secret", headers("svix-", foreign, "msg_1", body), ""},
		{"another body", signed("msg_1", body+" "), ""},
		{"another id", http.Header{"Svix-Id": {"msg_2"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good}}, ""},
		{"another timestamp", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {strconv.FormatInt(now-1, 10)}, "Svix-Signature": {good}}, ""},
		{"no version", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {strings.TrimPrefix(good, "v1,")}}, ""},
		{"another version", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {"v2" + strings.TrimPrefix(good, "v1")}}, ""},
		{"a part of the signature", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good[:len(good)-1]}}, ""},
		{"expired", http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {strconv.FormatInt(old, 10)}, "Svix-Signature": {sign(secret, "msg_1", old, body)}}, ""},

		// The id that we use is the one that is signed.
		{
			"both spellings: the first one counts",
			http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good}, "Webhook-Id": {"msg_2"}, "Webhook-Timestamp": {ts}, "Webhook-Signature": {sign(secret, "msg_2", now, body)}},
			"msg_1",
		},
		{
			"both spellings, the first one forged",
			http.Header{"Svix-Id": {"msg_2"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good}, "Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {ts}, "Webhook-Signature": {good}},
			"",
		},
		{
			"an id beside the other spelling is not used",
			http.Header{"Svix-Id": {"msg_2"}, "Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {ts}, "Webhook-Signature": {good}},
			"msg_1",
		},
		{
			"an incomplete spelling beside a complete one",
			http.Header{"Svix-Id": {"msg_2"}, "Svix-Timestamp": {ts}, "Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {ts}, "Webhook-Signature": {good}},
			"msg_1",
		},
		{
			"an incomplete other spelling beside a complete one",
			http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good}, "Webhook-Id": {"msg_2"}},
			"msg_1",
		},
		{"a mix of both", http.Header{"Svix-Id": {"msg_1"}, "Webhook-Timestamp": {ts}, "Svix-Signature": {good}}, ""},
		{"another mix of both", http.Header{"Webhook-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Webhook-Signature": {good}}, ""},
		{
			"of a repeated header the first one counts",
			http.Header{"Svix-Id": {"msg_1", "msg_2"}, "Svix-Timestamp": {ts}, "Svix-Signature": {good, "v1,x"}},
			"msg_1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			got := post(t, b.serve(t), tt.header, strings.NewReader(body))
			if tt.want == "" {
				check(t, refused(http.StatusUnauthorized, textUnverified), got)
				if ids := b.eventIDs(); len(ids) != 0 {
					t.Errorf("want nothing handed over, got %v", ids)
				}
				if text := b.logs.String(); strings.Contains(text, "canary") || strings.Contains(text, "msg_") {
					t.Errorf("want nothing of the request in the log, got %s", text)
				}
				return
			}
			check(t, ok(tt.want), got)
			if d := cmp.Diff([]string{tt.want}, b.eventIDs()); d != "" {
				t.Errorf("events (-want +got)\n%s", d)
			}
		})
	}
}

func TestSignatureTimestamp(t *testing.T) {
	t.Parallel()
	body := envelope("user_1")
	tests := []struct {
		name   string
		offset time.Duration
		want   int
	}{
		{"now", 0, http.StatusOK},
		{"5 minutes ago", -5 * time.Minute, http.StatusOK},
		{"over 5 minutes ago", -5*time.Minute - time.Second, http.StatusUnauthorized},
		{"in 5 minutes", 5 * time.Minute, http.StatusOK},
		{"in over 5 minutes", 5*time.Minute + time.Second, http.StatusUnauthorized},
		{"a day ago", -24 * time.Hour, http.StatusUnauthorized},
		{"in a day", 24 * time.Hour, http.StatusUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ts := time.Now().Add(tt.offset).Unix()
				h := http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {strconv.FormatInt(ts, 10)}, "Svix-Signature": {sign(secret, "msg_1", ts, body)}}
				if got := setup(t, webhook.Options{}, nil).call(t, h, body).Status; got != tt.want {
					t.Errorf("want %d, got %d", tt.want, got)
				}
			})
		})
	}
	for _, ts := range []string{"0", "-1", "x", "1e9", "1763358000.5", "9223372036854775807", "-9223372036854775808", "9223372036854775808", " ", strconv.FormatInt(time.Now().UnixMilli(), 10)} {
		t.Run("the number "+ts, func(t *testing.T) {
			t.Parallel()
			n, _ := strconv.ParseInt(ts, 10, 64)
			h := http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {ts}, "Svix-Signature": {sign(secret, "msg_1", n, body)}}
			check(t, refused(http.StatusUnauthorized, textUnverified), setup(t, webhook.Options{}, nil).call(t, h, body))
		})
	}
}

// An event is as old as its envelope says; the delivery may be a later one, signed anew.
func TestRedeliveryIsTheSameEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, webhook.Options{}, nil)
	url := b.serve(t)
	body := testdata(t, "user.created.oauth.json")
	check(t, ok("msg_1"), post(t, url, signed("msg_1", body), strings.NewReader(body)))
	check(t, ok("msg_1"), post(t, url, headers("webhook-", secret2, "msg_1", body), strings.NewReader(body)))
	events := b.sent()
	if len(events) != 2 {
		t.Fatalf("want 2 events, got %d", len(events))
	}
	if d := cmp.Diff(events[0], events[1]); d != "" {
		t.Errorf("the second delivery's event (-first +second)\n%s", d)
	}
	if want, got := int64(1763361000447), events[0].TS; got != want {
		t.Errorf("ts: want %d, got %d", want, got)
	}
}

func TestEventTimestamp(t *testing.T) {
	t.Parallel()
	now := time.Now().UnixMilli()
	ahead := now + time.Hour.Milliseconds()
	for name, tt := range map[string]struct {
		text  string
		taken func(ts int64) bool
	}{
		"the past is taken over":        {"1763358000000", func(ts int64) bool { return ts == 1763358000000 }},
		"an hour ahead becomes now":     {strconv.FormatInt(ahead, 10), func(ts int64) bool { return ts >= now && ts < ahead }},
		"two days ahead is left out":    {strconv.FormatInt(now+48*time.Hour.Milliseconds(), 10), func(ts int64) bool { return ts == 0 }},
		"seconds are left out":          {strconv.FormatInt(now/1000, 10), func(ts int64) bool { return ts == 0 }},
		"a string is left out":          {`"1763358000000"`, func(ts int64) bool { return ts == 0 }},
		"a fraction is left out":        {`1763358000000.5`, func(ts int64) bool { return ts == 0 }},
		"a number too big is left out":  {`99999999999999999999`, func(ts int64) bool { return ts == 0 }},
		"an object is left out":         {`{}`, func(ts int64) bool { return ts == 0 }},
		"negative numbers are left out": {`-1763358000000`, func(ts int64) bool { return ts == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			body := `{"type":"user.updated","timestamp":` + tt.text + `,"data":{}}`
			check(t, ok("msg_1"), b.call(t, signed("msg_1", body), body))
			if events := b.sent(); len(events) != 1 || !tt.taken(events[0].TS) {
				t.Errorf("want one event and its ts by the rule, got %+v", events)
			}
		})
	}
}

func TestNewRefusesBadSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		secrets []string
		want    string
	}{
		{"none", nil, "no webhook secret"},
		{"no base64", []string{secret, "whsec_canary!"}, "webhook secret 2 of 2: not base64 behind whsec_"},
		{"an empty one", []string{"whsec_", secret}, "webhook secret 1 of 2: not base64 behind whsec_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, err := webhook.New(tt.secrets, &sender{}, webhook.Options{})
			if err == nil || err.Error() != tt.want || h != nil {
				t.Errorf("want %q, got %v", tt.want, err)
			}
		})
	}
}

var _ webhook.Sender = (*sender)(nil)

// Without options nothing is logged and nothing is counted, and a bridge works.
func TestZeroOptions(t *testing.T) {
	t.Parallel()
	s := &sender{}
	for range 2 { // a second one registers the same metrics nowhere
		h, err := webhook.New([]string{secret}, s, webhook.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := &bridge{sender: s, handler: route(h)}
		check(t, ok("msg_1"), b.call(t, signed("msg_1", envelope("user_1")), envelope("user_1")))
	}
	want := []clerk.Event{{ID: "msg_1", Name: clerk.UserUpdated, Data: []byte(`{"id":"user_1"}`)}, {ID: "msg_1", Name: clerk.UserUpdated, Data: []byte(`{"id":"user_1"}`)}}
	if d := cmp.Diff(want, s.sent()); d != "" {
		t.Errorf("events (-want +got)\n%s", d)
	}
}
