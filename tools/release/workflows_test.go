package release

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// step is one of a job's, or of a composite action's.
type step struct {
	Uses string
	Run  string
	With map[string]string
}

// workflow is what is looked at of a file in .github. actionlint, which make lint runs, knows the rest.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Uses        string
		Needs       []string
		Permissions map[string]string
		Timeout     int `yaml:"timeout-minutes"`
		Steps       []step
	}
	Runs struct{ Steps []step }
}

func (w workflow) steps() []step {
	all := w.Runs.Steps
	for _, j := range w.Jobs {
		all = append(all, j.Steps...)
	}
	return all
}

// workflows are those of .github, and its own actions, by path.
func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	all := map[string]workflow{}
	for _, pattern := range []string{".github/workflows/*", ".github/actions/*/*"} {
		paths, err := filepath.Glob(root + pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: want files, got %v %v", pattern, paths, err)
		}
		for _, path := range paths {
			path = strings.TrimPrefix(path, root)
			var w workflow
			if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			all[path] = w
		}
	}
	return all
}

// A tag can be moved to other code; a commit can't. Its comment is for people, and for who raises it.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`(?m)uses: ([\w./-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$`)
	used := regexp.MustCompile(`uses: ([^.\s]\S*)`)
	commits := map[string]string{}
	for path := range workflows(t) {
		text := read(t, path)
		good := map[string]bool{}
		for _, m := range pinned.FindAllStringSubmatch(text, -1) {
			good[m[1]] = true
		}
		for _, m := range used.FindAllStringSubmatch(text, -1) {
			action, commit, _ := strings.Cut(m[1], "@")
			if !good[m[1]] {
				t.Errorf("%s uses %s: want a commit, and its version in a comment", path, m[1])
			}
			if other := commits[action]; other != "" && other != commit {
				t.Errorf("%s: want one commit of %s, got %s and %s", path, action, commit, other)
			}
			commits[action] = commit
		}
	}
}

func TestWorkflowsAskForLittle(t *testing.T) {
	t.Parallel()
	for path, w := range workflows(t) {
		if strings.HasPrefix(path, ".github/workflows/") {
			if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
				t.Errorf("%s: want permission to read contents and no other for all jobs, got %v", path, w.Permissions)
			}
			for name, j := range w.Jobs {
				if j.Uses == "" && (j.Timeout < 1 || j.Timeout > 120) {
					t.Errorf("%s: %s: want a timeout of at most 120 minutes, got %d", path, name, j.Timeout)
				}
			}
		}
		for _, s := range w.steps() {
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s: want values in run by env, since a branch's name may hold a command, got %s", path, s.Run)
			}
			if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false" {
				t.Errorf("%s: want a checkout that keeps no credentials", path)
			}
		}
	}
}

// The draft is made public by a job of its own, after archives and image, and by no other.
func TestReleaseIsPublicWhenAllIsThere(t *testing.T) {
	t.Parallel()
	const publish = `gh release edit "$GITHUB_REF_NAME" --draft=false`
	found := 0
	for name, j := range workflows(t)[".github/workflows/release.yml"].Jobs {
		for _, s := range j.Steps {
			if !strings.Contains(s.Run, "gh release") {
				continue
			}
			found++
			if s.Run != publish || !slices.Equal(j.Needs, []string{"archives", "image"}) || len(j.Permissions) != 1 || j.Permissions["contents"] != "write" {
				t.Errorf("%s: want %s after archives and image, with permission to write contents and no other, got %+v", name, publish, j)
			}
		}
	}
	if found != 1 {
		t.Errorf("want one step that makes the release public, found %d", found)
	}
}

// What a workflow runs is there.
func TestWorkflowsRunWhatIsThere(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	script := regexp.MustCompile(`(?m)(?:^|\s)((?:tools|\.ci)/[\w./-]+)`)
	target := regexp.MustCompile(`(?m)^make ([a-z0-9-]+)`)
	found := 0
	for path, w := range workflows(t) {
		for _, s := range w.steps() {
			for _, m := range script.FindAllStringSubmatch(s.Run, -1) {
				found++
				if info, err := os.Stat(root + m[1]); err != nil || info.Mode()&0o100 == 0 {
					t.Errorf("%s runs %s: want a program, got %v", path, m[1], err)
				}
			}
			for _, m := range target.FindAllStringSubmatch(s.Run, -1) {
				found++
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("%s runs make %s, which is no target", path, m[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("want scripts and targets, found none")
	}
}

// Go and goreleaser have each one version, wherever it must be written.
func TestVersions(t *testing.T) {
	t.Parallel()
	golang := regexp.MustCompile(`golang:([\d.]+)-`).FindStringSubmatch(read(t, "Dockerfile"))
	goreleaser := regexp.MustCompile(`goreleaser/v2 (v[\d.]+)`).FindStringSubmatch(read(t, "tools/release/go.mod"))
	if golang == nil || goreleaser == nil {
		t.Fatalf("want versions, got %v and %v", golang, goreleaser)
	}
	found := 0
	for path, w := range workflows(t) {
		for _, s := range w.steps() {
			want, got := golang[1], s.With["go-version"]
			if strings.HasPrefix(s.Uses, "goreleaser/") {
				want, got = goreleaser[1], s.With["version"]
			}
			if got == "" {
				continue
			}
			found++
			if want != got {
				t.Errorf("%s: %s: want %s, got %s", path, s.Uses, want, got)
			}
		}
	}
	if found < 3 {
		t.Errorf("want Go's version at least twice and goreleaser's, found %d", found)
	}
}
