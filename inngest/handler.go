package inngest

import (
	"context"
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
	// maxInvokeBuffered bounds the bodies of all invocations at once: inngestgo reads one whole before it
	// checks the signature.
	maxInvokeBuffered = 64 << 20
	// invokeRoomTimeout is how long an invocation waits for that. Inngest repeats what is answered 503.
	invokeRoomTimeout = 5 * time.Second
)

// Handler answers GET, POST and PUT on [Path]. In cloud mode it refuses what Inngest did not sign.
func (f *Functions) Handler() http.Handler {
	unsignedSync := false
	opts := inngestgo.ServeOpts{EnableUnauthedSync: &unsignedSync}
	if u := f.o.PublicURL; u != nil {
		origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.Path, "/")+Path
		opts.Origin, opts.Path = &origin, &path
	}
	return boundMemory(f.client.ServeWithOpts(opts))
}

func boundMemory(next http.Handler) http.Handler {
	room := semaphore.NewWeighted(maxInvokeBuffered)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		need := r.ContentLength
		if need < 0 || need > maxInvokeBytes { // unknown, or cut off there
			need = maxInvokeBytes
		}
		ctx, cancel := context.WithTimeout(r.Context(), invokeRoomTimeout)
		defer cancel()
		if room.Acquire(ctx, need) != nil {
			w.Header().Set("Retry-After", "5")
			http.Error(w, `{"error":"too many invocations at once: send it again later"}`, http.StatusServiceUnavailable)
			return
		}
		defer room.Release(need)
		next.ServeHTTP(w, r)
	})
}
