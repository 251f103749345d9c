package inngest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"golang.org/x/sync/semaphore"
)

// Path is where the functions are served.
const Path = "/api/inngest"

const (
	// maxInvokeBytes bounds the body of an invocation. It holds the event twice, and that of a dead letter holds
	// the event that was given up four times; the bridge takes events of 1 MiB.
	maxInvokeBytes = 8 << 20
	// maxInvokeBuffered bounds the bodies of all invocations at once: one is read whole before its signature is
	// checked.
	maxInvokeBuffered = 64 << 20
	// invokeChunk is for how many bytes of a body room is taken at once: what was only announced takes none.
	invokeChunk = 64 << 10
	// invokeRoomTimeout is how long an invocation waits for room. Inngest repeats what is answered 503.
	invokeRoomTimeout = 5 * time.Second
	// invokeReadTimeout bounds the reading of one body, against clients that hold room and say nothing.
	invokeReadTimeout = 10 * time.Second
)

var errNoRoom = errors.New("no room for another body")

// Handler answers GET, POST and PUT on [Path]. In cloud mode it refuses what Inngest did not sign.
func (f *Functions) Handler() http.Handler {
	unsignedSync := f.o.selfHosted() // guard lets none in that was not signed
	opts := inngestgo.ServeOpts{EnableUnauthedSync: &unsignedSync}
	if u := f.o.PublicURL; u != nil {
		origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.Path, "/")+Path
		opts.Origin, opts.Path = &origin, &path
	}
	return f.guard(f.client.ServeWithOpts(opts))
}

const notSigned = "not signed by Inngest: check the signing key and both clocks"

// guard lets nothing reach inngestgo in cloud mode that Inngest did not sign. inngestgo checks the signature, too, but
// makes the canonical form of the body first: by recursion, which deep nesting turns into a stack overflow, and in quadratic
// time; and it quotes in the log what has none.
func (f *Functions) guard(next http.Handler) http.Handler {
	room := semaphore.NewWeighted(maxInvokeBuffered)
	signer := newSigner(f.o.SigningKey, f.o.SigningKeyFallback)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			next.ServeHTTP(w, r) // inngestgo reads no body
			return
		}
		signature := r.Header.Get(inngestgo.HeaderKeySignature)
		if !f.o.Dev && signature == "" { // nothing of the body is needed
			refuse(w, http.StatusUnauthorized, notSigned)
			return
		}
		body, release, err := readInvocation(w, r, room)
		defer release()
		switch {
		case errors.Is(err, errNoRoom):
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, "too many invocations at once: send it again later")
		case err != nil:
			refuse(w, http.StatusBadRequest, "the body is too large, or came too slowly")
		case !f.o.Dev && !signer.signed(body, signature, time.Now()):
			refuse(w, http.StatusUnauthorized, notSigned)
		default:
			if r.Method == http.MethodPut && f.o.selfHosted() {
				// A self-hosted Inngest (v1.43) signs its request to sync, and reads nothing of the answer: it wants the functions at
				// /fn/register. inngestgo brings them there when it is asked without a signature, and else puts them into the answer.
				r.Header.Del(inngestgo.HeaderKeySignature)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		}
	})
}

// readInvocation reads a body, for which it takes room as the bytes arrive; release gives that back.
func readInvocation(w http.ResponseWriter, r *http.Request, room *semaphore.Weighted) (body []byte, release func(), err error) {
	var taken int64
	release = func() { room.Release(taken) }
	conn := http.NewResponseController(w)
	// For the reading alone: a deadline that passes while the function runs would cancel it.
	if err := conn.SetReadDeadline(time.Now().Add(invokeReadTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, release, err
	}
	limited := http.MaxBytesReader(w, r.Body, maxInvokeBytes)
	var buf bytes.Buffer
	for !errors.Is(err, io.EOF) {
		ctx, cancel := context.WithTimeout(r.Context(), invokeRoomTimeout)
		err = room.Acquire(ctx, invokeChunk)
		cancel()
		if err != nil {
			return nil, release, errNoRoom
		}
		taken += invokeChunk
		if _, err = io.CopyN(&buf, limited, invokeChunk); err != nil && !errors.Is(err, io.EOF) {
			return nil, release, err
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, release, err
	}
	return buf.Bytes(), release, nil
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q}`, text)
}
