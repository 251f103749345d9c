package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/joho/godotenv"
)

// DotEnv is the file that is read beside the environment, in the working directory.
const DotEnv = ".env"

// Role is a part of the work, which needs variables of its own.
type Role uint

const (
	// Bridge takes webhooks and hands them to Inngest.
	Bridge Role = 1 << iota
	// Functions write users.
	Functions

	// NoRole requires nothing, for commands that make up what is missing, or ask for less.
	NoRole Role = 0
)

// Load reads the configuration of a program with those roles. environ is os.Environ's; dotenv is the path of a file of more
// variables, which need not exist and never overrides environ. Every fault is in the one [*Error].
func Load(environ []string, dotenv string, roles Role) (Config, error) {
	file, err := readDotEnv(dotenv)
	if err != nil {
		return Config{}, err
	}
	process := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		process[k] = v
	}
	var c Config
	var faults []Fault
	for _, variable := range Variables() {
		name, value := lookup(variable, process, file)
		required := variable.required != nil && variable.required(&c, roles)
		switch {
		case value == "" && required:
			faults = append(faults, Fault{Variable: variable.Name, Missing: true, Want: variable.Want})
			continue
		case value == "":
			if value = variable.Default; value == "" {
				continue
			}
		}
		if !variable.set(&c, value) {
			faults = append(faults, Fault{Variable: name, Want: variable.Want})
		}
	}
	if len(faults) > 0 {
		return Config{}, &Error{Faults: faults}
	}
	return c, nil
}

// lookup finds a variable by any of its names, and says by which; an empty one counts as not set. The
// environment wins: a name that it holds, be it empty, is not looked up in the file.
func lookup(v Variable, process, file map[string]string) (name, value string) {
	names := append([]string{v.Name}, v.Aliases...)
	for _, name := range names {
		if value := strings.TrimSpace(process[name]); value != "" {
			return name, value
		}
	}
	for _, name := range names {
		if _, ok := process[name]; ok {
			continue
		}
		if value := strings.TrimSpace(file[name]); value != "" {
			return name, value
		}
	}
	return v.Name, ""
}

func readDotEnv(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	vars, err := godotenv.Parse(f)
	if err != nil {
		// godotenv's own text quotes the line, which may hold a secret.
		return nil, fmt.Errorf("read %s: it is not lines of NAME=value", path)
	}
	return vars, nil
}
