//go:build !nodev && unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/glowup-app/clerksync/config"
)

// program writes a shell script that answers every call with that exit code.
func program(t *testing.T, path string, code string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit "+code+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestFindDevServer(t *testing.T) {
	for name, tt := range map[string]struct {
		programs map[string]string // by path below the working directory, the exit code
		environ  []string
		want     string
	}{
		"INNGEST_CLI goes first": {
			map[string]string{"mine": "0", "a/inngest": "0", "bin/inngest": "0"}, []string{"INNGEST_CLI=./mine"}, "mine",
		},
		"then inngest on PATH": {
			map[string]string{"a/inngest-cli": "0", "b/inngest": "0", "bin/inngest": "0"}, nil, "b/inngest",
		},
		"then inngest-cli on PATH": {
			map[string]string{"b/inngest-cli": "0", "bin/inngest": "0"}, nil, "b/inngest-cli",
		},
		"then bin/inngest": {
			map[string]string{"bin/inngest": "0"}, []string{"INNGEST_CLI="}, "bin/inngest",
		},
		"a placeholder of npm is passed over": {
			map[string]string{"a/inngest": "1", "bin/inngest": "0"}, nil, "bin/inngest",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			for path, code := range tt.programs {
				program(t, path, code)
			}
			environ := append([]string{"PATH=" + filepath.Join(dir, "a") + ":" + filepath.Join(dir, "b")}, tt.environ...)
			got, err := findDevServer(t.Context(), environ)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, tt.want); want != got {
				t.Errorf("Dev Server: want %s, got %s", want, got)
			}
		})
	}
}

func TestFindDevServerSaysHowToGetOne(t *testing.T) {
	t.Chdir(t.TempDir())
	program(t, "broken", "3")
	for name, tt := range map[string]struct {
		environ []string
		want    []string
	}{
		"there is none":                 {[]string{"PATH=" + t.TempDir()}, []string{"make inngest", "npm install -g inngest-cli", "INNGEST_CLI"}},
		"INNGEST_CLI is not there":      {[]string{"INNGEST_CLI=/nope"}, []string{"INNGEST_CLI is /nope"}},
		"INNGEST_CLI is something else": {[]string{"INNGEST_CLI=./broken"}, []string{"INNGEST_CLI is ./broken", "exit status 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := findDevServer(t.Context(), tt.environ)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error: want %q in it, got %v", want, err)
				}
			}
		})
	}
}

func TestDevServerHasAnEnvironmentOfItsOwn(t *testing.T) {
	t.Parallel()
	got := strings.Join(devServerEnviron([]string{"PATH=/bin", "INNGEST_SIGNING_KEY=x", "LOG_LEVEL=debug", "PORT=1", "HOME=/"}), " ")
	if want := "PATH=/bin HOME=/ DO_NOT_TRACK=1 "; !strings.HasPrefix(got, want) {
		t.Errorf("environment: want %s…, got %s", want, got)
	}
}

func TestAwaitDevServer(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]bool{"<!DOCTYPE html><HTML><body>": true, "": false} {
		asked := 0
		functions := []string{
			`null`, `[]`, `[{"slug":"my-app-sync-user-from-clerk"}]`,
			`[{"slug":"my-app-sync-user-from-clerk"},{"slug":"my-app-update-user-from-clerk"},{"slug":"my-app-delete-user-with-clerk"}]`,
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
		mux.HandleFunc("GET /dev", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"functions":`+functions[asked]+`}`)
			asked++
		})
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(u.Port())
		if err != nil {
			t.Fatal(err)
		}
		d := &dev{cliPort: &port{number: number}, cfg: config.Config{Inngest: config.Inngest{AppID: "my-app"}}}
		got, err := d.awaitDevServer(t.Context())
		if err != nil || want != got {
			t.Errorf("web UI at %q: want %t, got %t, %v", page, want, got, err)
		}
		if asked != len(functions) {
			t.Errorf("questions until all functions are known: want %d, got %d", len(functions), asked)
		}
	}
}
