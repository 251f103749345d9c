package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/glowup-app/clerksync/"

// source is a Go file of ours.
type source struct {
	path string // from the root of the repository
	file *ast.File
	text string
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }
func (s source) dir() string  { return filepath.Dir(s.path) }

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bin" || d.Name() == "tools" || d.Name() == "node_modules" || (d.Name() != ".." && strings.HasPrefix(d.Name(), "."))):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		all = append(all, source{rel, file, string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPackagesHaveComments(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			documented[s.dir()] = documented[s.dir()] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	// Adapters do not know one another, so that one can be read, tested and replaced alone.
	ours := map[string][]string{
		"clerk": {}, "clerk/clerktest": {}, "config": {},
		"reconcile": {"clerk", "store"},
		"webhook":   {"clerk"}, "inngest": {"clerk"}, "store": {"clerk"}, "store/embedded": {},
		"test": {"clerk", "store/embedded"}, "docs/draw": {"config"},
	}
	// A foreign library has one home, so that leaving it is a change in one place.
	homes := map[string][]string{
		"github.com/labstack/echo/":      {"webhook", "cmd/clerksync"},
		"github.com/svix/":               {"webhook", "cmd/clerksync"},
		"github.com/inngest/":            {"inngest", "examples/lastsignin"},
		"go.mongodb.org/":                {"store", "examples/lastsignin"},
		"github.com/FerretDB/":           {"store/embedded"},
		"github.com/clerk/":              {"clerk"},
		"github.com/joho/godotenv":       {"config"},
		"github.com/robfig/cron/":        {"config"},
		"github.com/schollz/progressbar": {"cmd/clerksync"},
		"github.com/urfave/cli/":         {"cmd/clerksync"},
		"modernc.org/sqlite":             {"store/embedded"},
		"github.com/stretchr/testify":    {},
		"github.com/google/go-cmp/":      {},
		"pgregory.net/rapid":             {},
		module + "clerk/clerktest":       {},
		module + "store/embedded":        {"cmd/clerksync"},
		module + "cmd/":                  {},
		module + "test":                  {},
		"github.com/prometheus/":         {"webhook", "inngest", "store", "cmd/clerksync"},
		"go.opentelemetry.io/":           {"webhook", "inngest", "store", "cmd/clerksync"},
		"go.opentelemetry.io/otel/sdk":   {"cmd/clerksync"}, // the others know its interfaces only
		"github.com/cenkalti/backoff/":   {"clerk", "reconcile", "inngest", "cmd/clerksync"},
		"github.com/lmittmann/tint":      {"cmd/clerksync"},
		"golang.org/x/net/netutil":       {"cmd/clerksync"},
		"golang.org/x/term":              {"cmd/clerksync"},
		"golang.org/x/time/rate":         {"clerk"},
		"golang.org/x/sync/errgroup":     {"cmd/clerksync", "inngest", "reconcile", "store"},
		"golang.org/x/sync/semaphore":    {"webhook", "inngest"},
		"golang.org/x/sync/singleflight": {"store"},
	}
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if inner, ok := strings.CutPrefix(path, module); ok && !s.isTest() {
				allowed, limited := ours[s.dir()]
				if limited && !slices.Contains(allowed, inner) {
					t.Errorf("%s imports %s: its package may import %v of ours", s.path, inner, allowed)
				}
			}
			if s.isTest() {
				continue
			}
			for prefix, at := range homes {
				if strings.HasPrefix(path, prefix) && !slices.Contains(at, s.dir()) {
					t.Errorf("%s imports %s, which is at home in %v", s.path, path, at)
				}
			}
		}
	}
}

// An error says what was under way; that it failed is said by its being one.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?i)(Errorf|errors\.New)\("(failed to|unable to|error |could not|cannot )`)
	for _, s := range sources(t) {
		if found := bad.FindString(s.text); found != "" && !s.isTest() {
			t.Errorf("%s: %s", s.path, found)
		}
	}
}

func TestDocsNameEveryMetric(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	inCode := inCode(t)
	var inDocs []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(clerksync_[a-z_]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		inDocs = append(inDocs, m[1])
	}
	slices.Sort(inCode)
	slices.Sort(inDocs)
	if d := cmp.Diff(inCode, inDocs); d != "" {
		t.Errorf("metrics in the code and in docs/operations.md (-code +docs)\n%s", d)
	}
}

// inCode are the names of our metrics.
func inCode(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, m := range regexp.MustCompile(`"(clerksync_[a-z_]+)"`).FindAllStringSubmatch(s.text, -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// An alert on a metric that nobody exports never fires, and says so to no one.
func TestAlertsAndDashboardNameMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	known := inCode(t)
	for _, path := range []string{"../deploy/prometheus/alerts.yml", "../deploy/grafana/clerksync.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`clerksync_[a-z_]+`).FindAllString(string(text), -1)
		if len(named) == 0 {
			t.Errorf("%s: want metrics, found none", path)
		}
		for _, name := range named {
			of := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "") // a histogram's
			if !slices.Contains(known, name) && !slices.Contains(known, of) {
				t.Errorf("%s names %s, which is not in the code", path, name)
			}
		}
	}
}

func TestDocsSayWhatToDoForEachAlert(t *testing.T) {
	t.Parallel()
	var texts [2]string
	for i, path := range []string{"../deploy/prometheus/alerts.yml", "../docs/operations.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	var alerts, sections []string
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(texts[0], -1) {
		alerts = append(alerts, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^### (Clerksync\w+)\n\n\w`).FindAllStringSubmatch(texts[1], -1) {
		sections = append(sections, m[1])
	}
	if len(alerts) == 0 {
		t.Error("want alerts, found none")
	}
	if d := cmp.Diff(alerts, sections); d != "" {
		t.Errorf("alerts, and sections of docs/operations.md, in one order (-alerts +docs)\n%s", d)
	}
}

func TestDocsNameEveryOutcome(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`http\.Status\w+, "(\w+)",|Outcome = "([a-z ]+)"`)
	found := 0
	for _, s := range sources(t) {
		for _, m := range named.FindAllStringSubmatch(s.text, -1) {
			found++
			if outcome := m[1] + m[2]; !s.isTest() && !strings.Contains(string(doc), "`"+outcome+"`") {
				t.Errorf("docs/operations.md does not explain the outcome %q of %s", outcome, s.path)
			}
		}
	}
	if found == 0 {
		t.Error("want outcomes in the code, found none")
	}
}

// Every relative link of the pages leads somewhere, and to a heading that is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{"../docs/*.md", "../*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			} else if m[2] != "" && !slices.Contains(anchors(t, to), m[2]) {
				t.Errorf("%s links to #%s of %s, which is no heading", page, m[2], to)
			}
		}
	}
}

// anchors are the headings of a page as GitHub links to them.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(kept, " ", "-"))
	}
	return all
}
