package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

const mib = 1 << 20

// kinds of callers that a limit must hold for: without signature headers a body takes another path.
func callers(body string) map[string]http.Header {
	return map[string]http.Header{
		"unsigned": {},
		"forged":   headers("svix-", foreign, "msg_1", body),
		"signed":   signed("msg_1", body),
	}
}

func TestBodyOfTheLimit(t *testing.T) {
	t.Parallel()
	body := sized(mib)
	want := map[string]answer{
		"unsigned": refused(http.StatusUnauthorized, textUnverified),
		"forged":   refused(http.StatusUnauthorized, textUnverified),
		"signed":   ok("msg_1"),
	}
	for caller, h := range callers(body) {
		t.Run(caller, func(t *testing.T) {
			t.Parallel()
			url := setup(t, webhook.Options{}, nil).serve(t)
			check(t, want[caller], post(t, url, h, strings.NewReader(body)))
			check(t, want[caller], post(t, url, h, chunked(body)))
		})
	}
}

func TestBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	body := sized(mib + 1)
	want := refused(http.StatusRequestEntityTooLarge, textTooLarge)
	for caller, h := range callers(body) {
		t.Run(caller+" with its length", func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			check(t, want, post(t, b.serve(t), h, strings.NewReader(body)))
			if got := b.sent(); len(got) != 0 {
				t.Errorf("want no event, got %v", got)
			}
		})
		t.Run(caller+" in chunks", func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			check(t, want, post(t, b.serve(t), h, chunked(body)))
			if got := b.sent(); len(got) != 0 {
				t.Errorf("want no event, got %v", got)
			}
		})
		t.Run(caller+" is answered before a byte of it was sent", func(t *testing.T) {
			t.Parallel()
			conn := dial(t, setup(t, webhook.Options{}, nil).serve(t))
			conn.write(t, request(h, "Content-Length: 1048577"))
			check(t, want, conn.answer(t))
			conn.closed(t)
		})
		t.Run(caller+" is not asked to continue", func(t *testing.T) {
			t.Parallel()
			conn := dial(t, setup(t, webhook.Options{}, nil).serve(t))
			conn.write(t, request(h, "Content-Length: 99999999999", "Expect: 100-continue"))
			check(t, want, conn.answer(t)) // 100 Continue would come first
		})
	}
}

// However much a client has to send, no more is read than it takes to know that it is too much.
func TestBodyOverTheLimitIsNotReadInFull(t *testing.T) {
	t.Parallel()
	const size = 10 * mib
	for name, head := range map[string]string{"with its length": fmt.Sprint("Content-Length: ", size), "in chunks": "Transfer-Encoding: chunked"} {
		for caller, h := range callers("") {
			t.Run(caller+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					conn := setup(t, webhook.Options{}, nil).servePipes(t)()
					start := time.Now()
					conn.write(t, request(h, head))
					text := strings.Repeat("x", size)
					if name == "in chunks" {
						text = fmt.Sprintf("%x\r\n%s", size, text) // and no end to it
					}
					count, done := conn.pour(text)
					check(t, refused(http.StatusRequestEntityTooLarge, textTooLarge), conn.answer(t))
					conn.closed(t)
					<-done
					limit := int64(64 << 10) // some of it is read ahead
					if name == "in chunks" {
						limit += mib + 256<<10 // and net/http looks for an end for a while
					}
					if got := count.Load(); got > limit {
						t.Errorf("want at most %d bytes read, got %d", limit, got)
					}
					if took := time.Since(start); took > time.Second {
						t.Errorf("want the answer at once, got it after %v", took)
					}
				})
			})
		}
	}
}

