//go:build !nodev

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/glowup-app/clerksync/inngest"
)

const (
	// A Dev Server that is read from a cold disk takes some seconds.
	devServerTimeout = time.Minute
	versionTimeout   = 10 * time.Second
	killDelay        = 3 * time.Second
	pollInterval     = 50 * time.Millisecond
)

var errNoDevServer = errors.New("the Inngest Dev Server was not found: get it by `npm install -g inngest-cli`, or by `make inngest` in clerksync's " +
	"repository, or name its binary in INNGEST_CLI")

// findDevServer is the Dev Server's binary: INNGEST_CLI, or the first that runs of those on PATH and of what
// `make` built.
func findDevServer(ctx context.Context, environ []string) (string, error) {
	if named := environment(environ, "INNGEST_CLI"); named != "" {
		path, err := exec.LookPath(named)
		if err == nil {
			err = runs(ctx, path, environ)
		}
		if err != nil {
			return "", fmt.Errorf("INNGEST_CLI is %s, which does not run: %w", named, err)
		}
		return filepath.Abs(path)
	}
	var candidates []string
	for _, name := range []string{"inngest", "inngest-cli"} {
		for _, dir := range filepath.SplitList(environment(environ, "PATH")) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	candidates = append(candidates, filepath.Join("bin", "inngest"))
	if self, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(self), "inngest"))
	}
	for _, c := range candidates {
		// npm leaves a placeholder when its download was skipped.
		path, err := filepath.Abs(c)
		if err != nil {
			continue
		}
		if path, err = exec.LookPath(path); err == nil && runs(ctx, path, environ) == nil {
			return path, nil
		}
	}
	return "", errNoDevServer
}

func runs(ctx context.Context, path string, environ []string) error {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = devServerEnviron(environ)
	return cmd.Run()
}

// devServerEnviron leaves out what the Dev Server would take for its own settings, and secrets that are not its own.
func devServerEnviron(environ []string) []string {
	mine := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		return slices.ContainsFunc([]string{"INNGEST_", "CLERK_", "DATABASE_", "LOG_LEVEL=", "PORT="},
			func(prefix string) bool { return strings.HasPrefix(kv, prefix) })
	})
	return append(mine,
		"DO_NOT_TRACK=1", // no telemetry
		// As Inngest Cloud queues. Without it one user's event that waits for another one of that user holds up
		// all users' events for 5 s: user.created and user.updated in a row took 8 s.
		"EXPERIMENTAL_KEY_QUEUES_ENABLE=true")
}

const devServerLog = "inngest.log"

// runDevServer returns when ctx is done and the Dev Server has stopped, or with an error when it ended by itself.
func (d *dev) runDevServer(ctx context.Context) error {
	if err := makeStateDir(); err != nil {
		return err
	}
	log, err := os.OpenFile(statePath(devServerLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	others, err := spare(ctx, 3)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, d.cli, "dev", "--no-discovery", "--tick", "50", //nolint:gosec // the user's own program
		"--host", "127.0.0.1", "--port", strconv.Itoa(d.cliPort.number),
		"-u", "http://127.0.0.1:"+strconv.Itoa(d.serverPort.number)+inngest.Path,
		"--connect-gateway-port", others[0], "--connect-gateway-grpc-port", others[1], "--connect-executor-grpc-port", others[2])
	cmd.Env = devServerEnviron(d.app.environ)
	cmd.Stdout, cmd.Stderr = log, log
	d.cliPort.free()
	err = runChild(cmd)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("the Inngest Dev Server ended by itself: %w%s", err, devServerTail())
}

// runChild runs cmd until it ends or its context is done. No process of it is left then, nor when this process
// is killed (that only on Linux).
func runChild(cmd *exec.Cmd) error {
	ended := make(chan error)
	go func() {
		// Linux kills the child when the thread that started it ends, and Go ends threads as it likes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ownGroup(cmd)
		cmd.Cancel = func() error { return terminateGroup(cmd) }
		cmd.WaitDelay = killDelay
		err := cmd.Run()
		killGroup(cmd)
		ended <- err
	}()
	return <-ended
}

// devServerTail is the end of the Dev Server's output, for an error.
func devServerTail() string {
	const most = 15
	path := statePath(devServerLog)
	raw, err := os.ReadFile(path)
	raw = bytes.TrimSpace(raw)
	if err != nil || len(raw) == 0 {
		return ""
	}
	lines := strings.Split(string(raw), "\n")
	return fmt.Sprintf("; the end of %s:\n  %s", path, strings.Join(lines[max(0, len(lines)-most):], "\n  "))
}

// awaitDevServer waits until the Dev Server knows the functions. It also says whether it has its web UI.
func (d *dev) awaitDevServer(ctx context.Context) (hasUI bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, devServerTimeout)
	defer cancel()
	if err := await(ctx, func() error { return d.askDevServer(ctx) }); err != nil {
		return false, fmt.Errorf("the Inngest Dev Server was not ready after %s: %w%s", devServerTimeout, err, devServerTail())
	}
	page, err := read(ctx, d.cliURL())
	return bytes.Contains(bytes.ToLower(page), []byte("<html")), err
}

func (d *dev) askDevServer(ctx context.Context) error {
	raw, err := read(ctx, d.cliURL()+"/dev")
	if err != nil {
		return err
	}
	var info struct {
		Functions []struct {
			Slug string `json:"slug"`
		} `json:"functions"`
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("read its list of functions: %w", err)
	}
	known := map[string]bool{}
	for _, f := range info.Functions {
		known[f.Slug] = true
	}
	for _, id := range []string{inngest.SyncUser, inngest.UpdateUser, inngest.DeleteUser} {
		if !known[d.cfg.Inngest.AppID+"-"+id] {
			return fmt.Errorf("it does not know the function %s yet", id)
		}
	}
	return nil
}

// awaitServer waits for the database, too; where it is the user's own, for as long as it takes. The log says why.
func (d *dev) awaitServer(ctx context.Context) error {
	return await(ctx, func() error {
		_, err := read(ctx, d.serverURL()+"/readyz")
		return err
	})
}

// await asks until the answer is nil or ctx is done; then it returns the last answer.
func await(ctx context.Context, ask func() error) error {
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := ask()
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)), backoff.WithMaxElapsedTime(0))
	if err != nil && last != nil {
		return last
	}
	return err
}

// read gets a small page from this machine.
func read(ctx context.Context, url string) ([]byte, error) {
	const maxBytes = 1 << 20
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxBytes))
}
