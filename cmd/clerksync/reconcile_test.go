package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/glowup-app/clerksync/clerk/clerktest"
)

func TestReconcileCommand(t *testing.T) {
	t.Parallel()
	c, environ := clerkAndDatabase(t)
	for n := range 4 {
		put(c, n, "Ann")
	}
	call(t, environ, "", "backfill").want(t, 0)
	call(t, environ, "", "reconcile").want(t, 0, "4 users: missing 0, stale 0, deleted in Clerk 0; repaired 0; unknown documents 0 (")
	put(c, 4, "Bo")
	put(c, 1, "Anna")
	c.Delete("user_3")
	table := "KIND      USER                              REPAIRED  FIELDS\n" +
		"stale     user_1                            no        first_name, full_name\n" +
		"missing   user_4                            no        \n" +
		"deleted   user_3                            no        \n"
	call(t, environ, "", "reconcile", "--settle", "0s").want(t, exitDrift, table, "missing 1, stale 1, deleted in Clerk 1; repaired 0;")

	got := call(t, environ, "", "reconcile", "--settle", "0s", "--json", "--repair", "--delete")
	got.want(t, exitDrift)
	var lines []map[string]any
	for text := range strings.Lines(got.stdout) {
		var l map[string]any
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		lines = append(lines, l)
	}
	if len(lines) != 4 || lines[0]["user_id"] != "user_1" || lines[0]["repaired"] != true || lines[2]["kind"] != "deleted" {
		t.Errorf("want three findings and a summary, got %s", got.stdout)
	}
	if s, _ := lines[3]["summary"].(map[string]any); s["repaired"] != 3.0 || s["users"] != 4.0 {
		t.Errorf("want a summary of 4 users and 3 repaired, got %s", got.stdout)
	}
	call(t, environ, "", "reconcile").want(t, 0)
}

func TestReconcileIsCalledWrongly(t *testing.T) {
	t.Parallel()
	c, environ := clerkAndDatabase(t)
	for want, args := range map[string][]string{
		"--delete goes with --repair":               {"--delete"},
		"--max-delete and --yes go with --delete":   {"--repair", "--yes"},
		"--max-delete: want a number from 1 on":     {"--repair", "--delete", "--max-delete", "0"},
		"--settle: want a time such as 30s":         {"--settle", "-1s"},
		`unexpected argument "now"`:                 {"now"},
		"flag provided but not defined: -whatever":  {"--whatever"},
		`invalid value "many" for flag -max-delete`: {"--repair", "--delete", "--max-delete", "many"},
	} {
		// 2 would say that there is drift.
		call(t, environ, "", append([]string{"reconcile"}, args...)...).want(t, exitFailed, want, "--help")
	}
	c.Fault(func(int, *http.Request) clerktest.Fault { return clerktest.Fault{Status: http.StatusForbidden} })
	call(t, environ, "", "reconcile").want(t, exitFailed, "count users: clerk answered with status 403")
}
