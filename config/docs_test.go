package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/config"
)

// need says for each variable whether serve requires it, as Load tells.
func need(t *testing.T) map[string]string {
	t.Helper()
	required := map[string]string{}
	for _, mode := range []struct{ env, word string }{{"INNGEST_DEV=0", "required in cloud mode"}, {"INNGEST_DEV=1", "required"}} {
		_, err := config.Load([]string{mode.env}, "", everything)
		for _, f := range faults(t, err) {
			required[f.Variable] = mode.word
		}
	}
	return required
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocsListTheVariables(t *testing.T) {
	t.Parallel()
	required := need(t)
	var want []string
	for _, v := range config.Variables() {
		cell := required[v.Name]
		if v.Default != "" {
			cell = "`" + v.Default + "`"
		}
		want = append(want, strings.TrimSpace("| `"+strings.Join(append([]string{v.Name}, v.Aliases...), "`, `")+"` | "+v.Meaning+" | "+cell)+" |")
	}
	var got []string
	for line := range strings.Lines(read(t, "../docs/configuration.md")) {
		if strings.HasPrefix(line, "| `") && !strings.HasPrefix(line, "| `clerksync ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/configuration.md (-want +got)\n%s", d)
	}
}

// A program apart needs less than serve, and docs/configuration.md lists what.
func TestDocsListWhatEachProgramNeeds(t *testing.T) {
	t.Parallel()
	text := read(t, "../docs/configuration.md")
	for name, roles := range map[string]config.Role{
		"serve": everything, "serve --no-functions": config.Bridge, "worker": config.Functions,
	} {
		_, err := config.Load(nil, "", roles)
		var needs []string
		for _, f := range faults(t, err) {
			needs = append(needs, "`"+f.Variable+"`")
		}
		if row := "| `clerksync " + name + "` | " + strings.Join(needs, ", ") + " |"; !strings.Contains(text, row) {
			t.Errorf("docs/configuration.md: want a row\n%s", row)
		}
	}
}

// In .env.example what is required is empty, and the rest is a comment with the default, or with an example
// where there is none.
func TestDotEnvExampleListsTheVariables(t *testing.T) {
	t.Parallel()
	required := need(t)
	var want []string
	for _, v := range config.Variables() {
		switch {
		case required[v.Name] != "":
			want = append(want, v.Name+"=")
		case v.Default != "":
			want = append(want, "#"+v.Name+"="+v.Default)
		default:
			want = append(want, "#"+v.Name+"="+v.Example)
		}
	}
	text := read(t, "../.env.example")
	got := regexp.MustCompile(`(?m)^#?[A-Z_]+=.*$`).FindAllString(text, -1)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf(".env.example (-want +got)\n%s", d)
	}
	comments := map[string]string{} // by variable
	for _, m := range regexp.MustCompile(`(?m)((?:^# .*\n)+)#?([A-Z_]+)=`).FindAllStringSubmatch(text, -1) {
		comments[m[2]] = strings.ReplaceAll(strings.TrimPrefix(m[1], "# "), "\n# ", " ")
	}
	for _, v := range config.Variables() {
		want := strings.TrimSuffix(v.Meaning, " Needed in cloud mode.")
		if word := required[v.Name]; word != "" {
			want = strings.ToUpper(word[:1]) + word[1:] + ". " + want
		}
		for _, alias := range v.Aliases {
			if !strings.HasSuffix(comments[v.Name], "Also read: "+alias+"\n") {
				t.Errorf(".env.example: want the comment of %s to end with its other name, %s", v.Name, alias)
			}
		}
		if !strings.HasPrefix(comments[v.Name], want) {
			t.Errorf(".env.example: want the comment of %s to begin with %q, got %q", v.Name, want, comments[v.Name])
		}
	}
}

func TestDotEnvExampleAsItIs(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(nil, "../.env.example", config.NoRole); err != nil {
		t.Errorf("dev: want no error, got %v", err)
	}
	// With every line in force and what is required filled in, serve takes it.
	all := regexp.MustCompile(`(?m)^#([A-Z_]+=)`).ReplaceAllString(read(t, "../.env.example"), "$1")
	for _, v := range config.Variables() {
		all = strings.Replace(all, "\n"+v.Name+"=\n", "\n"+v.Name+"="+v.Example+"\n", 1)
	}
	if _, err := config.Load(nil, dotenv(t, all), everything); err != nil {
		t.Errorf("serve, all in force: want no error, got %v", err)
	}
	_, err := config.Load(nil, "../.env.example", everything)
	for _, f := range faults(t, err) {
		if !f.Missing {
			t.Errorf("serve: want only what is missing, got %s malformed", f.Variable)
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, v := range config.Variables() {
		t.Run(v.Name, func(t *testing.T) {
			if v.Meaning == "" || v.Want == "" || v.Example == "" {
				t.Errorf("want a meaning, a good value and an example, got %q, %q, %q", v.Meaning, v.Want, v.Example)
			}
			for _, name := range append([]string{v.Name}, v.Aliases...) {
				if names[name] {
					t.Errorf("want each name once, got %s again", name)
				}
				names[name] = true
			}
			// An example that is refused would be the worst of help.
			for _, value := range []string{v.Example, v.Default} {
				if _, err := config.Load(env("CLERK_SECRET_KEY=sk_test_1", v.Name+"="+value, "INNGEST_DEV=1"), "", everything); value != "" && err != nil {
					t.Errorf("%q: want it taken, got %v", value, err)
				}
				if _, err := config.Load(env("CLERK_SECRET_KEY=sk_test_1", v.Name+"="+value), "", everything); value != "" && err != nil {
					t.Errorf("%q: want it taken in cloud mode, got %v", value, err)
				}
			}
		})
	}
}
