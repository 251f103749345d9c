package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/glowup-app/clerksync/config"
)

// facts are what the figures of the page follow from. Each is read where it is decided, so that it has one place.
type facts struct {
	webhooks schedule
	runs     schedule
	keeping  schedule          // of keep-dead-letters
	letters  time.Duration     // how long a dead letter is kept
	rules    map[string]string // the alerts

	walls     map[string]float64 // of docs/capacity.md, a second
	target    float64            // use of a core at the peak, a part of one
	processes int                // at least
	run       time.Duration      // one run, as Inngest sees it
	perRun    int                // calls of a run to the database
}

func readFacts(root string) (facts, error) {
	f := facts{webhooks: svix}
	texts := map[string]string{}
	for _, path := range []string{"deploy/prometheus/alerts.yml", "docs/capacity.md", "inngest/deadletter.go"} {
		text, err := os.ReadFile(root + "/" + path)
		if err != nil {
			return f, err
		}
		texts[path] = string(text)
	}
	f.rules = rules(texts["deploy/prometheus/alerts.yml"])
	for _, v := range config.Variables() {
		var err error
		switch v.Name {
		case "FUNCTION_RETRIES":
			var n int
			n, err = strconv.Atoi(v.Default)
			f.runs = inngest(n)
		case "DEAD_LETTER_RETENTION":
			f.letters, err = parseDays(v.Default)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	var keeping, target float64
	var processes, run, perRun float64
	for _, one := range []struct {
		path, pattern string
		into          *float64
	}{
		{"inngest/deadletter.go", `(?m)^const retriesOfKeeping = (\d+)$`, &keeping},
		{"docs/capacity.md", `(?m)^\| use of a core at the peak \| (\d+) % \|`, &target},
		{"docs/capacity.md", `(?m)^\| processes, at least \| (\d+) \|`, &processes},
		{"docs/capacity.md", `(?m)^\| a run, as Inngest sees it \| (\d+) ms \|`, &run},
		{"docs/capacity.md", `(?m)^\| calls of a run \| (\d+) \|`, &perRun},
	} {
		m := regexp.MustCompile(one.pattern).FindStringSubmatch(texts[one.path])
		if m == nil {
			return f, fmt.Errorf("%s: nothing matches %s", one.path, one.pattern)
		}
		*one.into, _ = strconv.ParseFloat(m[1], 64) // digits
	}
	f.keeping, f.target = inngest(int(keeping)), target/100
	f.processes, f.run, f.perRun = int(processes), time.Duration(run)*time.Millisecond, int(perRun)
	f.walls = walls(texts["docs/capacity.md"])
	return f, nil
}

// walls are the rows of the capacity page's table of what gives way, by name.
func walls(page string) map[string]float64 {
	all := map[string]float64{}
	_, table, _ := strings.Cut(page, "| wall | stands at, a second |")
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| ([\d,.]+) \|$`).FindAllStringSubmatch(table, -1) {
		n, err := strconv.ParseFloat(strings.ReplaceAll(m[2], ",", ""), 64)
		if err == nil {
			all[m[1]] = n
		}
	}
	return all
}

// wall is the row whose name begins so.
func (f facts) wall(begins string) (name string, at float64, err error) {
	for name, at := range f.walls {
		if strings.HasPrefix(name, begins) {
			return name, at, nil
		}
	}
	return "", 0, fmt.Errorf("docs/capacity.md has no wall that begins with %q", begins)
}

// scaleTable says in Markdown what is seen before something gives way, at which figure, and what helps.
func (f facts) scaleTable() (string, error) {
	var b strings.Builder
	b.WriteString("| what fills up | seen in | scale out at | by |\n|---|---|---|---|\n")
	for _, row := range []struct{ wall, seen, at, by string }{
		{
			"runs on one core", "`process_cpu_seconds_total` of what runs the functions: `serve`, or `worker`",
			"{share} of a core: {at} runs a second on each (of {wall})", "another of those",
		},
		{
			"webhooks on one core", "`process_cpu_seconds_total` of the bridges",
			"{share} of a core: {at} webhooks a second on each (of {wall})", "another `serve`",
		},
		{
			"hand-overs", "`clerksync_webhooks_total` with the outcome `overloaded`",
			"the first of them, at {wall} webhooks a second", "another `serve`; or Inngest is slow: see the hand-over's duration",
		},
		{
			"the database connections", "`clerksync_store_operation_duration_seconds` grows, and the database is idle",
			"{wall} runs a second in one process", "another process, or `maxPoolSize` in `DATABASE_URI`",
		},
	} {
		name, at, err := f.wall(row.wall)
		if err != nil {
			return "", err
		}
		figures := strings.NewReplacer("{wall}", thousands(at), "{at}", thousands(math.Floor(at*f.target)), "{share}", fmt.Sprintf("%.0f %%", f.target*100))
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, row.seen, figures.Replace(row.at), row.by)
	}
	_, full, err := f.wall("runs on one core")
	if err != nil {
		return "", err
	}
	fires, err := slow.fires(f.rules)
	if err != nil {
		return "", err
	}
	run := fmt.Sprintf("%d ms", f.run.Milliseconds())
	fmt.Fprintf(&b, "| runs at once, of Inngest's plan or `FUNCTION_CONCURRENCY` | %s: the latency is over 60 s for %s, while runs are quick | "+
		"runs a second × %s: %s for one core that is full | a larger plan; more processes do not help |\n",
		slow.link(), words(fires), run, thousands(math.Ceil(full*f.run.Seconds())))
	fmt.Fprintf(&b, "| the database | its own load; all processes slow down alike | its own limit, at %d calls for each create | "+
		"a larger database; `FUNCTION_CONCURRENCY` holds runs back meanwhile |\n", f.perRun)
	fmt.Fprintf(&b, "| one user | that user alone is late | %.0f events a second: they run one at a time, %s each | nothing |\n", 1/f.run.Seconds(), run)
	fmt.Fprintf(&b, "\nNever fewer than %d processes of a kind, so that one may be replaced.\n", f.processes)
	return b.String(), nil
}

func thousands(n float64) string {
	s := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
