package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/glowup-app/clerksync/config"
)

// variablesHelp is the table of environment variables for --help of a program with those roles.
func variablesHelp(roles config.Role) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Requires, in cloud mode: %s.\n\nEnvironment variables:\n", strings.Join(required(roles), ", "))
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "\n  %s", strings.Join(append([]string{v.Name}, v.Aliases...), ", "))
		if v.Default != "" {
			fmt.Fprintf(&b, " (default %s)", v.Default)
		}
		fmt.Fprintf(&b, "\n      %s", v.Meaning)
	}
	return b.String()
}

func required(roles config.Role) (names []string) {
	_, err := config.Load(nil, "", roles)
	if bad, ok := errors.AsType[*config.Error](err); ok {
		for _, f := range bad.Faults {
			names = append(names, f.Variable)
		}
	}
	return names
}
