package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func setup(t *testing.T) (page string, f facts) {
	t.Helper()
	f, err := readFacts(root)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, pagePath), f
}

// The tables are those of the code, the alerts and the capacity page as they are now.
func TestTablesAreFresh(t *testing.T) {
	t.Parallel()
	page, f := setup(t)
	parts, err := f.parts()
	if err != nil {
		t.Fatal(err)
	}
	want, err := fill(page, parts)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, page); d != "" {
		t.Errorf("%s is stale, run make docs (-want +got)\n%s", pagePath, d)
	}
}

func TestCurvesAreFresh(t *testing.T) {
	t.Parallel()
	page, f := setup(t)
	for name, want := range f.curves() {
		if d := cmp.Diff(want, read(t, picturePath+name+".svg")); d != "" {
			t.Errorf("%s is stale, run make docs (-want +got)\n%s", name, d)
		}
		if link := "](architecture/" + name + ".svg)"; !strings.Contains(page, link) {
			t.Errorf("%s does not show %s", pagePath, name)
		}
	}
}

// A picture says of which source it was made: to draw it again takes a browser, which a test has not.
func TestPicturesAreFresh(t *testing.T) {
	t.Parallel()
	page, f := setup(t)
	all, err := diagrams(page)
	if err != nil {
		t.Fatal(err)
	}
	packages := []byte(read(t, "docs/draw/package.json"))
	var want []string
	for name := range f.curves() {
		want = append(want, name+".svg")
	}
	for _, d := range all {
		want = append(want, d.name+".svg")
		svg := read(t, picturePath+d.name+".svg")
		if !strings.HasPrefix(svg, stamp(d.hash(packages))) {
			t.Errorf("%s is stale, run make docs: it is not of this source", d.name)
		}
		text := svgText(t, svg)
		for _, label := range labels(d.source) {
			if !strings.Contains(text, squeeze(label)) {
				t.Errorf("the picture %s does not say %q", d.name, label)
			}
		}
	}
	var got []string
	files, err := os.ReadDir(filepath.Join(root, picturePath))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		got = append(got, file.Name())
	}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("pictures that the page has, and files (-want +got)\n%s", d)
	}
}

func TestPicturesStandAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, picturePath, "*.svg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("want pictures, found none (%v)", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`<script|<foreignObject|<image|file:|@import|url\("?http`).FindString(string(text)); found != "" {
			t.Errorf("%s has %q: not every viewer shows it, or it needs another file", path, found)
		}
		if !strings.Contains(string(text), `fill="#ffffff"`) {
			t.Errorf("%s has no white background, and is black on black on a dark page", path)
		}
	}
}

// svgText is what a picture shows as text, without white space: Mermaid breaks lines as it likes.
func svgText(t *testing.T, svg string) string {
	t.Helper()
	var b strings.Builder
	inText := 0
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return squeeze(b.String())
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			if x.Name.Local == "text" {
				inText++
			}
		case xml.EndElement:
			if x.Name.Local == "text" {
				inText--
			}
		case xml.CharData:
			if inText > 0 {
				b.Write(x)
			}
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

var (
	quoted = regexp.MustCompile(`"([^"]*)"`)
	named  = regexp.MustCompile(`^participant \w+ as (.+)$`)
	said   = regexp.MustCompile(`^[^"]*?: (.+)$`)
	branch = regexp.MustCompile(`^(?:alt|else) (.+)$`)
	moves  = regexp.MustCompile(`^(\w+) --> (\w+)`)
)

// labels are the words of a diagram that its picture shows.
func labels(source string) []string {
	states := strings.HasPrefix(source, "stateDiagram")
	var all []string
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "classDef") {
			continue
		}
		for _, pattern := range []*regexp.Regexp{quoted, named, said, branch} {
			for _, m := range pattern.FindAllStringSubmatch(line, -1) {
				all = append(all, strings.Split(m[1], "<br/>")...)
			}
		}
		if m := moves.FindStringSubmatch(line); m != nil && states {
			all = append(all, m[1:]...)
		}
	}
	return all
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		want   []string
	}{
		{"flowchart TB\n    a[\"one<br/>two\"] -->|\"three\"| b\n    classDef x fill:#fff\n", []string{"one", "two", "three"}},
		{"sequenceDiagram\n    participant S as Svix\n    S->>B: msg_1, signed\n    Note over S: waits\n    else fails\n", []string{"Svix", "msg_1, signed", "waits", "fails"}},
		{"stateDiagram-v2\n    absent --> stub: application inserts\n", []string{"application inserts", "absent", "stub"}},
	} {
		if d := cmp.Diff(c.want, labels(c.source)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.source, d)
		}
	}
}

func TestDiagramsNeedALink(t *testing.T) {
	t.Parallel()
	const linked = "```mermaid\nflowchart TB\n```\n\n[SVG](architecture/flow.svg)\n"
	all, err := diagrams(linked)
	if d := cmp.Diff([]diagram{{"flow", "flowchart TB\n"}}, all, cmp.AllowUnexported(diagram{})); err != nil || d != "" {
		t.Errorf("want the diagram, got %v (-want +got)\n%s", err, d)
	}
	if _, err := diagrams(linked + "\n```mermaid\nflowchart LR\n```\n"); err == nil {
		t.Error("want an error for a block without link, got none")
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	d := diagram{name: "flow", source: "flowchart TB\n"}
	same := d.hash([]byte("1"))
	if other := d.hash([]byte("2")); other == same {
		t.Error("want another hash with another Mermaid, got the same")
	}
	d.source += "    a --> b\n"
	if other := d.hash([]byte("1")); other == same {
		t.Error("want another hash of another source, got the same")
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	const page = "a\n<!-- written by make docs: x -->\nold\n<!-- end of what make docs writes -->\nb\n"
	got, err := fill(page, map[string]string{"x": "new\n"})
	if want := strings.ReplaceAll(page, "old", "new"); err != nil || got != want {
		t.Errorf("want %q, got %q, %v", want, got, err)
	}
	if _, err := fill(page, map[string]string{"y": ""}); err == nil {
		t.Error("want an error for a part without place, got none")
	}
}

func TestPicturesOfABrowser(t *testing.T) {
	t.Parallel()
	all := []diagram{{name: "flow"}}
	got, err := pictures(`<div id="done"><pre id="svg-flow">PHN2ZyB4PSIxLjIzNDU2Ii8+</pre></div>`, all)
	if want := `<svg x="1.23"/>` + "\n"; err != nil || got["flow"] != want {
		t.Errorf("want %q, got %q, %v", want, got["flow"], err)
	}
	for name, dom := range map[string]string{
		"flow: Parse error on line 2": `<div id="fault">flow: Parse error on line 2</div>`,
		"has not drawn flow in time":  `<body></body>`,
	} {
		if _, err := pictures(dom, all); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
}
