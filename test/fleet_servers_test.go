//go:build fleet && unix

package test

import (
	wire "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fleet is replicas of the program behind a proxy, and what deploy/compose.yaml puts beside them, each a real server of this
// test's: Inngest on PostgreSQL and Redis, Caddy with deploy/Caddyfile. Docker's DNS, by whose one name Inngest finds all replicas,
// is a second site of Caddy's. Make them by newFleet.
type fleet struct {
	*world
	program  string
	inside   string // where Inngest finds the functions
	replicas []*replica
}

type replica struct {
	*process
	url string
}

const (
	fleetEventKey   = "0e1d2c3b4a59687706f5e4d3c2b1a098"
	fleetSigningKey = "00112233445566778899aabbccddeeff"
	fleetPassword   = "7d7f1c55f0cb4d11"
)

// newFleet returns when a webhook would pass.
func newFleet(t *testing.T, n int, program string, env ...string) *fleet {
	t.Helper()
	needInngest(t)
	f := &fleet{world: &world{t: t}, program: program}
	f.devURL = "http://127.0.0.1:" + freePort(t)
	f.appURL = "http://127.0.0.1:" + freePort(t)
	f.inside = "http://127.0.0.1:" + freePort(t)
	if uri := os.Getenv("TEST_DATABASE_URI"); uri != "" {
		f.startDatabase("127.0.0.1:0")
	} else {
		f.dbURI = "mongodb://" + oneAtATime(t, newDatabase(t, unlimited).addr) + "/glowup"
	}
	f.connect()
	f.env = append(env, "CLERK_WEBHOOK_SECRET="+secret, "DATABASE_URI="+f.dbURI, "INNGEST_BASE_URL="+f.devURL,
		"INNGEST_API_KEY="+fleetEventKey, "INNGEST_SIGNING_KEY="+fleetSigningKey, "PUBLIC_URL="+f.inside)
	for range n {
		f.replicas = append(f.replicas, &replica{url: "http://127.0.0.1:" + freePort(t)})
	}
	f.startProxy()
	for _, r := range f.replicas {
		f.startReplica(r)
	}
	f.startQueue()
	f.awaitRunner()
	return f
}

// awaitRunner waits until an event has been worked on. Inngest (v1.43) takes events, and answers 200, before the part of it that
// starts runs listens; those are lost.
func (f *fleet) awaitRunner() {
	f.t.Helper()
	var id string
	var sent time.Time
	waitFor(f.t, "the first run", func() bool {
		if time.Since(sent) > time.Second {
			id, sent = f.send("user.deleted", map[string]any{"id": newID("user"), "deleted": true}), time.Now()
		}
		return slices.ContainsFunc(f.apps, func(app *process) bool {
			return app.find(func(l line) bool { return l.str("event_id") == id && l.str("function") != "" }) != nil
		})
	})
}

func (f *fleet) startReplica(r *replica) {
	f.t.Helper()
	port := r.url[strings.LastIndexByte(r.url, ':')+1:]
	r.process = start(f.t, append([]string{"PORT=" + port}, f.env...), f.program, "serve")
	f.apps = append(f.apps, r.process) // whose logs the stream reads
	r.listens(r.url+"/readyz", http.StatusOK)
}

// startProxy runs deploy/Caddyfile as it is.
func (f *fleet) startProxy() {
	f.t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		f.t.Fatal(err)
	}
	dir := f.t.TempDir()
	to := "to"
	for _, r := range f.replicas {
		to += " " + strings.TrimPrefix(r.url, "http://")
	}
	inside := strings.Replace(f.inside, "127.0.0.1", "", 1) // for any host: Inngest says localhost
	config := fmt.Sprintf("import %s/deploy/Caddyfile\n%s {\n\treverse_proxy {\n\t\timport %s/replicas\n\t\tlb_policy round_robin\n\t\tlb_try_duration 5s\n\t}\n}\n",
		root, inside, dir)
	for name, text := range map[string]string{"replicas": to + "\n", "Caddyfile": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	caddy := start(f.t, []string{"SITE_ADDRESS=" + f.appURL, "REPLICAS=" + dir + "/replicas"}, root+"/bin/caddy", "run", "--adapter", "caddyfile", "--config", dir+"/Caddyfile")
	caddy.listens(f.appURL+"/readyz", http.StatusNotFound) // it is not let through
}

// startQueue starts Inngest with the environment of deploy/compose.yaml, and waits until it has the functions. Only how often it
// looks into its queue and tries again is quicker here.
func (f *fleet) startQueue() {
	f.t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(f.devURL, "http://"), ":")
	f.dev = start(f.t, []string{
		"EXPERIMENTAL_KEY_QUEUES_ENABLE=true", "INNGEST_SDK_URL=" + f.inside + "/api/inngest", "INNGEST_EVENT_KEY=" + fleetEventKey,
		"INNGEST_SIGNING_KEY=" + fleetSigningKey, "INNGEST_POSTGRES_URI=" + startPostgres(f.t), "INNGEST_REDIS_URI=" + startRedis(f.t),
	}, inngest, "start", "--tick", "50", "--retry-interval", "1", "--host", "127.0.0.1", "--port", port,
		"--connect-gateway-port", freePort(f.t), "--connect-gateway-grpc-port", freePort(f.t), "--connect-executor-grpc-port", freePort(f.t))
	f.dev.listens(f.devURL+"/health", http.StatusOK)
	f.awaitFunctions()
}

