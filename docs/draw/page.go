package main

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
)

const (
	pagePath    = "docs/architecture.md"
	picturePath = "docs/architecture/" // an SVG for each diagram and each curve
)

// diagram is a Mermaid block of the page, and the link behind it, which names its picture.
type diagram struct {
	name   string
	source string
}

var (
	block     = regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```$")
	withImage = regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```\n\n\\[SVG\\]\\(architecture/([a-z-]+)\\.svg\\)$")
)

// diagrams are those of a page. Each has a link to its picture behind it.
func diagrams(page string) ([]diagram, error) {
	var all []diagram
	for _, m := range withImage.FindAllStringSubmatch(page, -1) {
		all = append(all, diagram{name: m[2], source: m[1]})
	}
	if n := len(block.FindAllString(page, -1)); n != len(all) {
		return nil, fmt.Errorf("%s: %d Mermaid blocks, and %d with a line [SVG](architecture/NAME.svg) behind them", pagePath, n, len(all))
	}
	return all, nil
}

// hash changes with whatever a picture is made of: the diagram, the settings, and Mermaid's version, which packages names.
func (d diagram) hash(packages []byte) string {
	h := sha256.New()
	for _, part := range []string{d.source, renderer, string(packages)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// stamp stands in a picture, and says of which source it is.
func stamp(hash string) string {
	return "<!-- made by make docs from " + pagePath + ", " + hash + " -->\n"
}

// Around what is written into the page.
const (
	partBegin = "<!-- written by make docs: %s -->\n"
	partEnd   = "<!-- end of what make docs writes -->\n"
)

// fill puts the generated parts into their places.
func fill(page string, parts map[string]string) (string, error) {
	for name, text := range parts {
		before, rest, begins := strings.Cut(page, fmt.Sprintf(partBegin, name))
		_, after, ends := strings.Cut(rest, partEnd)
		if !begins || !ends {
			return "", fmt.Errorf("%s has no place for %s", pagePath, name)
		}
		page = before + fmt.Sprintf(partBegin, name) + text + partEnd + after
	}
	return page, nil
}

// parts are the tables of the page.
func (f facts) parts() (map[string]string, error) {
	faults, err := f.faultTable()
	if err != nil {
		return nil, err
	}
	scale, err := f.scaleTable()
	if err != nil {
		return nil, err
	}
	return map[string]string{"schedules": f.scheduleTable(), "faults": faults, "scale": scale}, nil
}

// curves are the pictures that are drawn here, by name.
func (f facts) curves() map[string]string {
	redelivery := curve{schedule: f.webhooks, title: "Svix: when a webhook without 2xx is sent again"}
	retried, _ := f.runs.lasts()
	keeping, _ := f.keeping.lasts()
	redelivery.marks = []mark{{svixDisables, "endpoint disabled"}}
	backoff := curve{schedule: f.runs, title: fmt.Sprintf("Inngest: when a failed run is tried again (%d retries)", len(f.runs.delays))}
	backoff.marks = []mark{{retried + keeping, "its letter given up"}}
	return map[string]string{"svix": redelivery.svg(), "inngest": backoff.svg()}
}
