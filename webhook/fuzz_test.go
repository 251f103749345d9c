package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

// verifies is a second reading of the rules: it says whether the bridge may take a webhook, and by which id.
func verifies(h http.Header, body string) (id string, ok bool) {
	for _, prefix := range []string{"svix-", "webhook-"} {
		id, ts, signatures := h.Get(prefix+"id"), h.Get(prefix+"timestamp"), h.Get(prefix+"signature")
		if id == "" || ts == "" || signatures == "" {
			continue
		}
		n, err := strconv.ParseInt(ts, 10, 64)
		if err != nil || n < time.Now().Unix()-300 || n > time.Now().Unix()+300 {
			return "", false
		}
		for _, s := range []string{secret, secret2} {
			_, want, _ := strings.Cut(sign(s, id, n, body), ",")
			for signature := range strings.SplitSeq(signatures, " ") {
				version, rest, _ := strings.Cut(signature, ",")
				got, _, _ := strings.Cut(rest, ",")
				if version == "v1" && hmac.Equal([]byte(want), []byte(got)) {
					return id, true
				}
			}
		}
		return "", false
	}
	return "", false
}

func FuzzHandle(f *testing.F) {
	files, err := filepath.Glob("../clerk/testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("want payloads, got %d, error %v", len(files), err)
	}
	for i, file := range files {
		f.Add("msg_1", "", "", "", "", "", testdata(f, filepath.Base(file)), i%2 == 0, i%4)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	f.Add("msg_1", now, "v1,x", "msg_2", now, "v1,", envelope("user_1"), true, 0)
	f.Add("", "", "", "msg_\xff\"<", "", "", envelope("user_1"), false, 2)
	f.Add("a.1", "+1", "v1,v1 v1", "\x00", "-", " ", `{"type":"x","data":{},"timestamp":99999999999999}`, true, 1)
	f.Add("msg_1", now, "v1", "", "", "", sized(2001), true, 0)
	f.Add("msg_1", "", "", "", "", "", `{"type":"x","data":[]}`, true, 3)

	// sign: 0 leaves the headers as they are, 1 signs those of Svix, 2 those of Standard Webhooks, 3 both.
	f.Fuzz(func(t *testing.T, sid, sts, ssig, wid, wts, wsig, body string, chunks bool, signs int) {
		h := http.Header{}
		for name, value := range map[string]string{
			"svix-id": sid, "svix-timestamp": sts, "svix-signature": ssig,
			"webhook-id": wid, "webhook-timestamp": wts, "webhook-signature": wsig,
		} {
			h.Set(name, value)
		}
		for i, prefix := range []string{"svix-", "webhook-"} {
			if signs&(1<<i) != 0 {
				maps.Copy(h, headers(prefix, secret2, h.Get(prefix+"id"), body))
			}
		}
		const maxBody = 8000
		b := setup(t, webhook.Options{MaxBody: maxBody, MaxBuffered: 4 * maxBody}, nil)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		req.Header = h
		if chunks {
			req.ContentLength = -1
		}
		id, verified := verifies(h, body)
		rec := httptest.NewRecorder()
		b.handler.ServeHTTP(rec, req)

		var got map[string]string
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatalf("want an answer in JSON, got %q", rec.Body)
		}
		e, err := clerk.ParseEnvelope([]byte(body))
		want := http.StatusOK
		switch {
		case len(body) > maxBody:
			want = http.StatusRequestEntityTooLarge
		case !verified:
			want = http.StatusUnauthorized
		case err != nil:
			want = http.StatusBadRequest
		}
		if rec.Code != want {
			t.Fatalf("want %d, got %d", want, rec.Code)
		}
		events := b.sent()
		if want != http.StatusOK {
			if len(events) != 0 || got["error"] == "" || len(got) != 1 {
				t.Errorf("want an error and no event, got %v and %v", got, events)
			}
			return
		}
		if len(events) != 1 {
			t.Fatalf("want one event, got %v", events)
		}
		wantEvent := e.Event(id, time.Now())
		wantEvent.TS = events[0].TS // now, where the envelope's is ahead
		if d := cmp.Diff(wantEvent, events[0]); d != "" {
			t.Errorf("event (-want +got)\n%s", d)
		}
		if !bytes.Contains([]byte(body), events[0].Data) {
			t.Error("want data of the body, got other bytes")
		}
		text, err := json.Marshal(map[string]string{"id": id})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(rec.Body.String()); got != string(text) {
			t.Errorf("want %s, got %s", text, got)
		}
	})
}
