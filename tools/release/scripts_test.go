package release

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run runs a script in dir, and returns what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// The image is built from what .dockerignore lets through. All of the program must be there, and all of it have a licence.
func TestImageContext(t *testing.T) {
	t.Parallel()
	context := t.TempDir()
	for line := range strings.Lines(read(t, ".dockerignore")) {
		entry, ok := strings.CutPrefix(strings.TrimSpace(line), "!")
		if !ok {
			continue
		}
		err := filepath.WalkDir(root+entry, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			path = strings.TrimPrefix(path, root)
			info, err := d.Info()
			if err == nil {
				write(t, filepath.Join(context, path), read(t, path), info.Mode())
			}
			return err
		})
		if err != nil {
			t.Errorf(".dockerignore lets %s through: %v", entry, err)
		}
	}
	notices := filepath.Join(t.TempDir(), "notices")
	out, err := run(t, context, []string{"GOFLAGS=-tags=nodev -mod=readonly"}, "tools/notices.sh", notices, "linux")
	if err != nil {
		t.Fatalf("want all of the program in the image's context: %v\n%s", err, out)
	}
	modules, err := filepath.Glob(notices + "/github.com/inngest/*")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range modules {
		modules[i] = filepath.Base(m)
	}
	if want := []string{"inngest@v1.19.3", "inngestgo@v0.16.0"}; !slices.Equal(want, modules) {
		t.Errorf("licences of Inngest's: want %v, got %v", want, modules)
	}
	if _, err := os.Stat(notices + "/go/LICENSE"); err != nil {
		t.Errorf("licence of Go's own library: %v", err)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/tools/release.sh", read(t, "tools/release.sh"), 0o755)
	write(t, dir+"/CHANGELOG.md", `# Changelog
## [Unreleased]
- not yet
## [1.2.0] - 2026-12-24

### Added
- a thing

## [1.1.0] - 2026-12-23
## [1.10.0-rc.1] - 2026-12-22
- a try
[Unreleased]: https://example.com/
`, 0o644)
	for version, want := range map[string]string{"v1.2.0": "\n### Added\n- a thing\n", "v1.10.0-rc.1": "- a try\n"} {
		if got, err := run(t, dir, nil, "tools/release.sh", "notes", version); err != nil || want != got {
			t.Errorf("notes of %s: want %q, got %q, %v", version, want, got, err)
		}
	}
	for _, version := range []string{"v1.1.0", "v1.10.0", "v1.2", "v9.9.9", "Unreleased", ""} {
		if got, err := run(t, dir, nil, "tools/release.sh", "notes", version); err == nil {
			t.Errorf("notes of %q: want it refused, got %q", version, got)
		}
	}
}

func TestVersionIsOnMainInTheChangelogAndTheCharts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/tools/release.sh", read(t, "tools/release.sh"), 0o755)
	write(t, dir+"/CHANGELOG.md", "## [1.2.0] - 2026-12-24\n- a thing\n## [1.2.0-rc.1] - 2026-12-24\n- a thing\n## [1.2] - 2026-12-24\n- a thing\n", 0o644)
	git := func(args ...string) {
		t.Helper()
		id := []string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.com"}
		if out, err := exec.CommandContext(t.Context(), "git", append(id, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	chart := func(version, appVersion string) {
		t.Helper()
		write(t, dir+"/deploy/helm/clerksync/Chart.yaml", "apiVersion: v2\nversion: "+version+"\nappVersion: "+appVersion+"\n", 0o644)
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "one")
	git("update-ref", "refs/remotes/origin/main", "HEAD")
	for version, good := range map[string]bool{
		"v1.2.0": true, "v1.2.0-rc.1": true, "v1.3.0": false, "1.2.0": false, "v1.2": false, "v01.2.0": false, "v1.2.0;id": false, "": false,
	} {
		chart(strings.TrimPrefix(version, "v"), strings.TrimPrefix(version, "v"))
		if out, err := run(t, dir, nil, "tools/release.sh", "version", version); good != (err == nil) {
			t.Errorf("%q: want good %v, got %v %s", version, good, err, out)
		}
	}
	for _, versions := range [][2]string{{"1.1.0", "1.2.0"}, {"1.2.0", "1.1.0"}, {"1.2.0-rc.1", "1.2.0"}, {"11.2.0", "1.2.0"}, {"1.2.0", "v1.2.0"}, {"1.2.0", "1x2.0"}} {
		chart(versions[0], versions[1])
		if out, err := run(t, dir, nil, "tools/release.sh", "version", "v1.2.0"); err == nil || !strings.Contains(out, "Chart.yaml is not 1.2.0") {
			t.Errorf("a chart of the version %v: want it refused, got %v %s", versions, err, out)
		}
	}
	chart("1.2.0", "1.2.0")
	git("commit", "-q", "--allow-empty", "-m", "two")
	if out, err := run(t, dir, nil, "tools/release.sh", "version", "v1.2.0"); err == nil || !strings.Contains(out, "not on main") {
		t.Errorf("a commit that is not on main: want it refused, got %v %s", err, out)
	}
}

// Nobody hands on code under the SSPL before somebody has asked about the version that is linked.
func TestLicenceIsConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/tools/release.sh", read(t, "tools/release.sh"), 0o755)
	write(t, dir+"/go.mod", read(t, "go.mod"), 0o644)
	for answer, good := range map[string]bool{"v1.19.3": true, "": false, "yes": false, "v1.19.2": false, "v1.19.3 ": false} {
		if out, err := run(t, dir, nil, "tools/release.sh", "licence", answer); good != (err == nil) {
			t.Errorf("%q: want good %v, got %v %s", answer, good, err, out)
		}
	}
}

// What the image's build says to Docker, by a Docker that only listens.
func TestImageIsPushedOnce(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3":      "--tag example.com/i:v1.2.3 --tag example.com/i:v1.2 --tag example.com/i:latest .",
		"v1.2.3-rc.1": "--metadata-file FILE --tag example.com/i:v1.2.3-rc.1 .",
	} {
		dir := t.TempDir()
		write(t, dir+"/tools/release.sh", read(t, "tools/release.sh"), 0o755)
		write(t, dir+"/docker", `#!/bin/bash
echo "$*" >said
while [[ $1 != --metadata-file ]]; do shift; done
sed -i "s|$2|FILE|" said
printf '{\n  "containerimage.digest": "sha256:0a1b",\n  "image.name": "i"\n}\n' >"$2"
`, 0o755)
		output := dir + "/output"
		env := []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GITHUB_OUTPUT=" + output, "TMPDIR=" + dir}
		if out, err := run(t, dir, env, "tools/release.sh", "image", version, "c0ffee", "example.com/i"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		said, err := os.ReadFile(dir + "/said")
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{want, "--build-arg VERSION=" + version + " ", "--build-arg COMMIT=c0ffee ", "--platform linux/amd64,linux/arm64 ", "--push ", "--sbom=true "} {
			if got := strings.TrimSpace(string(said)); !strings.Contains(got, part) {
				t.Errorf("%s: want %s in what Docker is told, got %s", version, part, got)
			}
		}
		digest, err := os.ReadFile(output)
		if want := "digest=sha256:0a1b\n"; err != nil || want != string(digest) {
			t.Errorf("output: want %q, got %q, %v", want, digest, err)
		}
	}
}
