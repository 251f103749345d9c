package clerk

import "testing"

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, id, wantID string
		wantN            int
	}{
		{"an event of its own", "msg_1", "msg_1", 0},
		{"a replay", ReplayID("msg_1", 3), "msg_1", 3},
		{"an id that only looks like one", "msg_1~replay-x", "msg_1~replay-x", 0},
		{"there is no replay before the first", "msg_1~replay-0", "msg_1~replay-0", 0},
		{"no id", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if id, n := Replay(tt.id); tt.wantID != id || tt.wantN != n {
				t.Errorf("want %q and %d, got %q and %d", tt.wantID, tt.wantN, id, n)
			}
		})
	}
}
