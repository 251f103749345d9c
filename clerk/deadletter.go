package clerk

import (
	"strconv"
	"strings"
	"time"
)

// DeadLetter is an event that was given up, with its reason.
type DeadLetter struct {
	// Event is as Inngest had it; its ID is that of the first delivery, also when a replay of it failed.
	Event    Event
	Replay   int    // which replay of the event failed; 0: its first delivery
	Function string // id of the function that gave up
	RunID    string // of the run that gave up last; Inngest's run ids sort by time
	Reason   string // the run's error, or that it was cancelled
	FailedAt time.Time
}

// replayMark stands between the id of an event and the number of its replay.
const replayMark = "~replay-"

// ReplayID is the id under which an event is sent again for the nth time, counted from 1. Inngest drops a repeated
// id for 24 hours, so the event's own would do nothing, while a replay that is sent twice by mistake has one id.
func ReplayID(eventID string, n int) string { return eventID + replayMark + strconv.Itoa(n) }

// Replay takes a ReplayID apart: the event's own id, and which replay of it this is; 0 for an event that is none.
func Replay(id string) (eventID string, n int) {
	i := strings.LastIndex(id, replayMark)
	if i < 0 {
		return id, 0
	}
	n, err := strconv.Atoi(id[i+len(replayMark):])
	if err != nil || n < 1 {
		return id, 0
	}
	return id[:i], n
}