// Past the limit the answer does not wait for a client that goes on slowly.
func TestBodyOverTheLimitAndSlow(t *testing.T) {
	t.Parallel()
	for caller, h := range callers("") {
		t.Run(caller, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := setup(t, webhook.Options{}, nil).servePipes(t)()
				start := time.Now()
				conn.write(t, request(h, "Transfer-Encoding: chunked"))
				conn.write(t, fmt.Sprintf("%x\r\n%s", 2*mib, strings.Repeat("x", mib)))
				_, done := conn.drip(strings.Repeat("x", mib), time.Second)
				check(t, refused(http.StatusRequestEntityTooLarge, textTooLarge), conn.answer(t))
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("want the answer at once, got it after %v", took)
				}
				conn.Close()
				<-done
			})
		})
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    webhook.Options
		want time.Duration
	}{
		{"after 10 s by default", webhook.Options{}, 10 * time.Second},
		{"after ReadTimeout", webhook.Options{ReadTimeout: 3 * time.Second}, 3 * time.Second},
	}
	for _, tt := range tests {
		for _, head := range []string{"Content-Length: 1000", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
			for caller, h := range callers("") {
				t.Run(caller+" "+head+" "+tt.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						b := setup(t, tt.o, nil)
						conn := b.servePipes(t)()
						start := time.Now()
						conn.write(t, request(h, head))
						if strings.HasPrefix(head, "Transfer") {
							conn.write(t, "fffff\r\n")
						}
						_, done := conn.drip(strings.Repeat(" ", 1000), 100*time.Millisecond)
						check(t, refused(http.StatusRequestTimeout, textTooSlow), conn.answer(t))
						if got := time.Since(start); got != tt.want {
							t.Errorf("want the answer after %v, got it after %v", tt.want, got)
						}
						conn.closed(t)
						<-done
						if got := b.logs.lines(t); len(got) != 1 || got[0]["reason"] != "deadline exceeded" {
							t.Errorf("want one line without addresses, got %v", got)
						}
					})
				})
			}
		}
	}
}

// The time to read a body does not count towards the time to hand it over, nor towards the next request.
func TestReadTimeoutEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, webhook.Options{ReadTimeout: time.Second}, func(ctx context.Context, _ clerk.Event) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		conn := b.servePipes(t)()
		body := envelope("user_1")
		for _, id := range []string{"msg_1", "msg_2"} {
			conn.write(t, request(signed(id, body), fmt.Sprint("Content-Length: ", len(body)))+body)
			check(t, ok(id), conn.answer(t))
			<-time.After(30 * time.Second)
		}
	})
}

func TestBodyThatEndsTooSoon(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"the client leaves":      request(signed("msg_1", "x"), "Content-Length: 1000") + "canary",
		"chunks that are none":   request(signed("msg_1", "x"), "Transfer-Encoding: chunked") + "canary\r\n",
		"a chunk without an end": request(signed("msg_1", "x"), "Transfer-Encoding: chunked") + "3\r\ncanary\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, webhook.Options{}, nil)
			conn := dial(t, b.serve(t))
			conn.write(t, text)
			if name == "the client leaves" {
				conn.Close()
			} else {
				check(t, refused(http.StatusBadRequest, textUnreadable), conn.answer(t))
			}
			<-b.handled
			if got := b.sent(); len(got) != 0 {
				t.Errorf("want no event, got %v", got)
			}
			if got := b.logs.String(); strings.Contains(got, "canary") || !strings.Contains(got, `"outcome":"unreadable"`) {
				t.Errorf("want a line of outcome unreadable without the body, got %s", got)
			}
		})
	}
}

func TestSendTimeout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    webhook.Options
		want time.Duration
	}{
		"8 s by default": {webhook.Options{}, 8 * time.Second},
		"as it is set":   {webhook.Options{SendTimeout: 2 * time.Second}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var cause error
				b := setup(t, tt.o, func(ctx context.Context, _ clerk.Event) error {
					<-ctx.Done()
					cause = context.Cause(ctx)
					return cause
				})
				start := time.Now()
				check(t, refused(http.StatusServiceUnavailable, textNotAccepted), b.call(t, signed("msg_1", envelope("user_1")), envelope("user_1")))
				if got := time.Since(start); got != tt.want {
					t.Errorf("want the answer after %v, got it after %v", tt.want, got)
				}
				if want := webhook.ErrSendTimeout; cause != want { //nolint:errorlint // the cause itself
					t.Errorf("cause: want %v, got %v", want, cause)
				}
				if got := b.logs.lines(t); got[0]["reason"] != webhook.ErrSendTimeout.Error() {
					t.Errorf("reason: want %q, got %q", webhook.ErrSendTimeout, got[0]["reason"])
				}
			})
		})
	}
}

