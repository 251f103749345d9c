package main

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// renderer is the page in which Mermaid draws.
//
//go:embed renderer.html
var renderer string

const mermaidScript = "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"

// browsers are the names of Chromium, the first that is there counts.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "chrome"}

var errNeeds = errors.New("a Mermaid diagram was changed, and drawing it needs npm and Chromium: on Debian, apt install npm chromium fonts-liberation")

// drawTimeout is for a slow machine; all diagrams together take seconds.
const drawTimeout = 2 * time.Minute

// draw makes the pictures of diagrams by Mermaid itself, in a browser without a window. It gets Mermaid from npm first.
func draw(ctx context.Context, tool string, all []diagram) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, drawTimeout)
	defer cancel()
	browser := ""
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if _, err := exec.LookPath("npm"); err != nil || browser == "" {
		return nil, errNeeds
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = tool
	if out, err := npm.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "clerksync-docs-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	script, err := os.ReadFile(filepath.Join(tool, mermaidScript))
	if err != nil {
		return nil, err
	}
	list := make([]map[string]string, len(all))
	for i, d := range all {
		list[i] = map[string]string{"name": d.name, "source": d.source}
	}
	sources, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	page := filepath.Join(dir, "page.html")
	for path, text := range map[string][]byte{
		filepath.Join(dir, "mermaid.js"): script, filepath.Join(dir, "diagrams.js"): fmt.Appendf(nil, "const diagrams = %s;\n", sources), page: []byte(renderer),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
	}
	args := []string{"--headless", "--disable-gpu", "--user-data-dir=" + filepath.Join(dir, "profile"), "--virtual-time-budget=100000", "--dump-dom", "file://" + page}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // which Chromium refuses to root
	}
	out, err := exec.CommandContext(ctx, browser, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(browser), err)
	}
	return pictures(string(out), all)
}

var decimals = regexp.MustCompile(`(\.\d\d)\d+`)

// pictures reads what the renderer has left in its page.
func pictures(dom string, all []diagram) (map[string]string, error) {
	if m := regexp.MustCompile(`(?s)<div id="fault">(.*?)</div>`).FindStringSubmatch(dom); m != nil {
		return nil, fmt.Errorf("mermaid: %s", html.UnescapeString(m[1]))
	}
	svgs := map[string]string{}
	for _, d := range all {
		m := regexp.MustCompile(`<pre id="svg-` + d.name + `">([^<]*)</pre>`).FindStringSubmatch(dom)
		if m == nil {
			return nil, fmt.Errorf("the browser has not drawn %s in time", d.name)
		}
		svg, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			return nil, fmt.Errorf("picture of %s: %w", d.name, err)
		}
		svgs[d.name] = decimals.ReplaceAllString(string(svg), "$1") + "\n" // a hundredth of a pixel is exact enough
	}
	return svgs, nil
}
