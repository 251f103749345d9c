package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

func TestHandOver(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../clerk/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("want payloads, got %d, error %v", len(files), err)
	}
	for _, file := range files {
		for name, prefix := range map[string]string{"svix": "svix-", "Standard Webhooks": "webhook-"} {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, webhook.Options{}, nil)
				body := testdata(t, filepath.Base(file))
				e, err := clerk.ParseEnvelope([]byte(body))
				if err != nil {
					t.Fatal(err)
				}
				check(t, ok("msg_1"), post(t, b.serve(t), headers(prefix, secret, "msg_1", body), strings.NewReader(body)))
				want := []clerk.Event{e.Event("msg_1", time.Now())}
				if d := cmp.Diff(want, b.sent()); d != "" {
					t.Errorf("events (-want +got)\n%s", d)
				}
			})
		}
	}
}

func TestDataIsHandedOverByteForByte(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"white space":         "{ \"id\" :\t\"user_1\" ,\r\n \"a\":[ 1 , 2 ] }",
		"numbers":             `{"a":9007199254740993,"b":1.50,"c":1e3,"d":-0,"e":123456789012345678901234567890}`,
		"escapes":             `{"a":"\u003cb\u003e \/ \ud83d\ude00 <b>&</b>","\u0062":"😀"}`,
		"order and repeats":   `{"b":1,"a":2,"b":3}`,
		"broken surrogates":   `{"a":"\ud800"}`,
		"bytes of no charset": "{\"a\":\"\xff\xc3\x28\"}",
		"deep":                `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"empty":               `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			body := `{"object":"event","type":"user.updated", "data" : ` + data + "\n,\"x\":{\"data\":1}}"
			check(t, ok("msg_1"), post(t, b.serve(t), signed("msg_1", body), strings.NewReader(body)))
			want := []clerk.Event{{ID: "msg_1", Name: clerk.UserUpdated, Data: json.RawMessage(data)}}
			if d := cmp.Diff(want, b.sent()); d != "" {
				t.Errorf("events (-want +got)\n%s", d)
			}
		})
	}
}

// The memory of a body is used again while its event is still in the queue's hands.
func TestEventsOutliveTheirBodies(t *testing.T) {
	t.Parallel()
	b := setup(t, webhook.Options{}, nil)
	url := b.serve(t)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("msg_%d_%d", worker, i)
				body := `{"type":"user.updated","data":{"id":"` + id + `","pad":"` + strings.Repeat("x", i*100) + `"}}`
				check(t, ok(id), post(t, url, signed(id, body), strings.NewReader(body)))
			}
		})
	}
	all.Wait()
	events := b.sent()
	if len(events) != 160 {
		t.Errorf("want 160 events, got %d", len(events))
	}
	for _, e := range events {
		if e.UserID() != e.ID {
			t.Errorf("want the data of %s, got those of %s", e.ID, e.UserID())
		}
	}
}

func TestEveryTypeIsForwarded(t *testing.T) {
	t.Parallel()
	b := setup(t, webhook.Options{}, nil)
	url := b.serve(t)
	var want []string
	for _, typ := range []string{"user.created", "user.updated", "user.deleted", "organization.created", "session.ended", "x", "a b/ä\"\n"} {
		body, err := json.Marshal(map[string]any{"type": typ, "data": map[string]any{}})
		if err != nil {
			t.Fatal(err)
		}
		check(t, ok("msg_1"), post(t, url, signed("msg_1", string(body)), strings.NewReader(string(body))))
		want = append(want, "clerk/"+typ)
	}
	var got []string
	for _, e := range b.sent() {
		got = append(got, e.Name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("names (-want +got)\n%s", d)
	}
}

func TestNoEnvelope(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":             ``,
		"no JSON":           `type=user.created`,
		"an array":          `[{"type":"user.created","data":{}}]`,
		"cut off":           `{"type":"user.created","data":{}`,
		"trailing bytes":    `{"type":"user.created","data":{}}x`,
		"no type":           `{"data":{}}`,
		"type empty":        `{"type":"","data":{}}`,
		"type a number":     `{"type":1,"data":{}}`,
		"type in capitals":  `{"TYPE":"user.created","data":{}}`,
		"no data":           `{"type":"user.created"}`,
		"data null":         `{"type":"user.created","data":null}`,
		"data an array":     `{"type":"user.created","data":[]}`,
		"data a string":     `{"type":"user.created","data":"{}"}`,
		"nested too deep":   `{"type":"user.created","data":` + strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20001),
		"a byte order mark": "\ufeff" + `{"type":"user.created","data":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			check(t, refused(http.StatusBadRequest, textMalformed), post(t, b.serve(t), signed("msg_1", body), strings.NewReader(body)))
			if got := b.sent(); len(got) != 0 {
				t.Errorf("want no event, got %v", got)
			}
		})
	}
}

func TestQueueDoesNotAccept(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		send func(context.Context, clerk.Event) error
	}{
		{"it refuses", func(context.Context, clerk.Event) error { return errQueue }},
		{"it hangs", until},
		{"it hangs and gives up with an error of its own", func(ctx context.Context, _ clerk.Event) error {
			<-ctx.Done()
			return errQueue
		}},
		{"its answer says too late that it failed", func(ctx context.Context, _ clerk.Event) error { return context.Canceled }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{SendTimeout: 20 * time.Millisecond}, tt.send)
			body := envelope("user_1")
			check(t, refused(http.StatusServiceUnavailable, textNotAccepted), post(t, b.serve(t), signed("msg_1", body), strings.NewReader(body)))
			if got := len(b.sent()); got != 1 {
				t.Errorf("want one try, got %d", got)
			}
		})
	}
}

// A panic is cmd's to answer; here it must not be taken for acceptance, nor keep the memory of the body.
func TestSenderPanics(t *testing.T) {
	t.Parallel()
	b := setup(t, webhook.Options{MaxBody: 1000, MaxBuffered: 2000}, func(_ context.Context, e clerk.Event) error {
		if e.ID == "msg_panic" {
			panic("canary")
		}
		return nil
	})
	url := b.serve(t)
	body := sized(1000)
	for range 3 {
		got := post(t, url, signed("msg_panic", body), strings.NewReader(body))
		if got.Status != http.StatusInternalServerError || strings.Contains(got.Body, "canary") {
			t.Errorf("want 500 without the panic's value, got %+v", got)
		}
	}
	check(t, ok("msg_1"), post(t, url, signed("msg_1", body), strings.NewReader(body)))
}

func TestClientLeavesDuringTheHandOver(t *testing.T) {
	t.Parallel()
	entered, left := make(chan struct{}), make(chan error, 1)
	b := setup(t, webhook.Options{SendTimeout: time.Hour}, func(ctx context.Context, _ clerk.Event) error {
		close(entered)
		<-ctx.Done()
		left <- context.Cause(ctx)
		return ctx.Err()
	})
	body := envelope("user_1")
	conn := dial(t, b.serve(t))
	conn.write(t, request(signed("msg_1", body), fmt.Sprint("Content-Length: ", len(body)))+body)
	<-entered
	conn.Close()
	if want, got := context.Canceled, <-left; !errors.Is(got, want) {
		t.Errorf("the hand-over ends: want %v, got %v", want, got)
	}
	<-b.handled
	lines := b.logs.lines(t)
	if len(lines) != 1 || lines[0]["outcome"] != "client_gone" {
		t.Errorf("want one line of outcome client_gone, got %v", lines)
	}
}
