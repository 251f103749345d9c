package webhook

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// maxAllocs is what one webhook of 4 kB may allocate here, with a Sender that takes it at once. The svix library takes 20
// of them (an HMAC made anew, the text that it signs, the parts of the header), its headers 5, the body and its
// deadline 6, the hand-over's deadline 4, the answer 5, the event and its log line the rest. Their number does not grow
// with the payload. Whoever lowers it lowers the budget; whoever has to raise it says for what.
const maxAllocs = 43

// measureVariable makes TestAllocationBudget measure, see there.
const measureVariable = "CLERKSYNC_TEST_MEASURE"

// TestAllocationBudget holds the hot path to its allocations, which are stable where times are not. The race detector
// makes sync.Pool forget at random, so it measures in a process of its own, built without.
func TestAllocationBudget(t *testing.T) {
	if os.Getenv(measureVariable) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run=^"+t.Name()+"$", "-v", ".")
		cmd.Env = append(os.Environ(), measureVariable+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), measured) {
			t.Errorf("measure without the race detector: %v\n%s", err, out)
		}
		return
	}
	const size = 4 << 10
	r := newRepeated(t, size)
	allocs := testing.AllocsPerRun(1000, func() { r.deliver(t) })
	fmt.Println(measured, allocs)
	if allocs > maxAllocs {
		t.Errorf("allocations of a webhook of %d bytes: want at most %d, got %g", size, maxAllocs, allocs)
	}
}

// measured shows that the child ran the test, and not none.
const measured = "allocations a webhook:"
