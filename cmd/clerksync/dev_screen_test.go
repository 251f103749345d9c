//go:build !nodev

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/config"
)

func TestBanner(t *testing.T) {
	t.Parallel()
	d := &dev{
		app:        &app{name: "bin/clerksync"},
		cfg:        config.Config{DatabaseURI: "mongodb://127.0.0.1:27017/glowup", DatabaseName: "glowup", UsersCollection: "users", WebhookSecrets: []config.Secret{testSecret}},
		ownDB:      true,
		ownSecret:  true,
		serverPort: &port{number: 3000},
		cliPort:    &port{number: 8288},
		out:        newScreen(io.Discard, nil),
	}
	want := `
  clerksync dev  ready

  App       http://localhost:3000
  Webhooks  http://localhost:3000/api/webhooks/clerk
  Secret    ` + testSecret + `
  Inngest   http://localhost:8288
  Database  mongodb://127.0.0.1:27017/glowup  (for Compass or mongosh; files in .clerksync/db)
  Users     collection users of database glowup

  In a second terminal:  bin/clerksync trigger user.created
  Ctrl-C stops everything.
`
	if d := cmp.Diff(want, d.banner(true)); d != "" {
		t.Errorf("banner (-want +got)\n%s", d)
	}
	if got := d.banner(false); !strings.Contains(got, "http://localhost:8288  (this build has no web UI") {
		t.Errorf("banner without UI: want it to say so, got %s", got)
	}
	d.ephemeral = true
	if got := d.banner(true); !strings.Contains(got, "gone when this ends") {
		t.Errorf("banner with --ephemeral: want it to say so, got %s", got)
	}
	// What the user configured can be the secrets of a real system, and the terminal be shared.
	d.ownDB, d.ownSecret, d.cfg.DatabaseURI = false, false, "mongodb://ann:hunter2@db.example.com/glowup"
	got := d.banner(true)
	for _, secret := range []string{testSecret, "hunter2"} {
		if strings.Contains(got, secret) {
			t.Errorf("banner: want nothing of what is configured, got %s", got)
		}
	}
}

func TestCalled(t *testing.T) {
	a := &app{name: "/tmp/go-build123/b001/exe/clerksync"}
	t.Chdir(t.TempDir())
	if got := a.called(); got != "clerksync" {
		t.Errorf("go run of a module: want clerksync, got %s", got)
	}
	main := filepath.Join("cmd", "clerksync", "main.go")
	if err := os.MkdirAll(filepath.Dir(main), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(main, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.called(); got != "go run ./cmd/clerksync" {
		t.Errorf("go run in the repository: want go run ./cmd/clerksync, got %s", got)
	}
	a.name = "bin/clerksync"
	if got := a.called(); got != "bin/clerksync" {
		t.Errorf("a binary: want its name, got %s", got)
	}
}

func TestScreenColours(t *testing.T) {
	t.Parallel()
	if s := newScreen(io.Discard, []string{"TERM=xterm"}); s.colours {
		t.Error("not a terminal: want no colours")
	}
}
