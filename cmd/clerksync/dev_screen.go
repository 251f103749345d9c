//go:build !nodev

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// screen is standard output, written to line by line from many goroutines, in colours where it is a terminal.
type screen struct {
	mu      sync.Mutex
	w       io.Writer
	colours bool
}

func newScreen(w io.Writer, environ []string) *screen {
	return &screen{w: w, colours: wantsColours(w, environ)}
}

// Write writes whole lines.
func (s *screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(lines)
}

func (s *screen) println(line string) { _, _ = io.WriteString(s, line+"\n") }

// colour is an ANSI attribute.
type colour string

const (
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	blue   colour = "34"
	cyan   colour = "36"
)

func (s *screen) paint(c colour, text string) string {
	if !s.colours || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

func (s *screen) dim(text string) string { return s.paint(dim, text) }

// banner says what is where and what to try.
func (d *dev) banner(hasUI bool) string {
	ui := fmt.Sprintf("http://localhost:%d", d.cliPort.number)
	if !hasUI {
		ui += d.out.dim("  (this build has no web UI; that of `npm install -g inngest-cli` has)")
	}
	database := d.cfg.DatabaseURI.Reveal() + d.out.dim("  (for Compass or mongosh; files in "+statePath("db")+")")
	switch {
	case !d.ownDB:
		database = "that of DATABASE_URI"
	case d.ephemeral:
		database = d.cfg.DatabaseURI.Reveal() + d.out.dim("  (for Compass or mongosh; gone when this ends)")
	}
	secret := d.webhookSecret()
	if !d.ownSecret {
		secret = "that of CLERK_WEBHOOK_SECRET"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s  %s\n\n", d.out.paint(bold, "clerksync dev"), d.out.paint(green, "ready"))
	for _, row := range [][2]string{
		{"App", d.serverURL()},
		{"Webhooks", d.webhookURL()},
		{"Secret", secret},
		{"Inngest", ui},
		{"Database", database},
		{"Users", "collection " + d.cfg.UsersCollection + " of database " + d.cfg.DatabaseName},
	} {
		fmt.Fprintf(&b, "  %s %s\n", d.out.paint(cyan, fmt.Sprintf("%-9s", row[0])), row[1])
	}
	fmt.Fprintf(&b, "\n  In a second terminal:  %s\n  Ctrl-C stops everything.\n", d.out.paint(bold, d.app.called()+" trigger user.created"))
	return b.String()
}

// called is how the user called the program, to call it again.
func (a *app) called() string {
	if strings.Contains(filepath.ToSlash(a.name), "/go-build") {
		if _, err := os.Stat(filepath.Join("cmd", "clerksync", "main.go")); err == nil {
			return "go run ./cmd/clerksync"
		}
		return "clerksync"
	}
	return a.name
}
