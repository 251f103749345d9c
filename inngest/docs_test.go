package inngest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rows are the lines of the table of docs/inngest.md below a heading.
func rows(t *testing.T, heading string) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/inngest.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/inngest.md: want a section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return regexp.MustCompile("(?m)^\\| `.*$").FindAllString(section, -1)
}

// What the page says of the functions is what Inngest is told: no more, no less.
func TestDocsListTheFunctions(t *testing.T) {
	const retries, concurrency = 13, 7919 // to be known again
	o := Options{Retries: retries, Concurrency: concurrency, Reconciler: pages(1), ReconcileCron: "RECONCILE_CRON"}
	var want []string
	for _, raw := range registerRaw(t, o) {
		var fn registration
		var keys map[string]json.RawMessage
		for _, into := range []any{&fn, &keys} {
			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatal(err)
			}
		}
		for _, told := range []string{"concurrency", "id", "name", "retries", "Singleton", "steps", "triggers"} {
			delete(keys, told)
		}
		if len(keys) > 0 {
			t.Errorf("%s: want every option in the table, it has no column for %v", fn.ID, slices.Collect(maps.Keys(keys)))
		}
		var triggers, limits []string
		for _, trigger := range fn.Triggers {
			switch {
			case trigger.Cron == o.ReconcileCron:
				triggers = append(triggers, "cron `RECONCILE_CRON`")
			case trigger.Cron != "":
				triggers = append(triggers, "cron `"+trigger.Cron+"`")
			default:
				triggers = append(triggers, "`"+trigger.Event+"`")
			}
		}
		attempts := "Inngest's: 4"
		switch n := fn.Steps.Step.Retries.Attempts; n {
		case 0:
		case retries:
			attempts = "`FUNCTION_RETRIES`"
		default:
			attempts = fmt.Sprint(n)
		}
		if c, ok := fn.Concurrency.(map[string]any); ok {
			for _, step := range c["step"].([]any) {
				limit := step.(map[string]any)
				n := fmt.Sprint(limit["limit"])
				if n == fmt.Sprint(concurrency) {
					n = "`FUNCTION_CONCURRENCY`"
				}
				if key, ok := limit["key"]; ok {
					n += fmt.Sprintf(" per `%s`", key)
				}
				limits = append(limits, fmt.Sprintf("%s in scope `%s`", n, strings.ToLower(limit["scope"].(string))))
			}
		}
		if mode := fn.Singleton.Mode; mode != "" {
			limits = append(limits, "singleton, `"+mode+"`")
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s", strings.TrimPrefix(fn.ID, "glowup-app-"), strings.Join(triggers, ", "), attempts, strings.Join(limits, ", "))
		want = append(want, strings.TrimSpace(row)+" |")
	}
	got := rows(t, "Functions")
	slices.Sort(want) // Inngest is told them in no order
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/inngest.md, Functions (-want +got)\n%s", d)
	}
}

// What the page says of the client is what it sets, in cloud mode.
func TestDocsListTheClientsOptions(t *testing.T) {
	t.Parallel()
	o := Options{AppID: "INNGEST_APP_ID", EventKey: "INNGEST_API_KEY", SigningKey: "INNGEST_SIGNING_KEY", SigningKeyFallback: "INNGEST_SIGNING_KEY_FALLBACK"}
	compareOptions(t, "The client", o.withDefaults().client())
}

func TestDocsListTheWorkersOptions(t *testing.T) {
	t.Parallel()
	compareOptions(t, "A worker's connection", newFunctions(t, fakeUsers{}, Options{}).connectOptions())
}

// compareOptions compares what is set of inngestgo's options with the table below a heading.
func compareOptions(t *testing.T, heading string, options any) {
	t.Helper()
	opts := reflect.ValueOf(options)
	var want []string
	for i := range opts.NumField() {
		f, name := opts.Field(i), opts.Type().Field(i).Name
		if f.IsZero() {
			continue
		}
		value := reflect.Indirect(f)
		text := fmt.Sprintf("`%v`", value)
		switch {
		case name == "Apps" || name == "Logger" || name == "InstanceID" || value.Kind() == reflect.Func:
			text = "clerksync's"
		case value.CanInt() && value.Int() >= 1<<20:
			text = fmt.Sprintf("%d MiB", value.Int()>>20)
		case text == "``":
			text = "empty"
		}
		want = append(want, "| `"+name+"` | "+text+" |")
	}
	got := rows(t, heading)
	for i, row := range got {
		cells := strings.SplitN(row, " | ", 3)
		if len(cells) != 3 || len(cells[2]) < len("a |") {
			t.Errorf("want a reason in %s", row)
		}
		got[i] = strings.Join(cells[:2], " | ") + " |"
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/inngest.md, %s (-want +got)\n%s", heading, d)
	}
}
