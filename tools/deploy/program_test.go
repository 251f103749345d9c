package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the program says of itself, in pages that its own tests compare with its code: the files of deploy/ have to agree.
const (
	port        = 3000 // the default of PORT
	webhookPath = "/api/webhooks/clerk"
	inngestPath = "/api/inngest"
	// stopsWithin is the contract's: all that is in flight ends in this time.
	stopsWithin = 15 * time.Second
	// svixWaits is how long Svix waits for an answer to a webhook.
	svixWaits = 15 * time.Second
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// found are the first groups of all matches in a file, at least one.
func found(t *testing.T, path, pattern string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, path), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 {
		t.Fatalf("%s has nothing like %s", path, pattern)
	}
	return all
}

// variables are the names of the table of environment variables, aliases left out.
func variables(t *testing.T) []string {
	t.Helper()
	return found(t, "../../docs/configuration.md", "(?m)^\\| `([A-Z_]+)`")
}

// secretVariables hold secrets, which are nobody's value in the chart.
var secretVariables = []string{
	"CLERK_WEBHOOK_SECRET", "DATABASE_URI", "INNGEST_API_KEY", "INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK", "CLERK_SECRET_KEY",
}

func TestProgramIsAsAssumed(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"| `PORT` | Port that the server listens on. | `3000` |"} {
		if !strings.Contains(read(t, "../../docs/configuration.md"), want) {
			t.Errorf("docs/configuration.md: want %s", want)
		}
	}
	routes := strings.Join(found(t, "../../docs/operations.md", "(?m)^\\| `[A-Z/]+ (/[a-z/]*)` \\|"), " ")
	for _, want := range []string{webhookPath, inngestPath, "/healthz", "/readyz", "/metrics"} {
		if !slices.Contains(strings.Fields(routes), want) {
			t.Errorf("docs/operations.md: want the route %s, got %s", want, routes)
		}
	}
	if !strings.Contains(read(t, "../../docs/operations.md"), "ends with 0 within 15 s") {
		t.Errorf("docs/operations.md: want a stop within %v", stopsWithin)
	}
	for _, name := range secretVariables {
		if !slices.Contains(variables(t), name) {
			t.Errorf("%s is no variable of the program", name)
		}
	}
}
