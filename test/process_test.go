package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// deadline is how long a test waits for anything: far more than it takes, since machines are slow at times, and slower with the
// larger numbers of make soak.
var deadline = time.Duration(scaled(1)) * time.Minute

// waitFor asks again and again until ok says yes; what names the condition in the failure.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waitUpTo(t, deadline, what, ok)
}

// waitUpTo is waitFor for what takes long.
func waitUpTo(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", most, what)
		}
	}
}

// freePort is a port that nobody listens on just now. It is none of those that the system hands out for outgoing
// connections, one of which could take it before its program does.
func freePort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	for {
		port := strconv.Itoa(15000 + rand.IntN(15000))
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:"+port)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return port
	}
}

// process is a running program. Its output goes to the test's; JSON lines are kept for wait.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended, with exitCode set

	mu       sync.Mutex
	lines    []line
	text     strings.Builder
	exitCode int
}

// line is a line of JSON log.
type line map[string]any

func (l line) str(key string) string {
	s, _ := l[key].(string)
	return s
}

// start runs a program with that environment alone. It is killed at the end of the test, unless it has ended.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), name, args...), done: make(chan struct{})}
	p.cmd.Dir = t.TempDir() // no .env of ours
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.cmd.Dir, "DO_NOT_TRACK=1"}, env...)
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(r)
	}()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		var exit *exec.ExitError
		if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
			p.print("wait: " + err.Error())
		}
		w.Close()
		<-read
		p.mu.Lock()
		defer p.mu.Unlock()
		p.exitCode = p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.kill()
		if strings.Contains(p.output(), "WARNING: DATA RACE") {
			t.Error("data race in the program, see its output")
		}
	})
	return p
}

func (p *process) read(r io.Reader) {
	lines := bufio.NewReader(r) // a Scanner stops at a line that is too long, and the program would block
	for {
		text, err := lines.ReadString('\n')
		var l line
		_ = json.Unmarshal([]byte(text), &l) // text has no keys
		p.mu.Lock()
		if l != nil {
			p.lines = append(p.lines, l)
		}
		p.text.WriteString(text)
		p.mu.Unlock()
		if text != "" && os.Getenv("TEST_OUTPUT") != "" {
			p.print(strings.TrimSuffix(text, "\n"))
		}
		if err != nil {
			return
		}
	}
}

func (p *process) print(text string) {
	_, _ = io.WriteString(p.t.Output(), text+"\n")
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// find is the first logged line that matches, or nil.
func (p *process) find(match func(line) bool) line {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if match(l) {
			return l
		}
	}
	return nil
}

// since passes the logged lines from the nth on to do, and returns how many there are.
func (p *process) since(n int, do func(line)) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines[n:] {
		do(l)
	}
	return len(p.lines)
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// wait is the exit code of a program that ends by itself.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(deadline):
		p.t.Fatalf("%s has not ended:\n%s", p.cmd.Path, p.output())
	}
	return p.exitCode
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-p.done
}

// listens waits until the program answers GET url with status.
func (p *process) listens(url string, status int) {
	p.t.Helper()
	waitFor(p.t, url, func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("%s has ended with %d:\n%s", p.cmd.Path, p.exitCode, p.output())
		default:
		}
		got, _ := get(p.t, url)
		return got == status
	})
}

// get is the status and the body of url, or 0 where nobody answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
}

var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}
