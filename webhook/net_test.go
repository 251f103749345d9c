package webhook_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// client is a connection of which we decide each byte.
type client struct {
	net.Conn
	answers *bufio.Reader
}

func newClient(conn net.Conn) *client { return &client{conn, bufio.NewReader(conn)} }

// dial connects to a real server.
func dial(t testing.TB, to string) *client {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newClient(conn)
}

// request is the head of one.
func request(h http.Header, more ...string) string {
	var b strings.Builder
	b.WriteString("POST " + path + " HTTP/1.1\r\nHost: example.com\r\n")
	if err := h.Write(&b); err != nil {
		panic(err)
	}
	for _, line := range more {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

func (c *client) write(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func (c *client) answer(t testing.TB) answer {
	t.Helper()
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return readAnswer(t, resp)
}

// closed waits for the server to close the connection.
func (c *client) closed(t testing.TB) {
	t.Helper()
	if b, err := c.answers.ReadByte(); err == nil {
		t.Errorf("want the connection closed, got %q", b)
	}
}

// pipes is a server in memory. It has no buffers, so that what a client could write is what the server read, and
// its waiting counts as waiting in a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

// servePipes runs the bridge on a server in memory until the test ends, and returns how to connect.
func (b *bridge) servePipes(t testing.TB) func() *client {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: b.handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: want ErrServerClosed, got %v", err)
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
		// net/http lingers for half a second where it left a body unread, and in a bubble nobody else moves the clock.
		<-time.After(time.Second)
	})
	return func() *client {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		t.Cleanup(func() { ours.Close() })
		return newClient(ours)
	}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	close(l.closed)
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// drip writes a byte of text each interval until the server no longer takes them. It returns at once; count is how
// many were taken.
func (c *client) drip(text string, interval time.Duration) (count *atomic.Int64, done chan struct{}) {
	count, done = &atomic.Int64{}, make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			count.Add(1)
			<-tick.C
		}
	}()
	return count, done
}

// pour writes text until the server no longer takes it. It returns at once; count is how many bytes were taken,
// once done is closed.
func (c *client) pour(text string) (count *atomic.Int64, done chan struct{}) {
	count, done = &atomic.Int64{}, make(chan struct{})
	go func() {
		defer close(done)
		for len(text) > 0 {
			n, err := io.WriteString(c, text[:min(4096, len(text))])
			count.Add(int64(n))
			if err != nil {
				return
			}
			text = text[n:]
		}
	}()
	return count, done
}
