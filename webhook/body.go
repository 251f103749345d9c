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

// firstRoom is for how many bytes room is taken when a body begins. Clerk's are seldom larger, and if all connections that the
// server takes announce one and stay silent, they hold no more than the lane for small bodies.
const firstRoom = 4 << 10

// body is a body in memory.
type body struct {
	lane *lane
	buf  *bytes.Buffer
	room int64 // taken for it
}

// drop gives the buffer back, but not the room: what was made of the body takes it now.
func (b *body) drop() {
	if b.buf == nil {
		return
	}
	b.buf.Reset()
	b.lane.buffers.Put(b.buf)
	b.buf = nil
}

func (b *body) release() {
	b.drop()
	b.lane.room.Release(b.room)
}

// readBody reads the body into memory, which release gives back, in any case. Room is taken as the bytes arrive, each time
// for as many as have come: what is only announced holds none.
func (h *Handler) readBody(c echo.Context) (b *body, refused *refusal, cause error) {
	r := c.Request()
	b = &body{lane: h.laneFor(r.ContentLength)}
	if r.ContentLength > h.o.MaxBody {
		return b, tooLarge, errTooLarge
	}
	most := r.ContentLength
	if most < 0 { // chunked: it can be anything up to the limit
		most = h.o.MaxBody
	}
	var ok bool
	if b.buf, ok = b.lane.buffers.Get().(*bytes.Buffer); !ok {
		b.buf = new(bytes.Buffer)
	}
	limited := http.MaxBytesReader(c.Response(), r.Body, h.o.MaxBody)
	for {
		more := min(max(firstRoom, b.room), most-b.room)
		if !b.lane.take(r.Context(), more) {
			return b, overloaded, errNoRoom
		}
		b.room += more
		b.buf.Grow(int(more) + bytes.MinRead)            // ReadFrom wants MinRead to spare, or it grows again
		_, err := io.CopyN(b.buf, limited, max(more, 1)) // at the end there is nothing more to come than the end
		switch {
		case errors.Is(err, io.EOF):
			refused, cause = endBody(c)
			return b, refused, cause
		case err != nil:
			refused, cause = judge(err)
			return b, refused, cause
		}
	}
}

// take takes room, for which it waits a while.
func (l *lane) take(ctx context.Context, n int64) bool {
	if l.room.TryAcquire(n) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, roomTimeout)
	defer cancel()
	return l.room.Acquire(ctx, n) == nil
}

// discardBody reads past the body with the same limits and keeps nothing.
func (h *Handler) discardBody(c echo.Context) (*refusal, error) {
	if c.Request().ContentLength > h.o.MaxBody {
		return tooLarge, errTooLarge
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(c.Response(), c.Request().Body, h.o.MaxBody)); err != nil {
		return judge(err)
	}
	return endBody(c)
}

// judge says what becomes of a body that could not be read.
func judge(err error) (*refusal, error) {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge, errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow, err
	default:
		return unreadable, fmt.Errorf("read body: %w", err)
	}
}

func endBody(c echo.Context) (*refusal, error) {
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