// What a client claims of the memory for bodies is bounded over all of them, and comes back whatever becomes of it.
func TestMemoryForBodies(t *testing.T) {
	t.Parallel()
	o := webhook.Options{MaxBody: 1000, MaxBuffered: 2000}
	full := sized(1000)
	holders := map[string]struct {
		hold func(t *testing.T, b *bridge, connect func() *client)
		left time.Duration // until the room is free again
	}{
		"a queue that hangs": {func(t *testing.T, _ *bridge, connect func() *client) {
			connect().write(t, request(signed("msg_hang", full), "Content-Length: 1000")+full)
		}, 8 * time.Second},
		"a body that does not come": {func(t *testing.T, _ *bridge, connect func() *client) {
			connect().write(t, request(headers("svix-", foreign, "msg_1", ""), "Content-Length: 1000")+" ")
		}, 10 * time.Second},
		"a client that leaves": {func(t *testing.T, b *bridge, connect func() *client) {
			conn := connect()
			conn.write(t, request(signed("msg_hang", full), "Content-Length: 1000")+full)
			synctest.Wait()
			conn.Close()
			<-b.handled
		}, 0},
	}
	for name, holder := range holders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, o, func(ctx context.Context, e clerk.Event) error {
					if e.ID == "msg_hang" {
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				})
				connect := b.servePipes(t)
				start := time.Now()
				holder.hold(t, b, connect)
				synctest.Wait()
				if holder.left > 0 {
					before := time.Now()
					check(t, refused(http.StatusServiceUnavailable, textOverloaded), b.call(t, signed("msg_1", full), full))
					if want, got := time.Second, time.Since(before); got != want {
						t.Errorf("want the answer after %v, got it after %v", want, got)
					}
					// What needs no memory is answered all the same.
					check(t, refused(http.StatusUnauthorized, textUnverified), b.call(t, http.Header{}, full))
					check(t, refused(http.StatusRequestEntityTooLarge, textTooLarge), b.call(t, signed("msg_1", full), full+" "))
				}
				<-time.After(time.Until(start.Add(holder.left)))
				synctest.Wait()
				check(t, ok("msg_2"), b.call(t, signed("msg_2", full), full))
				if got := len(b.sent()); got > 2 {
					t.Errorf("want nothing handed over of what was refused, got %d events", got)
				}
			})
		})
	}
}

func TestMemoryIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := sized(1000)
		b := setup(t, webhook.Options{MaxBody: 1000, MaxBuffered: 2000}, func(context.Context, clerk.Event) error {
			<-time.After(900 * time.Millisecond)
			return nil
		})
		answers := make(chan answer)
		for _, id := range []string{"msg_1", "msg_2"} {
			go func() { answers <- b.call(t, signed(id, full), full) }()
			synctest.Wait()
		}
		check(t, ok("msg_1"), <-answers)
		check(t, ok("msg_2"), <-answers)
	})
}

// A refusal for want of memory does not wait for the rest of the body: net/http reads past it, but not for ever.
func TestRefusalDoesNotWaitForASlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, webhook.Options{MaxBody: 1000, MaxBuffered: 2000, SendTimeout: time.Hour}, until)
		connect := b.servePipes(t)
		full := sized(1000)
		holder := connect()
		holder.write(t, request(signed("msg_1", full), "Content-Length: 1000")+full)
		synctest.Wait()
		start := time.Now()
		slow := connect()
		slow.write(t, request(signed("msg_2", full), "Content-Length: 1000"))
		_, done := slow.drip(full, time.Minute)
		check(t, refused(http.StatusServiceUnavailable, textOverloaded), slow.answer(t))
		if want, got := 10*time.Second, time.Since(start); got > want {
			t.Errorf("want the answer within %v, got it after %v", want, got)
		}
		slow.Close()
		holder.Close()
		<-done
	})
}

