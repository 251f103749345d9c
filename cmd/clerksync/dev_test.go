//go:build !nodev && unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// patience bounds each wait for another process, on a busy machine too.
const patience = 30 * time.Second

// running is a `clerksync dev` in a process of its own.
type running struct {
	cmd    *exec.Cmd
	dir    string
	env    []string
	stderr bytes.Buffer

	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed at the next line
	ended   chan struct{}
	err     error
}

// startDev runs dev on free ports in dir, with the Dev Server that dev itself would find from the repository.
func startDev(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join("..", "..", "bin")) // where `make` puts it
	if err != nil {
		t.Fatal(err)
	}
	cli, err := findDevServer(t.Context(), append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+bin))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &running{
		dir: dir,
		env: []string{
			asProgram + "=1", "INNGEST_CLI=" + cli, "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + t.TempDir(),
			"GORACE=atexit_sleep_ms=0", // else each process waits for a second at its end
		},
		changed: make(chan struct{}),
		ended:   make(chan struct{}),
	}
	p.cmd = exec.CommandContext(t.Context(), self, append([]string{"dev", "--port", "0", "--inngest-port", "0", "--db-port", "0"}, args...)...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, p.env, &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("output of dev\n%s\n%s", strings.Join(p.lines, "\n"), p.stderr.String())
		}
	})
	p.await(t, `Ctrl-C stops everything`)
	return p
}

// await waits for a line that matches, and returns its submatches.
func (p *running) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		lines, changed := p.lines, p.changed
		p.mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l); m != nil {
				return m
			}
		}
		select {
		case <-changed:
		case <-p.ended:
			t.Fatalf("dev ended while a line %s was awaited: %v", pattern, p.err)
		case <-timeout:
			t.Fatalf("no line %s within %s", pattern, patience)
		}
	}
}

// wait waits for the end and returns the exit code; -1: killed.
func (p *running) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("dev did not end within %s", patience)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks dev to end, and returns how long it took.
func (p *running) stop(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code after SIGTERM: want 0, got %d", code)
	}
	return time.Since(start)
}

// trigger runs the command in the directory of dev, with no configuration, and returns the user's id.
func (p *running) trigger(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.cmd.Path, append([]string{"trigger"}, args...)...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte("200  ")) {
		t.Fatalf("trigger %v: want 200, got %v: %s", args, err, out)
	}
	return string(regexp.MustCompile(`user_\w+`).Find(out))
}

// devServer is the process id of the Dev Server on dev's port, or 0. It reads Linux's /proc.
func (p *running) devServer(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes are found by /proc")
	}
	number := p.await(t, `Inngest +http://localhost:(\d+)`)[1]
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range dirs {
		args, err := os.ReadFile(path) // it may have ended by now
		if err == nil && bytes.Contains(args, []byte("\x00--port\x00"+number+"\x00")) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

func (p *running) awaitNoDevServer(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := await(ctx, func() error {
		if pid := p.devServer(t); pid != 0 {
			return errors.New("the Dev Server lives on as process " + strconv.Itoa(pid))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// users is the collection in dev's database. Its client stays connected until the end of the test.
func (p *running) users(t *testing.T) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(p.await(t, `Database +(mongodb://127\.0\.0\.1:\d+/glowup)`)[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Database("glowup").Collection("users")
}

func find(t *testing.T, users *mongo.Collection, id string) (doc bson.M, err error) {
	t.Helper()
	err = users.FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Decode(&doc)
	delete(doc, "sync")
	return doc, err
}

func TestDev(t *testing.T) {
	t.Parallel()
	p := startDev(t, t.TempDir())
	for _, line := range []string{
		`App +http://localhost:\d+$`,
		`Webhooks +http://localhost:\d+/api/webhooks/clerk$`,
		`Secret +whsec_[A-Za-z0-9+/]{32}$`,
		`Inngest +http://localhost:\d+`,
		`Database +mongodb://127\.0\.0\.1:\d+/glowup  \(for Compass or mongosh; files in \.clerksync/db\)$`,
		`trigger user\.created$`,
	} {
		p.await(t, line)
	}
	users := p.users(t)

	id := p.trigger(t, "user.created", "--email", "ann@example.com", "--set", `first_name="Ann"`, "--set", "last_name=null",
		"--set", "username=null", "--set", `image_url="https://img.clerk.com/a"`)
	for _, step := range []string{"received", "handed over", "created"} {
		p.await(t, `^\d\d:\d\d:\d\d  `+step+` +user\.created  `+id)
	}
	got, err := find(t, users, id)
	if err != nil {
		t.Fatal(err)
	}
	want := bson.M{
		"_id": id, "email": "ann@example.com", "first_name": "Ann", "full_name": "Ann",
		"profile_picture": "https://img.clerk.com/a", "username": "ann",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("document (-want +got)\n%s", d)
	}
	p.trigger(t, "user.updated", "--set", `last_name="Lee"`, "--set", `first_name="Ann"`)
	p.await(t, `  updated +user\.updated  `+id)
	if got, err := find(t, users, id); err != nil || got["full_name"] != "Ann Lee" {
		t.Errorf("document after user.updated: want Ann Lee, got %v, %v", got, err)
	}
	p.trigger(t, "user.deleted")
	p.await(t, `  deleted +user\.deleted  `+id)
	if got, err := find(t, users, id); !errors.Is(err, mongo.ErrNoDocuments) {
		t.Errorf("document after user.deleted: want none, got %v, %v", got, err)
	}

	// The Mongo client above is still connected, and the database gives it 3 s to leave.
	if took := p.stop(t); took > 10*time.Second {
		t.Errorf("time to stop: want a few seconds, got %s", took)
	}
	if _, err := os.Stat(filepath.Join(p.dir, statePath(devStateFile))); err == nil {
		t.Errorf("%s: want none after the end", devStateFile)
	}
	if s := p.stderr.String(); s != "" {
		t.Errorf("stderr: want nothing, got %s", s)
	}
	if pid := p.devServer(t); pid != 0 {
		t.Errorf("the Dev Server lives on as process %d", pid)
	}
}

func TestDevKeepsItsSecretAndItsDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startDev(t, dir)
	secret := p.await(t, `Secret +(whsec_\S+)`)[1]
	id := p.trigger(t, "user.created")
	p.await(t, "  created +user.created  "+id)
	p.stop(t)

	p = startDev(t, dir)
	if got := p.await(t, `Secret +(whsec_\S+)`)[1]; secret != got {
		t.Errorf("secret after a restart: want %s, got %s", secret, got)
	}
	if _, err := find(t, p.users(t), id); err != nil {
		t.Errorf("document after a restart: want the one of before, got %v", err)
	}
}

func TestDevThatIsKilledLeavesNoProcess(t *testing.T) {
	t.Parallel()
	p := startDev(t, t.TempDir(), "--ephemeral")
	if pid := p.devServer(t); pid == 0 {
		t.Fatal("no Dev Server found while dev runs")
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	p.awaitNoDevServer(t)
}

func TestDevEndsWhenTheDevServerDoes(t *testing.T) {
	t.Parallel()
	p := startDev(t, t.TempDir(), "--ephemeral")
	if err := syscall.Kill(p.devServer(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 1 {
		t.Errorf("exit code: want 1, got %d", code)
	}
	for _, want := range []string{"the Inngest Dev Server ended by itself", "signal: killed", "the end of .clerksync/inngest.log:", "starting server"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("stderr: want %q in it, got %s", want, p.stderr.String())
		}
	}
}
