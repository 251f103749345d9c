package inngest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// far is an event API of a bubble of synctest, where time passes only while everybody waits.
type far struct {
	*Sender
	latency time.Duration
	refuse  func(ids []string) int // the status of an answer, 0: 200

	mu       sync.Mutex
	requests [][]string // the events' ids
	underWay int
	most     int             // requests at once
	stored   map[string]bool // events, by id
}

func newFar(latency time.Duration) *far {
	f := &far{Sender: NewSender(Options{EventKey: "key"}), latency: latency, stored: map[string]bool{}}
	f.transport = f
	return f
}

// RoundTrip is the event API's documented answer: https://www.inngest.com/docs/events/sending-events.
func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	var events []clerk.Event
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		return nil, fmt.Errorf("the body is no list of events: %w", err)
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	f.mu.Lock()
	f.requests = append(f.requests, ids)
	f.underWay++
	f.most = max(f.most, f.underWay)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.underWay--
	}()
	select {
	case <-time.After(f.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if f.refuse != nil {
		if status := f.refuse(ids); status != 0 {
			return answer(status, []byte(`{"error":"no","status":400}`)), nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.stored[id] = true
	}
	text, err := json.Marshal(map[string]any{"ids": ids, "status": 200})
	return answer(http.StatusOK, text), err
}

// sendAll sends events concurrently, one after another in their order, and returns their errors.
func (f *far) sendAll(ctx context.Context, ids ...string) func() map[string]error {
	var mu sync.Mutex
	errs := map[string]error{}
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			err := f.Send(ctx, clerk.Event{ID: id, Name: "clerk/x", Data: json.RawMessage(`{}`)})()
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
		synctest.Wait()
	}
	return func() map[string]error {
		wg.Wait()
		return errs
	}
}

func names(from, to int) []string {
	var ids []string
	for i := from; i <= to; i++ {
		ids = append(ids, fmt.Sprintf("msg_%03d", i))
	}
	return ids
}

func wantErrors(t *testing.T, want map[string]error, got map[string]error) {
	t.Helper()
	if !maps.EqualFunc(want, got, func(want, got error) bool { return errors.Is(got, want) }) {
		t.Errorf("errors: want %v, got %v", want, got)
	}
}

func all(ids []string, err error) map[string]error {
	errs := map[string]error{}
	for _, id := range ids {
		errs[id] = err
	}
	return errs
}

// Who comes while a send is under way goes with the next one, in the order of arrival.
func TestBatchGathersWhileASendIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(sendGap / 2)
		ids := names(0, 20)
		wantErrors(t, all(ids, nil), f.sendAll(t.Context(), ids...)())
		if d := cmp.Diff([][]string{ids[:1], ids[1:]}, f.requests); d != "" {
			t.Errorf("requests (-want +got)\n%s", d)
		}
	})
}

func TestLoneEventDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(50 * time.Millisecond)
		for _, id := range names(0, 3) {
			start := time.Now()
			wantErrors(t, all([]string{id}, nil), f.sendAll(t.Context(), id)())
			if want, got := f.latency, time.Since(start); want != got { // of the bubble's time
				t.Errorf("%s: want it to take %v, took %v", id, want, got)
			}
		}
	})
}

// A far Inngest holds nobody up for longer than the gap.
func TestBatchDoesNotWaitForASlowSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		ids := names(0, 5)
		start := time.Now()
		wantErrors(t, all(ids, nil), f.sendAll(t.Context(), ids...)())
		if want, got := f.latency+sendGap, time.Since(start); want != got {
			t.Errorf("want it to take %v, took %v", want, got)
		}
		if d := cmp.Diff([][]string{ids[:1], ids[1:]}, f.requests); d != "" {
			t.Errorf("requests (-want +got)\n%s", d)
		}
		<-time.After(sendGap) // of the bubble's time: a timer that is left over would send nothing, but run
	})
}

func TestFullBatchDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		ids := names(0, maxBatchEvents)
		start := time.Now()
		wantErrors(t, all(ids, nil), f.sendAll(t.Context(), ids...)())
		if want, got := f.latency, time.Since(start); want != got {
			t.Errorf("want it to take %v, took %v", want, got)
		}
	})
}

func TestBatchBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		ids := names(0, 2*maxBatchEvents)
		wantErrors(t, all(ids, nil), f.sendAll(t.Context(), ids...)())
		want := [][]string{ids[:1], ids[1 : 1+maxBatchEvents], ids[1+maxBatchEvents:]} // the first two do not wait for the gap
		if d := cmp.Diff(want, f.requests); d != "" {
			t.Errorf("requests by count (-want +got)\n%s", d)
		}

		f = newFar(time.Second)
		var wg sync.WaitGroup
		for i, size := range []int{1, 1, maxBatchBytes, maxBatchBytes / 2, maxBatchBytes/2 + 1, maxBatchBytes / 3, 1} {
			wg.Go(func() {
				data := json.RawMessage(`{"a":"` + strings.Repeat("x", size) + `"}`)
				if err := f.Send(t.Context(), clerk.Event{ID: fmt.Sprint(i), Name: "clerk/x", Data: data})(); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		slices.SortFunc(f.requests, slices.Compare) // some began at one moment
		if d := cmp.Diff([][]string{{"0"}, {"1"}, {"2"}, {"3"}, {"4", "5", "6"}}, f.requests); d != "" {
			t.Errorf("requests by size (-want +got)\n%s", d)
		}
	})
}

func TestSendsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Minute / 3)
		var waits []func() map[string]error
		ids := names(0, 3*maxSends)
		for _, id := range ids {
			waits = append(waits, f.sendAll(t.Context(), id))
			<-time.After(sendGap)
		}
		for i, wait := range waits {
			wantErrors(t, all(ids[i:i+1], nil), wait())
		}
		if want, got := maxSends, f.most; want != got {
			t.Errorf("requests at once: want %d, got %d", want, got)
		}
		if want, got := maxSends+1, len(f.requests); want != got { // the rest goes together
			t.Errorf("requests: want %d, got %d", want, got)
		}
	})
}

func TestRefusedBatch(t *testing.T) {
	t.Parallel()
	ids := names(0, 20)
	const bad = "msg_007"
	badStatus := func(status int) func([]string) int {
		return func(ids []string) int {
			if slices.Contains(ids, bad) {
				return status
			}
			return 0
		}
	}
	only := all(ids, nil)
	only[bad] = ErrRefused
	others := all(ids, ErrRefused)
	others["msg_000"] = nil // it was alone
	for _, tt := range []struct {
		name     string
		refuse   func([]string) int
		want     map[string]error
		requests int
	}{
		{"one bad event fails alone", badStatus(http.StatusBadRequest), only, 2 + 20},
		{"one that is too large fails alone", badStatus(http.StatusRequestEntityTooLarge), only, 2 + 20},
		{"one of a type that the key may not send fails alone", badStatus(http.StatusForbidden), only, 2 + 20},
		{"an answer that names no ids is asked for each", badStatus(http.StatusNoContent), only, 2 + 20},
		{"a wrong key is not tried with each", badStatus(http.StatusUnauthorized), others, 2},
		{"an outage is not multiplied", badStatus(http.StatusInternalServerError), others, 1 + sendTries},
		{"nor is a limit on the rate", badStatus(http.StatusTooManyRequests), others, 1 + sendTries},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFar(sendGap / 2)
				f.refuse = tt.refuse
				wantErrors(t, tt.want, f.sendAll(t.Context(), ids...)())
				if got := len(f.requests); tt.requests != got {
					t.Errorf("requests: want %d, got %d", tt.requests, got)
				}
				if want, got := maxSingles, f.most; got > want {
					t.Errorf("requests at once: want at most %d, got %d", want, got)
				}
			})
		})
	}
}

// Who leaves has its own answer at once, and takes nobody along.
func TestCallerLeavesItsBatch(t *testing.T) {
	t.Parallel()
	errLeft := errors.New("left")
	for name, after := range map[string]time.Duration{"while it gathers": 0, "while it is sent": sendGap + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFar(time.Second)
				alone := f.sendAll(t.Context(), "msg_0")
				ctx, cancel := context.WithCancelCause(t.Context())
				data := json.RawMessage(`{"a":1}`)
				left := make(chan error, 1)
				wait := f.Send(ctx, clerk.Event{ID: "msg_2", Name: "clerk/x", Data: data})
				copy(data, "garbage") // the bridge reads the next body into it
				go func() { left <- wait() }()
				stay := f.sendAll(t.Context(), "msg_1") // in the batch that the other one began
				<-time.After(after)
				cancel(errLeft)
				synctest.Wait()
				if err := <-left; !errors.Is(err, errLeft) {
					t.Errorf("want %v, got %v", errLeft, err)
				}
				wantErrors(t, all([]string{"msg_0"}, nil), alone())
				wantErrors(t, all([]string{"msg_1"}, nil), stay())
			})
		})
	}
}

// What nobody waits for takes no place: a hanging Inngest is let go when its callers are.
func TestBatchEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ids := names(0, 1)
		wait := f.sendAll(ctx, ids...) // the second one gathers
		<-time.After(sendGap)
		gathering := f.sendAll(ctx, "msg_2")
		wantErrors(t, all(ids, context.DeadlineExceeded), wait())
		wantErrors(t, all([]string{"msg_2"}, context.DeadlineExceeded), gathering())
		synctest.Wait()
		if f.Sender.underWay != 0 || len(f.waiting) != 0 {
			t.Errorf("want nothing left, got %d sends and %d batches", f.Sender.underWay, len(f.waiting))
		}
		f.latency = time.Millisecond
		wantErrors(t, all([]string{"msg_3"}, nil), f.sendAll(t.Context(), "msg_3")())
	})
}

// Callers that come and leave at any moment: whoever has a nil error has its event stored.
func TestAcknowledgedIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFar(0)
		f.refuse = func(ids []string) int {
			if len(ids) > 1 && rand.N(4) == 0 {
				return http.StatusBadRequest
			}
			return 0
		}
		f.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-time.After(rand.N(10 * time.Millisecond))
			if rand.N(8) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return f.RoundTrip(r)
		})
		acknowledged := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 2000 {
			wg.Go(func() {
				<-time.After(rand.N(200 * time.Millisecond))
				ctx, cancel := context.WithTimeout(t.Context(), 1+rand.N(30*time.Millisecond))
				defer cancel()
				id := fmt.Sprint(i)
				data := bytes.Repeat([]byte("7"), 1+rand.N(5000))
				wait := f.Send(ctx, clerk.Event{ID: id, Name: "clerk/x", Data: data})
				clear(data)
				err := wait()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					acknowledged++
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if err == nil && !f.stored[id] {
					t.Errorf("%s: acknowledged and not stored", id)
				}
			})
		}
		wg.Wait()
		<-time.After(time.Minute) // the sends that everybody has left
		if acknowledged == 0 || len(f.requests) >= 2000 {
			t.Errorf("want some of 2000 acknowledged, in fewer requests, got %d in %d", acknowledged, len(f.requests))
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
