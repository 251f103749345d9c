// Package release checks what makes a release: .goreleaser.yaml, the workflows, the scripts that they call, and what the image is
// built from. It is a module of its own, so that goreleaser is not among clerksync's dependencies.
package release

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

const root = "../../"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(root + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// set matches what a linker flag sets.
var set = regexp.MustCompile(`-X main\.(\w+)=`)

// linkable are the names that a linker flag can set in cmd/clerksync: strings without a value.
func linkable(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(root + "cmd/clerksync/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR {
				continue
			}
			for _, s := range decl.Specs {
				v := s.(*ast.ValueSpec)
				if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "string" || len(v.Values) > 0 {
					continue
				}
				for _, name := range v.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// goreleaser refuses an unknown key; what a key names, it looks for when the tag is out.
func TestGoreleaser(t *testing.T) {
	t.Parallel()
	c, err := config.Load(root + ".goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want, got := 2, c.Version; want != got {
		t.Errorf("version: want %d, got %d", want, got)
	}
	if len(c.Builds) != 1 || len(c.Archives) != 1 || len(c.Before.Hooks) != 1 {
		t.Fatalf("want one build, one kind of archive and one hook, got %d, %d, %d", len(c.Builds), len(c.Archives), len(c.Before.Hooks))
	}
	if r := c.Release; !r.Draft || !r.ReplaceExistingDraft {
		t.Errorf("release: want a draft, which the workflow makes public when the image is pushed, got %+v", r)
	}
	build := c.Builds[0]
	if _, err := os.Stat(root + build.Main + "/main.go"); err != nil {
		t.Error(err)
	}
	archive, image := set.FindAllString(strings.Join(build.Ldflags, " "), -1), set.FindAllString(read(t, "Dockerfile"), -1)
	if want := []string{"-X main.version=", "-X main.commit="}; !slices.Equal(want, archive) || !slices.Equal(want, image) {
		t.Errorf("linker flags of archives and image: want %v, got %v and %v", want, archive, image)
	}
	known := linkable(t)
	for _, m := range set.FindAllStringSubmatch(strings.Join(build.Ldflags, " "), -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("main.%s: want a variable of cmd/clerksync that the linker can set, those are %v", m[1], known)
		}
	}

	// The hook makes the licences that the archives carry, for the systems that are built.
	hook := strings.Fields(c.Before.Hooks[0])
	if info, err := os.Stat(root + hook[0]); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("hook %s: want a program, got %v", hook[0], err)
	}
	if !slices.Equal(build.Goos, hook[2:]) {
		t.Errorf("systems of the licences: want %v, got %v", build.Goos, hook[2:])
	}
	var carried []string
	for _, f := range c.Archives[0].Files {
		carried = append(carried, f.Source)
		if _, err := os.Stat(root + f.Source); err != nil && f.Source != hook[1] {
			t.Error(err)
		}
	}
	for _, want := range []string{"LICENSE", hook[1]} {
		if !slices.Contains(carried, want) {
			t.Errorf("archives: want %s in them, they have %v", want, carried)
		}
	}
}
