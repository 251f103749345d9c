package clerk_test

import (
	"encoding/hex"
	"testing"

	"github.com/glowup-app/clerksync/clerk"
)

func TestTraceID(t *testing.T) {
	t.Parallel()
	id := clerk.TraceID("msg_1")
	// Another version of clerksync, which may run the function, has the same: printf msg_1 | sha256sum
	if want, got := "116b88f173007be5e05df2a87105f095", hex.EncodeToString(id[:]); want != got {
		t.Errorf("want %s, got %s", want, got)
	}
	if got := clerk.TraceID(clerk.ReplayID("msg_1", 2)); id != got {
		t.Errorf("a replay: want its event's trace %x, got %x", id, got)
	}
	if got := clerk.TraceID("msg_2"); id == got {
		t.Error("another event: want another trace")
	}
}
