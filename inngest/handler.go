package inngest

import (
	"bytes"
	"context"
	"encoding/json"
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
	// invokeRoomTimeout is how long an invocation waits for that. Inngest repeats what is answered 503.
	invokeRoomTimeout = 5 * time.Second
	// invokeReadTimeout bounds the reading of one body, against clients that hold room and say nothing.
	invokeReadTimeout = 10 * time.Second
	// maxMembers is what one invocation may hold in all its objects; one about a Clerk user holds some hundreds, and
	// that of its dead letter four times as many.
	maxMembers = 5_000
	// maxDepth is how deep its objects and arrays may be nested.
	maxDepth = 64
)

// Handler answers GET, POST and PUT on [Path]. In cloud mode it refuses what Inngest did not sign.
func (f *Functions) Handler() http.Handler {
	unsignedSync := false
	opts := inngestgo.ServeOpts{EnableUnauthedSync: &unsignedSync}
	if u := f.o.PublicURL; u != nil {
		origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.Path, "/")+Path
		opts.Origin, opts.Path = &origin, &path
	}
	return f.guard(f.client.ServeWithOpts(opts))
}

// guard bounds what a stranger can make inngestgo do. It puts a whole body into canonical form before it checks the
// signature: by recursion, which deep nesting turns into a stack overflow, and by sorting keys in quadratic time.
func (f *Functions) guard(next http.Handler) http.Handler {
	room := semaphore.NewWeighted(maxInvokeBuffered)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || (!f.o.Dev && r.Header.Get(inngestgo.HeaderKeySignature) == "") {
			next.ServeHTTP(w, r) // inngestgo answers without reading the body
			return
		}
		need := r.ContentLength
		if need < 0 || need > maxInvokeBytes { // unknown, or cut off there
			need = maxInvokeBytes
		}
		ctx, cancel := context.WithTimeout(r.Context(), invokeRoomTimeout)
		defer cancel()
		if room.Acquire(ctx, need) != nil {
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, "too many invocations at once: send it again later")
			return
		}
		defer room.Release(need)
		body, err := readInvocation(w, r)
		switch {
		case err != nil:
			refuse(w, http.StatusBadRequest, "the body is too large, or came too slowly")
		case len(body) > 0 && !modest(body):
			refuse(w, http.StatusBadRequest, "the body is not JSON, or is too deep or too wide")
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		}
	})
}

func readInvocation(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	conn := http.NewResponseController(w)
	// For the reading alone: a deadline that passes while the function runs would cancel it.
	if err := conn.SetReadDeadline(time.Now().Add(invokeReadTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInvokeBytes))
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return body, nil
}

// modest says that a body is JSON, and neither too wide nor too deep.
func modest(body []byte) bool {
	members, depth := measure(body)
	return members <= maxMembers && depth <= maxDepth && json.Valid(body)
}

// measure counts the members of all objects in a body, by its colons outside of strings, and how deep it is nested.
func measure(body []byte) (members, deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++ // what it escapes ends no string
			}
		case c == ':':
			members++
		case c == '{', c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return members, deepest
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q}`, text)
}
