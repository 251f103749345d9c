package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"
)

// roomTimeout is how long a request waits for other bodies to leave the memory.
const roomTimeout = time.Second

var (
	errNoRoom   = errors.New("no room for another body")
	errBusy     = errors.New("too many hand-overs under way")
	errTooLarge = errors.New("body over the limit")
)

// lane bounds the memory of bodies of one kind. Clerk's are a few kilobytes; what is larger, or does not say how
// large it is, goes in a lane of its own, so that a flood of it does not keep Clerk out.
type lane struct {
	room    *semaphore.Weighted
	buffers sync.Pool // of *bytes.Buffer; the garbage collector empties it
}

func newLane(bytes int64) *lane { return &lane{room: semaphore.NewWeighted(bytes)} }

// maxSmall is the largest body, in bytes, of the lane for small ones.
const maxSmall = 64 << 10

func (h *Handler) laneFor(length int64) *lane {
	if length < 0 || length > maxSmall {
		return h.large
	}
	return h.small
}

// readBody reads the body into memory, which release gives back; the body must not be used after that.
func (h *Handler) readBody(c echo.Context) (body []byte, release func(), refused *refusal, cause error) {
	r := c.Request()
	release = func() {}
	if r.ContentLength > h.o.MaxBody {
		return nil, release, tooLarge, errTooLarge
	}
	room := r.ContentLength
	if room < 0 { // chunked: it can be anything up to the limit
		room = h.o.MaxBody
	}
	l := h.laneFor(r.ContentLength)
	ctx, cancel := context.WithTimeout(r.Context(), roomTimeout)
	defer cancel()
	if l.room.Acquire(ctx, room) != nil {
		return nil, release, overloaded, errNoRoom
	}
	buf, ok := l.buffers.Get().(*bytes.Buffer)
	if !ok {
		buf = new(bytes.Buffer)
	}
	release = func() {
		buf.Reset()
		l.buffers.Put(buf)
		l.room.Release(room)
	}
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead) // ReadFrom wants MinRead to spare, or it grows again
	}
	if refused, cause = h.copyBody(buf, c); refused != nil {
		return nil, release, refused, cause
	}
	return buf.Bytes(), release, nil, nil
}

// discardBody reads past the body with the same limits and keeps nothing.
func (h *Handler) discardBody(c echo.Context) (*refusal, error) {
	if c.Request().ContentLength > h.o.MaxBody {
		return tooLarge, errTooLarge
	}
	return h.copyBody(io.Discard, c)
}

func (h *Handler) copyBody(dst io.Writer, c echo.Context) (*refusal, error) {
	_, err := io.Copy(dst, http.MaxBytesReader(c.Response(), c.Request().Body, h.o.MaxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge, errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow, err
	case err != nil:
		return unreadable, fmt.Errorf("read body: %w", err)
	}
	if err := setReadDeadline(c, time.Time{}); err != nil {
		return unreadable, fmt.Errorf("clear read deadline: %w", err)
	}
	return nil, nil
}

// leaveUnread prepares an answer to a body that is not read to its end. To close a connection with bytes unread is
// to reset it, and the client may lose the answer with it, so net/http waits a while in between. Where the client
// asked for the connection to be closed, it only does so past a MaxBytesReader: this reads past one.
func leaveUnread(c echo.Context) {
	over := http.MaxBytesReader(c.Response().Writer, io.NopCloser(strings.NewReader("x")), 0)
	_, _ = over.Read(make([]byte, 1))
}

// setReadDeadline is for the reading alone: a server-wide ReadTimeout would also cancel a handler that runs longer.
func setReadDeadline(c echo.Context, t time.Time) error {
	err := http.NewResponseController(c.Response()).SetReadDeadline(t)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
