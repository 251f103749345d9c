package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// reportJSON is the report for programs.
type reportJSON struct {
	OK      bool     `json:"ok"` // nothing failed
	Version string   `json:"version"`
	Checks  []result `json:"checks"`
}

// report prints the results; its error is the exit code.
func (a *app) report(results []result, asJSON bool) error {
	count := map[state]int{}
	for _, r := range results {
		count[r.State]++
	}
	var err error
	if asJSON {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		err = out.Encode(reportJSON{OK: count[fail] == 0, Version: readBuild().version, Checks: results})
	} else {
		_, err = fmt.Fprint(a.stdout, a.table(results), fmt.Sprintf("\n%d passed, %d failed, %d skipped\n", count[pass], count[fail], count[skip]))
	}
	if err == nil && count[fail] > 0 {
		err = &exitError{code: 1}
	}
	return err
}

// table has a line for each result, and a remedy's below it.
func (a *app) table(results []result) string {
	width := 0
	for _, r := range results {
		width = max(width, len(r.Name))
	}
	colours := wantsColours(a.stdout, a.environ)
	var b strings.Builder
	for _, r := range results {
		word, ansi := "pass", "32"
		switch r.State {
		case fail:
			word, ansi = "FAIL", "31"
		case skip:
			word, ansi = "skip", "2"
		}
		if colours {
			word = "\x1b[" + ansi + "m" + word + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-*s  %s\n", word, width, r.Name, r.Detail)
		if r.Remedy != "" {
			fmt.Fprintf(&b, "      %*s  → %s\n", width, "", r.Remedy)
		}
	}
	return b.String()
}
