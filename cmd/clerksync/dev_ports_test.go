//go:build !nodev && unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// occupy listens on a free port of that host.
func occupy(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("listen on %s: %s", host, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestDevNamesAllThatIsMissingBeforeItStarts(t *testing.T) {
	ports := []int{occupy(t, "127.0.0.1"), occupy(t, ""), occupy(t, "127.0.0.1")}
	lines := []string{
		fmt.Sprintf("port %d (the server, --port) is taken", ports[0]),
		fmt.Sprintf("port %d (the Inngest Dev Server, --inngest-port) is taken", ports[1]),
		fmt.Sprintf("port %d (the database, --db-port) is taken", ports[2]),
	}
	args := []string{"dev", "--inngest-port", strconv.Itoa(ports[1]), "--db-port", strconv.Itoa(ports[2])}
	t.Chdir(t.TempDir())
	program(t, "inngest", "0")
	cli, err := filepath.Abs("inngest")
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"PORT=" + strconv.Itoa(ports[0]), "INNGEST_CLI=" + cli}

	call(t, environ, "", args...).want(t, 1, lines...)
	call(t, environ, "", append(args, "--port", strconv.Itoa(ports[2]))...).want(t, 1, strings.ReplaceAll(lines[0], strconv.Itoa(ports[0]), strconv.Itoa(ports[2])))
	call(t, append(environ, "INNGEST_CLI=/nope"), "", args...).want(t, 1, append(lines, "INNGEST_CLI is /nope")...)

	o := call(t, append(environ, "DATABASE_URI=mongodb://127.0.0.1:1/x"), "", args...)
	o.want(t, 1, lines[:2]...)
	if strings.Contains(o.stderr, lines[2]) {
		t.Errorf("with DATABASE_URI: want nothing about the database's port, got %s", o.stderr)
	}
	if _, err := os.Stat(stateDir); err == nil {
		t.Errorf("want nothing started, but there is %s", stateDir)
	}
}

func TestTakePorts(t *testing.T) {
	t.Parallel()
	one := &port{what: "one", flag: "--one"}
	if err := takePorts(t.Context(), []*port{one}); err != nil || one.number == 0 {
		t.Fatalf("any free port: want one, got %d, %v", one.number, err)
	}
	defer one.free()
	if err := takePorts(t.Context(), []*port{{number: one.number, what: "two", flag: "--two"}}); err == nil {
		t.Error("the same port for two: want an error, got none")
	}
	if err := takePorts(t.Context(), []*port{{number: 70000, what: "two", flag: "--two"}}); err == nil || !strings.Contains(err.Error(), "port 70000 (two, --two)") {
		t.Errorf("port 70000: want an error that names it, got %v", err)
	}
	// Where localhost is ::1 first, requests to it would go to the other program.
	if addrs, err := net.LookupHost("localhost"); err == nil && strings.Contains(strings.Join(addrs, " "), "::1") {
		if err := takePorts(t.Context(), []*port{{number: occupy(t, "::1"), what: "three", flag: "--three"}}); err == nil {
			t.Error("a port that is taken on ::1: want an error, got none")
		}
	}
}
