package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/process"
)

// server is a program that can be started, as often as one likes.
type server struct {
	name  string
	argv  []string
	env   []string // but PORT
	ready string   // the path that answers 200 when all is there
}

// program is a process that was started here.
type program struct {
	name    string
	url     string
	cmd     *exec.Cmd
	end     context.CancelFunc
	stats   *process.Process
	started time.Duration // from its start to its first answer
}

// prepare makes a process that runs argv in dir, where no .env is, with env and nothing else in its environment. It ends with the
// context, by SIGTERM.
func prepare(ctx context.Context, dir, name string, env []string, argv ...string) (*program, error) {
	p := &program{name: name}
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, p.end = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 15 * time.Second
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, env...), log
	return p, nil
}

// start starts a server and waits until it answers, and until it is ready.
func (s server) start(ctx context.Context, dir string) (*program, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := prepare(ctx, dir, s.name, append(slices.Clone(s.env), "PORT="+port), s.argv...)
	if err != nil {
		return nil, err
	}
	p.url = "http://127.0.0.1:" + port
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	for _, path := range []string{"/", s.ready} {
		for !answers(ctx, p.url+path) {
			if ctx.Err() != nil || time.Since(begin) > 20*time.Second {
				p.stop()
				return nil, fmt.Errorf("%s does not answer: see %s", p.name, p.cmd.Dir)
			}
			time.Sleep(time.Millisecond)
		}
		if p.started == 0 {
			p.started = time.Since(begin)
		}
	}
	p.stats, err = process.NewProcess(int32(p.cmd.Process.Pid))
	return p, err
}

// stop ends a program and waits for it.
func (p *program) stop() {
	p.end()
	_ = p.cmd.Wait() // it says that a signal ended it
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// say starts a program that prints one line and runs until its stdin ends.
func (p *program) say() (string, error) {
	if _, err := p.cmd.StdinPipe(); err != nil {
		return "", err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("start %s: %w: see %s", p.name, err, p.cmd.Dir)
	}
	p.stats, err = process.NewProcess(int32(p.cmd.Process.Pid))
	return strings.TrimSpace(line), err
}

// cpu is the processor time that the process has used.
func (p *program) cpu() float64 {
	t, err := p.stats.Times()
	if err != nil {
		return 0
	}
	return t.User + t.System
}

func (p *program) resident() uint64 {
	m, err := p.stats.MemoryInfo()
	if err != nil {
		return 0
	}
	return m.RSS
}

// busy is the processor time that the whole machine has used.
func busy() float64 {
	t, err := cpu.Times(false)
	if err != nil || len(t) == 0 {
		return 0
	}
	return t[0].User + t[0].Nice + t[0].System + t[0].Irq + t[0].Softirq + t[0].Steal
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
