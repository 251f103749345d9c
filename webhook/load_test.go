package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

// Ten times what can be handed over at once: the excess is answered at once, those under way in the end, and then
// the bridge is as good as before.
func TestExcessIsRefusedEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 8
		release := make(chan struct{})
		b := setup(t, webhook.Options{MaxHandovers: most}, func(ctx context.Context, _ clerk.Event) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		const body = `{"type":"user.created","data":{"id":"user_1"}}`
		answers := make(chan answer, 10*most)
		for i := range 10 * most {
			go func() {
				id := fmt.Sprintf("msg_%d", i)
				answers <- b.call(t, signed(id, body), body)
			}()
		}
		synctest.Wait() // no time passes meanwhile: whoever is refused by now was refused at once
		if want, got := 9*most, len(answers); want != got {
			t.Fatalf("answered at once: want %d, got %d", want, got)
		}
		for range 9 * most {
			check(t, refused(http.StatusServiceUnavailable, textOverloaded), <-answers)
		}
		close(release)
		synctest.Wait()
		for range most {
			if a := <-answers; a.Status != http.StatusOK {
				t.Errorf("under way: want 200, got %+v", a)
			}
		}
		check(t, ok("msg_again"), b.call(t, signed("msg_again", body), body))
	})
}