// startPostgres returns the URI of a new server, which does not run as root.
func startPostgres(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Fatalf("no PostgreSQL: make test-fleet installs it (%v)", err)
	}
	bin := filepath.Dir(found[len(found)-1])
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(fleetPassword), 0o644); err != nil { // read by another user
		t.Fatal(err)
	}
	as := func(name string, args ...string) []string { return append([]string{name}, args...) }
	if os.Geteuid() == 0 {
		as = func(name string, args ...string) []string {
			return append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", name}, args...)
		}
		for _, path := range []string{filepath.Dir(dir), dir} {
			if err := os.Chmod(path, 0o755); err != nil { // so that it gets to its files
				t.Fatal(err)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v\n%s", err, out)
		}
	}
	data := filepath.Join(dir, "data")
	initdb := as(bin+"/initdb", "-D", data, "-U", "inngest", "--auth=scram-sha-256", "--pwfile="+password)
	cmd := exec.CommandContext(t.Context(), initdb[0], initdb[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	run := as(bin+"/postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	p := start(t, nil, run[0], run[1:]...)
	t.Cleanup(func() { // before it is killed, so that it takes its children and its shared memory away
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.done
	})
	awaitPort(t, p, port)
	return "postgres://inngest:" + fleetPassword + "@127.0.0.1:" + port + "/postgres?sslmode=disable"
}

// startRedis has the settings of deploy/compose.yaml.
func startRedis(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	p := start(t, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--requirepass", fleetPassword,
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	awaitPort(t, p, port)
	return "redis://:" + fleetPassword + "@127.0.0.1:" + port
}

func awaitPort(t *testing.T, p *process, port string) {
	t.Helper()
	waitFor(t, p.cmd.Path, func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s has ended with %d:\n%s", p.cmd.Path, p.exitCode, p.output())
		default:
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// oneAtATime passes the wire protocol on to the embedded database, a command at a time. MongoDB makes each update of a document
// atomic, FerretDB 1 does not; within one clerksync its writes take turns, and here are several.
func oneAtATime(t *testing.T, database string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var turn sync.Mutex
	var conns sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	serve := func(from net.Conn) {
		defer from.Close()
		var dialer net.Dialer
		to, err := dialer.DialContext(t.Context(), "tcp", database)
		if err != nil {
			return // the test is over
		}
		defer to.Close()
		for {
			command, err := readMessage(from)
			if err != nil {
				return
			}
			turn.Lock()
			_, err = to.Write(command)
			var answer []byte
			if err == nil {
				answer, err = readMessage(to)
			}
			turn.Unlock()
			if err != nil {
				return
			}
			if _, err := from.Write(answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serve(conn) })
		}
	}()
	return l.Addr().String()
}

// readMessage reads one of the wire protocol's, which begins with its length.
func readMessage(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	message := make([]byte, wire.LittleEndian.Uint32(head[:]))
	copy(message, head[:])
	_, err := io.ReadFull(r, message[4:])
	return message, err
}
