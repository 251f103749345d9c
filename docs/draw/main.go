// Draw writes what in docs/architecture.md can be computed: the tables, the curves, and the pictures of the Mermaid
// diagrams. Run it from the root of the repository, as make docs does.
//
// Tables and curves need nothing else. Mermaid's pictures need npm and Chromium, and only those are drawn whose
// source has changed.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := write(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "make docs:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, root string) error {
	text, err := os.ReadFile(filepath.Join(root, pagePath))
	if err != nil {
		return err
	}
	f, err := readFacts(root)
	if err != nil {
		return err
	}
	parts, err := f.parts()
	if err != nil {
		return err
	}
	page, err := fill(string(text), parts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, pagePath), []byte(page), 0o644); err != nil {
		return err
	}
	svgs := f.curves()
	all, err := diagrams(page)
	if err != nil {
		return err
	}
	packages, err := os.ReadFile(filepath.Join(root, "docs/draw/package.json"))
	if err != nil {
		return err
	}
	var stale []diagram
	for _, d := range all {
		picture, err := os.ReadFile(filepath.Join(root, picturePath, d.name+".svg"))
		if err != nil || !strings.HasPrefix(string(picture), stamp(d.hash(packages))) {
			stale = append(stale, d)
		}
	}
	if len(stale) > 0 {
		drawn, err := draw(ctx, filepath.Join(root, "docs/draw"), stale)
		if err != nil {
			return err
		}
		for _, d := range stale {
			svgs[d.name] = stamp(d.hash(packages)) + drawn[d.name]
		}
	}
	for name, svg := range svgs {
		if err := os.WriteFile(filepath.Join(root, picturePath, name+".svg"), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}
