//go:build !nodev && unix && !linux

package main

import "syscall"

// dieWithParent has no counterpart here: a dev that is killed leaves the Dev Server, and the next one says that
// its port is taken.
func dieWithParent(*syscall.SysProcAttr) {}
