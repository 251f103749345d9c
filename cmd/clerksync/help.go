package main

import (
	"fmt"
	"strings"

	"github.com/glowup-app/clerksync/config"
)

// variablesHelp is the table of environment variables for --help.
func variablesHelp() string {
	var b strings.Builder
	b.WriteString("Environment variables:\n")
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "\n  %s", strings.Join(append([]string{v.Name}, v.Aliases...), ", "))
		if v.Default != "" {
			fmt.Fprintf(&b, " (default %s)", v.Default)
		}
		fmt.Fprintf(&b, "\n      %s", v.Meaning)
	}
	return b.String()
}
