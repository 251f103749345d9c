package test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Anybody reaches /api/inngest. What is not signed must cost nothing: inngestgo makes the canonical form of a body before it
// compares the signature, by a recursion without end, a sort that takes the square of the keys, and a log line of its own.
func TestForgedInvocationsCostNothing(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	keys := func(n int, prefix string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%s%06d":1,`, prefix, i)
		}
		return `{` + b.String() + `"x":1}`
	}
	for name, body := range map[string]string{
		"deep":                      strings.Repeat("[", 7<<20),
		"of many keys":              keys(200_000, ""),
		"of long keys":              keys(19_000, strings.Repeat("k", 400)),
		"of long foreign keys":      keys(9_000, strings.Repeat("é", 400)),
		"deep around a long string": strings.Repeat("[", 9_000) + `"` + strings.Repeat("x", 7<<20) + `"` + strings.Repeat("]", 9_000),
		"of many items":             "[" + strings.Repeat("0,", 4<<20-2) + "0]",
		"of no JSON":                "[canary\x1b[31m]",
		"of a double key":           `{"canary":1,"canary":2}`,
		"of a big number":           `[1e999]`,
	} {
		// The client waits 20 s; inngestgo would take from half a minute to for ever, or end the process.
		got, err := c.tryInvoke("sync-user-from-clerk", []byte(body), fmt.Sprintf("t=%d&s=%064d", time.Now().Unix(), 0), nil)
		if err != nil || got.status < 400 || got.status > 499 {
			t.Fatalf("a body %s: want it refused, got %+v, error %v; the program's output:\n%.2000s", name, got, err, c.app.output())
		}
	}
	if log := c.app.output(); strings.Contains(log, "canary") || strings.Contains(log, "1e999") {
		t.Errorf("want nothing of the bodies in the log, got\n%s", log)
	}
}

// Connections that announce 8 MiB each and send nothing are free to make.
func TestStalledInvocationsLeaveRoom(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for range 16 {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(c.appURL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := fmt.Sprintf("POST /api/inngest?fnId=x HTTP/1.1\r\nHost: x\r\nX-Inngest-Signature: t=%d&s=00\r\nContent-Length: %d\r\n\r\n", time.Now().Unix(), 8<<20)
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
	}
	if want, got := (answer{status: 200, body: `"created"`}), c.run(webhook{typ: "user.created", data: user(newID("user"), 10)}); want != got {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

// Inngest's signature is of the body alone: the function's id is in the URL.
func TestInvocationOfAnotherFunction(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := newID("user")
	c.run(webhook{typ: "user.created", data: user(id, 10)})
	body := invocation(t, map[string]any{"id": newID("msg"), "name": "clerk/user.updated", "ts": 20, "data": user(id, 20)})
	got := c.invoke("delete-user-with-clerk", body, sign(signingKey, time.Now(), body), nil)
	if got.status == 200 || c.doc(id) == nil {
		t.Errorf("want the update refused by the function that deletes, got %+v, document %v", got, c.doc(id))
	}
}
