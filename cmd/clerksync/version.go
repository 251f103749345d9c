package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// Set by the release build, -ldflags "-X main.version=v1.2.3": the image is built without the checkout that Go
// reads them from.
var version, commit string

// build is what this binary was made of.
type build struct {
	version string
	commit  string // "+changes" when the work tree was not clean
	goos    string
}

func readBuild() build {
	b := build{version: version, commit: cmp.Or(commit, "unknown"), goos: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.version == "" {
		b.version = info.Main.Version // the module's, when it was installed by version; else "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			b.commit += "+changes" // Go lists it after the revision
		}
	}
	return b
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:   "version",
		Usage:  "print version, commit and Go version",
		Before: noArgs,
		Action: func(context.Context, *cli.Command) error {
			b := readBuild()
			_, err := fmt.Fprintf(a.stdout, "clerksync %s\ncommit    %s\n%s %s\n", b.version, b.commit, runtime.Version(), b.goos)
			return err
		},
	}
}