// To close a connection with bytes unread is to reset it, and the client may lose the answer with it. So some time
// goes by in between, also where the client asked for the connection to be closed.
func TestAnswerArrivesThoughTheBodyIsUnread(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, head string
		want       answer
	}{
		{"too large by its length", "Content-Length: 2000000", refused(http.StatusRequestEntityTooLarge, textTooLarge)},
		{"too large in chunks", "Transfer-Encoding: chunked", refused(http.StatusRequestEntityTooLarge, textTooLarge)},
		{"too slow", "Content-Length: 1000000", refused(http.StatusRequestTimeout, textTooSlow)},
		{"overloaded", "Content-Length: 1000001", refused(http.StatusServiceUnavailable, textOverloaded)},
	}
	for _, tt := range tests {
		for caller, h := range callers("") {
			if tt.name == "overloaded" && caller == "unsigned" {
				continue // it takes no memory
			}
			t.Run(tt.name+" "+caller, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					connect := setup(t, webhook.Options{MaxBuffered: 2 * mib}, nil).servePipes(t)
					if tt.name == "overloaded" {
						connect().pour(request(signed("msg_1", ""), "Content-Length: 1000000") + strings.Repeat("x", 999_999))
						synctest.Wait()
					}
					conn := connect()
					conn.write(t, request(h, tt.head, "Connection: close"))
					switch tt.name {
					case "overloaded":
						conn.pour(strings.Repeat("x", 500_000))
					case "too large in chunks":
						conn.pour(fmt.Sprintf("%x\r\n%s", 2*mib, strings.Repeat("x", 2*mib)))
					}
					check(t, tt.want, conn.answer(t))
					answered := time.Now()
					conn.closed(t)
					if got := time.Since(answered); got < 100*time.Millisecond || got > time.Second {
						t.Errorf("want the connection closed a little later, got it closed after %v", got)
					}
				})
			})
		}
	}
}

// 4,096 connections, the most that the server takes, that announce a body and stay silent keep nobody out.
func TestSilentConnectionsLeaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, webhook.Options{}, nil)
		connect := b.servePipes(t)
		for range 4095 {
			connect().write(t, request(headers("svix-", foreign, "msg_0", ""), "Content-Length: 65536"))
		}
		synctest.Wait()
		body := sized(4000)
		check(t, ok("msg_1"), b.call(t, signed("msg_1", body), body))
	})
}

// Clerk's webhooks are small, so large bodies that someone announces do not keep them out, nor the other way round.
func TestLargeBodiesLeaveRoomForSmallOnes(t *testing.T) {
	t.Parallel()
	most := strings.Repeat("x", mib-1)
	tests := []struct {
		name, head, body string
		large, small     answer
	}{
		{"a large one is awaited", "Content-Length: 1048576", most, refused(http.StatusServiceUnavailable, textOverloaded), ok("msg_1")},
		{"one of unknown length is awaited", "Transfer-Encoding: chunked", "100000\r\n" + most, refused(http.StatusServiceUnavailable, textOverloaded), ok("msg_1")},
		{"a large one is only announced", "Content-Length: 1048576", "", ok("msg_1"), ok("msg_1")},
		{"a small one is awaited", "Content-Length: 65536", "", ok("msg_1"), ok("msg_1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, webhook.Options{MaxBuffered: 2 * mib}, nil)
				b.servePipes(t)().pour(request(headers("svix-", foreign, "msg_0", ""), tt.head) + tt.body)
				synctest.Wait()
				body := sized(64<<10 + 1)
				check(t, tt.large, b.call(t, signed("msg_1", body), body))
				body = sized(1000)
				check(t, tt.small, b.call(t, signed("msg_1", body), body))
			})
		})
	}
}
