package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// required are the variables that .env.example leaves to be filled in.
func required(t *testing.T) []string {
	t.Helper()
	return found(t, "../../deploy/.env.example", `(?m)^([A-Z_]+)=$`)
}

// load reads compose.yaml as Compose does, with that environment alone.
func load(t *testing.T, env types.Mapping) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  "../../deploy",
		ConfigFiles: []types.ConfigFile{{Filename: "../../deploy/compose.yaml"}},
		Environment: env,
	}, func(o *loader.Options) { o.SetProjectName("clerksync", false) })
}

func filledIn(t *testing.T) types.Mapping {
	t.Helper()
	env := types.Mapping{}
	for _, name := range required(t) {
		env[name] = "x-" + strings.ToLower(name)
	}
	return env
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, filledIn(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, name := range required(t) {
		for _, empty := range []bool{false, true} {
			env := filledIn(t)
			delete(env, name)
			if empty {
				env[name] = ""
			}
			if _, err := load(t, env); err == nil || !strings.Contains(err.Error(), "required variable "+name+" is missing a value: ") {
				t.Errorf("without %s: want an error that names it and says what it is, got %v", name, err)
			}
		}
	}
	// What is optional stands there, too, and nothing stands there that compose.yaml does not read.
	inCompose := slices.Compact(slices.Sorted(slices.Values(found(t, "../../deploy/compose.yaml", `\$\{([A-Z_]+)`))))
	inExample := slices.Sorted(slices.Values(found(t, "../../deploy/.env.example", `(?m)^#?([A-Z_]+)=`)))
	if !slices.Equal(inCompose, inExample) {
		t.Errorf("compose.yaml reads %v, .env.example has %v", inCompose, inExample)
	}
}

func TestComposeContainsEachService(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t).Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: want a read-only root, all capabilities dropped and no new privileges", name)
		}
		if name == "proxy" {
			if !slices.Equal(s.CapAdd, []string{"NET_BIND_SERVICE"}) {
				t.Errorf("%s: want the capability to listen below 1024 and no other, got %v", name, s.CapAdd)
			}
		} else if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(s.User) || len(s.CapAdd) > 0 {
			t.Errorf("%s: want a user that is not root, and no capability, got %q, %v", name, s.User, s.CapAdd)
		}
		if l := s.Deploy.Resources.Limits; l == nil || l.NanoCPUs <= 0 || l.MemoryBytes <= 0 || l.Pids <= 0 {
			t.Errorf("%s: want limits of processor, memory and processes, got %+v", name, l)
		}
		if s.HealthCheck == nil && name != "clerksync" { // whose image has one
			t.Errorf("%s: want a health check", name)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Restart != "unless-stopped" {
			t.Errorf("%s: want bounded logs and a restart", name)
		}
		if name != "clerksync" && !regexp.MustCompile(`:v?\d+(\.\d+)*$`).MatchString(s.Image) {
			t.Errorf("%s: want an image of a version, got %s", name, s.Image)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && !v.ReadOnly {
				t.Errorf("%s: want %s mounted read-only", name, v.Source)
			}
		}
		for dependency, d := range s.DependsOn {
			if d.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s: want to wait until %s is healthy, got %s", name, dependency, d.Condition)
			}
		}
	}
	if !strings.Contains(read(t, "../../Dockerfile"), "\nHEALTHCHECK ") {
		t.Error("Dockerfile: want the health check that compose.yaml rests on")
	}
}

// From outside the machine there is the proxy alone, and databases are in networks without a way out.
func TestComposePublishesTheProxyAlone(t *testing.T) {
	t.Parallel()
	p := compose(t)
	var got []string
	for name, s := range p.Services {
		for _, port := range s.Ports {
			got = append(got, fmt.Sprintf("%s %s:%s", name, port.HostIP, port.Published))
		}
	}
	slices.Sort(got)
	want := []string{"inngest 127.0.0.1:8288", "proxy :443", "proxy :443", "proxy :80"}
	if !slices.Equal(want, got) {
		t.Errorf("published ports: want %v, got %v", want, got)
	}
	for _, name := range []string{"postgres", "redis", "mongodb"} {
		for network := range p.Services[name].Networks {
			if !p.Networks[network].Internal {
				t.Errorf("%s is in the network %s, which has a way out", name, network)
			}
		}
	}
	with := func(a, b string) bool {
		for network := range p.Services[a].Networks {
			if _, both := p.Services[b].Networks[network]; both {
				return true
			}
		}
		return false
	}
	for _, pair := range []struct {
		a, b string
		want bool
	}{
		{"proxy", "clerksync", true},
		{"clerksync", "inngest", true},
		{"clerksync", "mongodb", true},
		{"inngest", "postgres", true},
		{"inngest", "redis", true},
		{"proxy", "inngest", false},
		{"proxy", "mongodb", false},
		{"proxy", "postgres", false},
		{"proxy", "redis", false},
		{"inngest", "mongodb", false},
		{"clerksync", "postgres", false},
		{"clerksync", "redis", false},
	} {
		if got := with(pair.a, pair.b); pair.want != got {
			t.Errorf("%s and %s in one network: want %t, got %t", pair.a, pair.b, pair.want, got)
		}
	}
}

