package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/valyala/fasthttp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

const signingKey = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// runKinds are the invocations that are measured, as Inngest sends them, with what the function answers.
var runKinds = map[string]struct {
	function, event string
	user, version   func(n int64) int64
	want            clerk.Outcome
}{
	"create":    {"sync-user-from-clerk", clerk.UserCreated, anew, once, clerk.Created},
	"update":    {"update-user-from-clerk", clerk.UserUpdated, known, growing, clerk.Updated},
	"duplicate": {"update-user-from-clerk", clerk.UserUpdated, known, once, ""}, // stale, or unchanged where nothing has updated the user yet
}

// knownUsers are there before the first measurement.
const knownUsers = 500

func anew(n int64) int64    { return n }
func known(n int64) int64   { return n % knownUsers }
func once(int64) int64      { return 1 }
func growing(n int64) int64 { return n + 2 }

func runPath(kind string) string {
	return "/api/inngest?fnId=glowup-app-" + runKinds[kind].function + "&stepId=step"
}

// runs are signed invocations of one kind about users of a usual size.
func runs(ctx context.Context, kind string) func() shot {
	k := runKinds[kind]
	return func() shot {
		return shot{want: []byte(k.want), aim: func(req *fasthttp.Request, n int64) error {
			version := k.version(n)
			user := clerktest.UserOfSize(string(appendID([]byte("user_run_"), k.user(n))), version, 4<<10)
			event, err := json.Marshal(clerk.Event{ID: fmt.Sprintf("run_%d", version), Name: k.event, TS: 1763361000447, Data: json.RawMessage(user)})
			if err != nil {
				return err
			}
			body := fmt.Appendf(nil, `{"event":%s,"events":[%s],"steps":{},"ctx":{"run_id":"run_1","attempt":0,`+
				`"fn_id":"8d1e4a3c-8f2b-4b71-9a6e-0f4a8f5b6c7d","stack":{"stack":[],"current":0}}}`, event, event)
			signature, err := inngestgo.Sign(ctx, time.Now(), []byte(signingKey), body)
			if err != nil {
				return err
			}
			req.Header.Set(inngestgo.HeaderKeySignature, signature)
			req.SetBodyRaw(body)
			return nil
		}}
	}
}
