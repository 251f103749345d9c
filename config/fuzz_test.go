package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/config"
)

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../.env.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", example)
	f.Add(strings.Join(env(), "\n"), []byte("PORT=1\nexport LOG_LEVEL='debug'\nX=${PORT}$LOG_LEVEL\"\n"))
	f.Add(strings.Join(env("INNGEST_DEV=http://[::1]:8288/", "INNGEST_BASE_URL=x", "PUBLIC_URL=https://a%20b/"), "\n"), []byte("A='\\'"))
	f.Add("DATABASE_URI=mongodb://u:p%40@a:1,[::1]:2/n%61me?x=/", []byte("CLERK_WEBHOOK_SIGNING_SECRET=\"whsec_YQ==,\\nwhsec_Yg==\""))
	f.Add("PORT=\nPORT\n=\n", []byte("\xef\xbb\xbfPORT: 1\n#\nA=\"$(B)\\$C${D"))

	want := map[string]string{}
	for _, v := range config.Variables() {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			want[name] = v.Want
		}
	}
	path := filepath.Join(f.TempDir(), ".env")
	f.Fuzz(func(t *testing.T, environ string, file []byte) {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		list := strings.Split(environ, "\n")
		dev, devErr := config.Load(list, path, config.NoRole)
		checkLoadError(t, devErr, path, want)
		c, err := config.Load(list, path, everything)
		checkLoadError(t, err, path, want)
		if err != nil {
			return
		}
		if d := cmp.Diff(c, dev); devErr != nil || d != "" {
			t.Errorf("without a role, Load takes what it takes with all: error %v (-all +none)\n%s", devErr, d)
		}
		again, err := config.Load(list, path, everything)
		if d := cmp.Diff(c, again); err != nil || d != "" {
			t.Errorf("the second time: error %v (-first +second)\n%s", err, d)
		}
		switch {
		case c.Port < 1 || c.Port > 65535:
			t.Errorf("want a port, got %d", c.Port)
		case len(c.WebhookSecrets) == 0 || c.DatabaseURI == "" || c.DatabaseName == "" || c.UsersCollection == "" || c.Inngest.AppID == "":
			t.Error("want what is required, got less")
		case !c.Inngest.Dev && (c.Inngest.EventKey == "" || c.Inngest.SigningKey == ""):
			t.Error("want both keys in cloud mode, got less")
		case c.FunctionRetries < 0 || c.FunctionRetries > 20 || c.FunctionConcurrency < 0:
			t.Errorf("want limits, got %d retries and %d at once", c.FunctionRetries, c.FunctionConcurrency)
		case strings.HasSuffix(c.Inngest.BaseURL, "/") || strings.ContainsAny(c.Inngest.BaseURL, "?#"):
			t.Error("want a URL that a path can be put behind, got another")
		}
	})
}

// checkLoadError: what an error says is known before the values are.
func checkLoadError(t *testing.T, err error, path string, want map[string]string) {
	t.Helper()
	var faulty *config.Error
	switch {
	case err == nil:
	case errors.As(err, &faulty):
		if len(faulty.Faults) == 0 {
			t.Error("want at least one fault, got none")
		}
		for _, f := range faulty.Faults {
			if text, ok := want[f.Variable]; !ok || f.Want != text {
				t.Errorf("want a fault of a variable in the table, got %+v", f)
			}
		}
	default:
		if text := "read " + path + ": it is not lines of NAME=value"; err.Error() != text {
			t.Errorf("want %q, got %q", text, err)
		}
	}
}
