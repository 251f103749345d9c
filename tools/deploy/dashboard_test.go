package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// dashboard is as much of Grafana's as is checked:
// https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model.
type dashboard struct {
	Title  string `json:"title"`
	Panels []struct {
		ID          int    `json:"id"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			Expr  string `json:"expr"`
			RefID string `json:"refId"`
		} `json:"targets"`
	} `json:"panels"`
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/grafana/clerksync.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || len(d.Panels) == 0 {
		t.Fatalf("want a title and panels, got %+v", d)
	}
	promQL := parser.NewParser(parser.Options{})
	const columns = 24
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: want an id of its own, got %d again", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= columns {
					t.Fatalf("%s: want a place of its own within %d columns, it is at %d, %d over %q", p.Title, columns, x, y, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("want a panel with title, description and targets, got %+v", p)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if _, err := promQL.ParseExpr(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")); err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
			}
			if target.RefID == "" || refs[target.RefID] {
				t.Errorf("%s: want a refId of its own, got %q", p.Title, target.RefID)
			}
			refs[target.RefID] = true
		}
	}
}

// A metric that nobody exports would be a panel that is empty for ever, and an alert that never fires. That docs/operations.md lists
// those that the program has is a test of the program's.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	documented := read("../../docs/operations.md")
	for _, path := range []string{"../../deploy/grafana/clerksync.json", "../../deploy/prometheus/alerts.yml"} {
		names := regexp.MustCompile(`clerksync_[a-z_]+`).FindAllString(read(path), -1)
		if len(names) == 0 {
			t.Errorf("%s: want metrics, there are none", path)
		}
		for _, name := range names {
			for _, suffix := range []string{"_bucket", "_count"} {
				name = strings.TrimSuffix(name, suffix)
			}
			if !strings.Contains(documented, "| `"+name+"` |") {
				t.Errorf("%s: %s is not in docs/operations.md", path, name)
			}
		}
	}
}
