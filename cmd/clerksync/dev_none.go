//go:build nodev

package main

import "github.com/urfave/cli/v3"

// devCommands are none: see commands.
func (a *app) devCommands() []*cli.Command { return nil }