// What redis and mongosh are called with, by programs in their places that only listen: no password is among the arguments, which
// everybody on the machine can read, and Redis takes the place of its shell, so that a stop reaches it.
func TestComposePassesNoPasswordAsArgument(t *testing.T) {
	t.Parallel()
	p := compose(t)
	dir := t.TempDir()
	for _, name := range []string{"redis-server", "mongosh"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho $$ \"$@\"\necho +\ncat\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listen := func(script string) (pid int, args, stdin string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "REDIS_PASSWORD=hunter2", "MONGO_INITDB_ROOT_PASSWORD=hunter2"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		args, stdin, _ = strings.Cut(string(out), "+\n")
		if strings.Contains(args, "hunter2") {
			t.Errorf("want no password among the arguments, got %s", args)
		}
		if strings.HasPrefix(args, fmt.Sprint(cmd.Process.Pid, " ")) {
			pid = cmd.Process.Pid
		}
		return pid, args, stdin
	}
	redis := p.Services["redis"].Command
	if len(redis) != 3 || !slices.Equal(redis[:2], []string{"sh", "-c"}) {
		t.Fatalf("want a command of a shell, got %q", redis)
	}
	pid, args, stdin := listen(redis[2])
	want := "requirepass \"hunter2\"\nappendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n"
	if pid == 0 || !strings.HasSuffix(args, " -\n") || want != stdin {
		t.Errorf("want Redis in the shell's place, with its configuration %q on stdin, got %s %q", want, args, stdin)
	}
	health := p.Services["mongodb"].HealthCheck.Test
	if len(health) != 2 || health[0] != "CMD-SHELL" {
		t.Fatalf("want a health check of a shell, got %q", health)
	}
	if _, args, _ := listen(health[1]); !strings.Contains(args, `.auth("root", process.env.MONGO_INITDB_ROOT_PASSWORD)`) || !strings.Contains(args, "rs.initiate(") {
		t.Errorf("want mongosh to take the password from its environment, and to make the replica set, got %s", args)
	}
}

func TestComposeAgreesWithTheProgram(t *testing.T) {
	t.Parallel()
	p := compose(t)
	app, queue := p.Services["clerksync"], p.Services["inngest"]
	value := func(s types.ServiceConfig, name string) string {
		v := s.Environment[name]
		if v == nil {
			return ""
		}
		return *v
	}
	for name := range app.Environment {
		if !slices.Contains(variables(t), name) {
			t.Errorf("clerksync: %s is no variable of the program", name)
		}
	}
	for _, name := range secretVariables[:4] {
		if value(app, name) == "" {
			t.Errorf("clerksync: want %s set", name)
		}
	}
	inside := fmt.Sprintf("http://clerksync:%d", port)
	for _, same := range []struct{ what, want, got string }{
		{"where Inngest finds the functions", inside, value(app, "PUBLIC_URL")},
		{"what Inngest syncs", inside + inngestPath, value(queue, "INNGEST_SDK_URL")},
		{"where clerksync finds Inngest", "http://inngest:8288", value(app, "INNGEST_BASE_URL")},
		{"event key", value(app, "INNGEST_API_KEY"), value(queue, "INNGEST_EVENT_KEY")},
		{"signing key", value(app, "INNGEST_SIGNING_KEY"), value(queue, "INNGEST_SIGNING_KEY")},
		{"dev mode", "", value(app, "INNGEST_DEV")},
		{"command of Inngest", "inngest start", strings.Join(queue.Command, " ")}, // it has no use for --poll-interval
		{"version of Inngest", found(t, "../inngest/go.mod", `github.com/inngest/inngest (v\S+)`)[0], strings.TrimPrefix(queue.Image, "inngest/inngest:")},
		{"version of Caddy", found(t, "go.mod", `github.com/caddyserver/caddy/v2 v(\S+)`)[0], strings.TrimPrefix(p.Services["proxy"].Image, "caddy:")},
		{"user of clerksync", found(t, "../../Dockerfile", `(?m)^USER (\S+)`)[0], app.User},
	} {
		if same.want != same.got {
			t.Errorf("%s: want %q, got %q", same.what, same.want, same.got)
		}
	}
	if app.StopGracePeriod == nil || time.Duration(*app.StopGracePeriod) <= stopsWithin {
		t.Errorf("clerksync: want more than %v to stop in, got %v", stopsWithin, app.StopGracePeriod)
	}
	if app.Deploy.Replicas == nil || *app.Deploy.Replicas != 2 {
		t.Errorf("clerksync: want two replicas, got %v", app.Deploy.Replicas)
	}
}
