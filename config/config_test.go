package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/config"
)

const (
	secret1 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdA=="
)

// everything is what serve does.
const everything = config.Bridge | config.Functions

// env is the least that serve runs with, with more in front of it or in place of it: "NAME=value".
func env(more ...string) []string {
	all := map[string]string{
		"CLERK_WEBHOOK_SECRET": secret1,
		"DATABASE_URI":         "mongodb://localhost:27017",
		"INNGEST_API_KEY":      "event-key",
		"INNGEST_SIGNING_KEY":  "signkey-prod-0123456789abcdef",
	}
	for _, kv := range more {
		k, v, _ := strings.Cut(kv, "=")
		all[k] = v
	}
	var list []string
	for k, v := range all {
		list = append(list, k+"="+v)
	}
	return list
}

// without is env without a variable.
func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

// defaults is what env yields, changed by the functions.
func defaults(edit ...func(*config.Config)) config.Config {
	c := config.Config{
		Port:            3000,
		WebhookSecrets:  []config.Secret{secret1},
		DatabaseURI:     "mongodb://localhost:27017",
		DatabaseName:    "glowup",
		UsersCollection: "users",
		Inngest:         config.Inngest{AppID: "glowup-app", EventKey: "event-key", SigningKey: "signkey-prod-0123456789abcdef"},
		FunctionRetries: 20, DeadLetterRetention: 30 * 24 * time.Hour, ClerkAPIURL: "https://api.clerk.com",
		LogLevel: slog.LevelInfo,
	}
	for _, f := range edit {
		f(&c)
	}
	return c
}

// dotenv is the path of a file with that text.
func dotenv(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// faults are those of an error from Load.
func faults(t testing.TB, err error) []config.Fault {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatalf("want a config.Error, got %v", err)
	}
	return e.Faults
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func TestLoadTakes(t *testing.T) {
	t.Parallel()
	type c = *config.Config
	cloud := func(c c) {
		c.Inngest.EventKey, c.Inngest.SigningKey = "event-key", "signkey-prod-0123456789abcdef"
	}
	uri := func(uri, name string) func(c) {
		return func(c c) { c.DatabaseURI, c.DatabaseName = config.Secret(uri), name }
	}
	dev := func(base string) func(c) {
		return func(c c) { c.Inngest.Dev, c.Inngest.BaseURL = true, base }
	}
	const devWins = "INNGEST_BASE_URL has no effect: INNGEST_DEV is set and wins"
	tests := []struct {
		name string
		env  []string // beside the least
		want func(*config.Config)
	}{
		{"the least", nil, cloud},
		{"all of them empty but the least", []string{
			"PORT=", "DATABASE_NAME=", "USERS_COLLECTION=", "INNGEST_DEV=", "INNGEST_APP_ID=", "INNGEST_BASE_URL=", "INNGEST_SIGNING_KEY_FALLBACK=",
			"PUBLIC_URL=", "FUNCTION_RETRIES=", "FUNCTION_CONCURRENCY=", "CLERK_SECRET_KEY=", "LOG_LEVEL=", "LOG_FORMAT=", "CLERK_WEBHOOK_SIGNING_SECRET=", "INNGEST_EVENT_KEY=",
		}, cloud},
		{"white space around a value", []string{"PORT= 8080\t", "INNGEST_DEV= ", "CLERK_WEBHOOK_SECRET=\n" + secret2 + "\r\n"}, func(c c) {
			c.Port, c.WebhookSecrets = 8080, []config.Secret{secret2}
		}},
		{"other variables", []string{"PATH=/bin", "port=1", "PORT =1", "=C:=C:\\", "NO_EQUALS_SIGN"}, cloud},

		{"the least port", []string{"PORT=1"}, func(c c) { c.Port = 1 }},
		{"the highest port", []string{"PORT=65535"}, func(c c) { c.Port = 65535 }},

		{"several webhook secrets", []string{"CLERK_WEBHOOK_SECRET=" + secret1 + " , " + secret2}, func(c c) {
			c.WebhookSecrets = []config.Secret{secret1, secret2}
		}},
		{"the webhook secret's other name", []string{"CLERK_WEBHOOK_SECRET=", "CLERK_WEBHOOK_SIGNING_SECRET=" + secret2}, func(c c) {
			c.WebhookSecrets = []config.Secret{secret2}
		}},
		{"the first name of the webhook secret counts", []string{"CLERK_WEBHOOK_SIGNING_SECRET=" + secret2}, cloud},

		{"the path names the database", []string{"DATABASE_URI=mongodb://db.example.com/app"}, uri("mongodb://db.example.com/app", "app")},
		{"the path wins over DATABASE_NAME", []string{"DATABASE_URI=mongodb://db.example.com/app", "DATABASE_NAME=other"}, uri("mongodb://db.example.com/app", "app")},
		{"DATABASE_NAME where the path is empty", []string{"DATABASE_URI=mongodb://db.example.com/", "DATABASE_NAME=other"}, uri("mongodb://db.example.com/", "other")},
		{"DATABASE_NAME where there is no path", []string{"DATABASE_URI=mongodb://db.example.com", "DATABASE_NAME=other"}, uri("mongodb://db.example.com", "other")},
		{"options behind an empty path", []string{"DATABASE_URI=mongodb://db.example.com/?replicaSet=rs0&tls=true"}, uri("mongodb://db.example.com/?replicaSet=rs0&tls=true", "glowup")},
		{"options without a path", []string{"DATABASE_URI=mongodb://db.example.com?tls=true"}, uri("mongodb://db.example.com?tls=true", "glowup")},
		{"an option with a slash is no path", []string{"DATABASE_URI=mongodb://db.example.com/?tlsCAFile=/etc/ca.pem"}, uri("mongodb://db.example.com/?tlsCAFile=/etc/ca.pem", "glowup")},
		{
			"several hosts, a password of special characters, options",
			[]string{"DATABASE_URI=mongodb://sync:p%40ss%3A%2F%3F%23%2C@a.example.com:27017,b.example.com:27018,[::1]:27019/app?replicaSet=rs0&authSource=admin"},
			uri("mongodb://sync:p%40ss%3A%2F%3F%23%2C@a.example.com:27017,b.example.com:27018,[::1]:27019/app?replicaSet=rs0&authSource=admin", "app"),
		},
		{"a password with an at sign as it is", []string{"DATABASE_URI=mongodb://sync:p@ss@db.example.com/app"}, uri("mongodb://sync:p@ss@db.example.com/app", "app")},
		{"a password with an at sign and a comma as they are", []string{"DATABASE_URI=mongodb://sync:p@,ss@db.example.com/app"}, uri("mongodb://sync:p@,ss@db.example.com/app", "app")},
		{"mongodb+srv", []string{"DATABASE_URI=mongodb+srv://sync:pass@cluster0.example.net/app?retryWrites=true&w=majority"}, uri("mongodb+srv://sync:pass@cluster0.example.net/app?retryWrites=true&w=majority", "app")},
		{"mongodb+srv without a path", []string{"DATABASE_URI=mongodb+srv://cluster0.example.net"}, uri("mongodb+srv://cluster0.example.net", "glowup")},
		{"a socket", []string{"DATABASE_URI=mongodb://%2Ftmp%2Fmongodb-27017.sock/app"}, uri("mongodb://%2Ftmp%2Fmongodb-27017.sock/app", "app")},
		{"an escaped path", []string{"DATABASE_URI=mongodb://localhost/%61pp%C3%A9"}, uri("mongodb://localhost/%61pp%C3%A9", "appé")},
		{"the longest database name", []string{"DATABASE_NAME=" + strings.Repeat("d", 63)}, func(c c) { c.DatabaseName = strings.Repeat("d", 63) }},

		{"a collection", []string{"USERS_COLLECTION=app.users-v2"}, func(c c) { c.UsersCollection = "app.users-v2" }},
		{"an app id", []string{"INNGEST_APP_ID=My_app-2.eu"}, func(c c) { c.Inngest.AppID = "My_app-2.eu" }},

		{"dev mode by 1", []string{"INNGEST_DEV=1"}, dev("")},
		{"dev mode by true", []string{"INNGEST_DEV=true"}, dev("")},
		{"dev mode by URL", []string{"INNGEST_DEV=http://127.0.0.1:8288"}, dev("http://127.0.0.1:8288")},
		{"dev mode by URL with a slash", []string{"INNGEST_DEV=https://dev.example.com/inngest//"}, dev("https://dev.example.com/inngest")},
		{"cloud mode by 0", []string{"INNGEST_DEV=0"}, cloud},
		{"cloud mode by false", []string{"INNGEST_DEV=false"}, cloud},
		{"in cloud mode INNGEST_BASE_URL counts", []string{"INNGEST_BASE_URL=https://inngest.example.com/"}, func(c c) { c.Inngest.BaseURL = "https://inngest.example.com" }},
		{"in dev mode INNGEST_DEV wins", []string{"INNGEST_DEV=http://127.0.0.1:8288", "INNGEST_BASE_URL=https://inngest.example.com"}, func(c c) {
			dev("http://127.0.0.1:8288")(c)
			c.Warnings = []string{devWins}
		}},
		{"also where it names no URL", []string{"INNGEST_DEV=1", "INNGEST_BASE_URL=https://inngest.example.com"}, func(c c) {
			dev("")(c)
			c.Warnings = []string{devWins}
		}},
		{"what is ignored can't be wrong", []string{"INNGEST_DEV=1", "INNGEST_BASE_URL=not a URL"}, func(c c) {
			dev("")(c)
			c.Warnings = []string{devWins}
		}},

		{"the event key's other name", []string{"INNGEST_API_KEY=", "INNGEST_EVENT_KEY=Other_key~1.2-3"}, func(c c) { c.Inngest.EventKey = "Other_key~1.2-3" }},
		{"the first name of the event key counts", []string{"INNGEST_EVENT_KEY=other"}, cloud},
		{"a bare signing key", []string{"INNGEST_SIGNING_KEY=00ff"}, func(c c) { c.Inngest.SigningKey = "00ff" }},
		{"both signing keys", []string{"INNGEST_SIGNING_KEY=signkey-test-AB", "INNGEST_SIGNING_KEY_FALLBACK=signkey-branch-cd"}, func(c c) {
			c.Inngest.SigningKey, c.Inngest.SigningKeyFallback = "signkey-test-AB", "signkey-branch-cd"
		}},

		{"a public URL", []string{"PUBLIC_URL=https://sync.example.com:8443/base"}, func(c c) { c.PublicURL = mustURL("https://sync.example.com:8443/base") }},
		{"no retries", []string{"FUNCTION_RETRIES=0"}, func(c c) { c.FunctionRetries = 0 }},
		{"a limit of concurrency", []string{"FUNCTION_CONCURRENCY=100000"}, func(c c) { c.FunctionConcurrency = 100000 }},
		{"dead letters for days", []string{"DEAD_LETTER_RETENTION=3650d"}, func(c c) { c.DeadLetterRetention = 3650 * 24 * time.Hour }},
		{"dead letters for hours and minutes", []string{"DEAD_LETTER_RETENTION=1h30m"}, func(c c) { c.DeadLetterRetention = 90 * time.Minute }},
		{"a key of Clerk's API", []string{"CLERK_SECRET_KEY=sk_test_aB.c-1"}, func(c c) { c.ClerkSecretKey = "sk_test_aB.c-1" }},
		{"a schedule", []string{"RECONCILE_CRON=TZ=Europe/Paris */30 4 1,15 * MON-FRI", "CLERK_SECRET_KEY=sk_live_1"}, func(c c) {
			c.ReconcileCron, c.ClerkSecretKey = "TZ=Europe/Paris */30 4 1,15 * MON-FRI", "sk_live_1"
		}},
		{"another Clerk", []string{"CLERK_API_URL=http://127.0.0.1:4000/"}, func(c c) { c.ClerkAPIURL = "http://127.0.0.1:4000" }},
		{"level debug", []string{"LOG_LEVEL=debug"}, func(c c) { c.LogLevel = slog.LevelDebug }},
		{"level info", []string{"LOG_LEVEL=info"}, func(c c) { c.LogLevel = slog.LevelInfo }},
		{"level warn", []string{"LOG_LEVEL=warn"}, func(c c) { c.LogLevel = slog.LevelWarn }},
		{"level error", []string{"LOG_LEVEL=error"}, func(c c) { c.LogLevel = slog.LevelError }},
		{"format json", []string{"LOG_FORMAT=json"}, func(c c) { c.LogFormat = "json" }},
		{"format text", []string{"LOG_FORMAT=text"}, func(c c) { c.LogFormat = "text" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(env(tt.env...), "", everything)
			if err != nil {
				t.Fatal(err)
			}
			got.ReconcileEvery = 0 // depends on the date, where clocks are put forward; TestReconcileEvery
			if d := cmp.Diff(defaults(tt.want), got); d != "" {
				t.Errorf("config (-want +got)\n%s", d)
			}
		})
	}
}

func TestReconcileCron(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"daily", "* * * *", "* * * * * *", "30 4 * * * ; rm", "@daily", "TZ=Europe/Paris", "TZ=", "TZ=Europe/Nowhere 30 4 * * *",
		"30 25 * * *", "60 4 * * *", "30 4 * * MONDAY", "*/0 * * * *", "30 4 31 2 *",
	} {
		_, err := config.Load(env("CLERK_SECRET_KEY=sk_test_1", "RECONCILE_CRON="+value), "", everything)
		if got := faults(t, err); len(got) != 1 || got[0].Variable != "RECONCILE_CRON" || got[0].Missing {
			t.Errorf("%s: want one fault of RECONCILE_CRON, got %+v", value, got)
		}
	}
	_, err := config.Load(env("RECONCILE_CRON=30 4 * * *"), "", everything)
	if got := faults(t, err); len(got) != 1 || got[0].Variable != "CLERK_SECRET_KEY" || !got[0].Missing {
		t.Errorf("want the secret key missing, got %+v", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"PORT":                         {"0", "65536", "-1", "80.0", "http", "99999999999999999999", "0x50"},
		"CLERK_WEBHOOK_SECRET":         {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_!", "WHSEC_" + secret1[6:], "whsec_abc", ",", secret1 + ",", secret1 + "," + "sk_test_1", secret1 + ";" + secret2},
		"CLERK_WEBHOOK_SIGNING_SECRET": {"whsec_!"},
		"DATABASE_URI": {
			"localhost:27017/glowup", "postgres://localhost/glowup", "http://localhost", "MONGODB://localhost", "mongodb:/localhost", "mongodb://", "mongodb:///glowup", "mongodb+srv://",
			"mongodb://user:password@/glowup", "mongodb://a.example.com,/glowup", "mongodb://,a.example.com/glowup",
			"mongodb://localhost/a/b", "mongodb://localhost/a%2Fb", "mongodb://localhost/a.b", "mongodb://localhost/a%00", "mongodb://localhost/%zz", "mongodb://localhost/%ff",
			"mongodb://localhost/" + strings.Repeat("d", 64), "mongodb://user:p/ssword@localhost/glowup",
		},
		"DATABASE_NAME":                {"a/b", `a\b`, "a.b", "a b", `a"b`, "a$b", "a*b", "a|b", "a\x00b", "\xff", strings.Repeat("d", 64)},
		"USERS_COLLECTION":             {"a$b", "system.users", ".users", "users.", "a\x00b", "\xff", strings.Repeat("u", 151)},
		"INNGEST_DEV":                  {"yes", "TRUE", "2", "127.0.0.1:8288", "localhost", "ftp://127.0.0.1", "http://", "http://127.0.0.1:8288?a=1", "http://127.0.0.1:8288/?", "http://user:password@127.0.0.1:8288", "http://127.0.0.1:8288#a"},
		"INNGEST_APP_ID":               {"my app", "a/b", "ä", strings.Repeat("a", 101)},
		"INNGEST_BASE_URL":             {"inngest.example.com", "1", "https:///path", "https://inngest.example.com?a=1", "https://inngest.example.com?", "https://key@inngest.example.com", "https://inn gest"},
		"INNGEST_API_KEY":              {"a/b", "a b", "a?b", "../x", "é"},
		"INNGEST_EVENT_KEY":            {"a/b"},
		"INNGEST_SIGNING_KEY":          {"signkey-prod-", "signkey-prod-xyz", "signkey-prod-123", "prod-0123", "signkey-0123", "0123 4567"},
		"INNGEST_SIGNING_KEY_FALLBACK": {"signkey-prod-xyz"},
		"PUBLIC_URL":                   {"sync.example.com", "//sync.example.com", "mailto:a@example.com", "https://sync.example.com/?a=1", "https://sync.example.com/?", "https://:443"},
		"FUNCTION_RETRIES":             {"-1", "21", "1.5", "many"},
		"FUNCTION_CONCURRENCY":         {"-1", "100001", "many"},
		"DEAD_LETTER_RETENTION":        {"0d", "-1d", "3651d", "-213503d", "99999999999999999999d", "1.5d", "d", "59m", "87601h", "-1h", "30", "30 d"},
		"CLERK_SECRET_KEY":             {"pk_test_1", "sk_", "sk_test 1"},
		"CLERK_API_URL":                {"api.clerk.com", "https://api.clerk.com?a=1"},
		"LOG_LEVEL":                    {"INFO", "trace", "warning", "4"},
		"LOG_FORMAT":                   {"JSON", "xml", "jsonx"},
	} {
		for _, value := range values {
			t.Run(name+" "+value, func(t *testing.T) {
				t.Parallel()
				list := without(env(), "CLERK_WEBHOOK_SECRET")
				switch name {
				case "CLERK_WEBHOOK_SIGNING_SECRET": // the first name would win
				case "INNGEST_EVENT_KEY":
					list = without(env(), "INNGEST_API_KEY")
				default:
					list = without(env(), name)
				}
				cfg, err := config.Load(append(list, name+"="+value), "", everything)
				if err == nil {
					t.Fatal("want a fault, got none")
				}
				got := faults(t, err)
				if len(got) != 1 || got[0].Variable != name || got[0].Missing || got[0].Want == "" {
					t.Errorf("want one fault of %s with a good value, got %+v", name, got)
				}
				if d := cmp.Diff(config.Config{}, cfg); d != "" {
					t.Errorf("config beside an error (-want +got)\n%s", d)
				}
				if _, err := config.Load(append(list, name+"="+value), "", config.NoRole); err == nil {
					t.Error("NoRole: want a fault, got none")
				}
			})
		}
	}
}

func TestLoadReportsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"nothing is set", nil, `the configuration has 4 faults
  CLERK_WEBHOOK_SECRET is missing: it should be whsec_ and base64, as the endpoint's page in Clerk's dashboard shows it; several are separated by commas
  DATABASE_URI is missing: it should be a MongoDB connection string, such as mongodb://localhost:27017/glowup or mongodb+srv://cluster.example.net/glowup
  INNGEST_API_KEY is missing: it should be the event key from Inngest's dashboard (needed in cloud mode; for the Dev Server set INNGEST_DEV=1 instead)
  INNGEST_SIGNING_KEY is missing: it should be the signing key from Inngest's dashboard, such as signkey-prod-0123456789abcdef (needed in cloud mode)`},
		{"in dev mode no keys are asked for", []string{"INNGEST_DEV=1", "PORT=canary", "DATABASE_URI=mongodb://localhost"}, `the configuration has 2 faults
  PORT is malformed: it should be a number from 1 to 65535, such as 3000
  CLERK_WEBHOOK_SECRET is missing: it should be whsec_ and base64, as the endpoint's page in Clerk's dashboard shows it; several are separated by commas`},
		{"a malformed INNGEST_DEV is not made worse by asking for keys", []string{"INNGEST_DEV=canary", "CLERK_WEBHOOK_SECRET=" + secret1, "DATABASE_URI=mongodb://localhost"}, `the configuration has 1 fault
  INNGEST_DEV is malformed: it should be 1, true or the URL of an Inngest Dev Server, such as http://127.0.0.1:8288; or 0, false or empty for cloud mode`},
		{"the name that was used is named", append(without(env(), "INNGEST_API_KEY"), "INNGEST_EVENT_KEY=canary/"), `the configuration has 1 fault
  INNGEST_EVENT_KEY is malformed: it should be the event key from Inngest's dashboard (needed in cloud mode; for the Dev Server set INNGEST_DEV=1 instead)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(tt.env, "", everything)
			if err == nil {
				t.Fatal("want an error, got none")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Errorf("error (-want +got)\n%s", d)
			}
		})
	}
	t.Run("each variable malformed", func(t *testing.T) {
		t.Parallel()
		var list []string
		var want []config.Fault
		for _, v := range config.Variables() {
			if v.Name == "INNGEST_BASE_URL" { // ignored: a malformed INNGEST_DEV is taken for dev mode
				continue
			}
			list = append(list, v.Name+"=\xff/$")
			want = append(want, config.Fault{Variable: v.Name, Want: v.Want})
		}
		_, err := config.Load(list, "", everything)
		if d := cmp.Diff(want, faults(t, err)); d != "" {
			t.Errorf("faults (-want +got)\n%s", d)
		}
	})
}

func TestReconcileEvery(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"30 4 * * *":       24 * time.Hour,
		"*/5 * * * *":      5 * time.Minute,
		"*/5 9-17 * * 1-5": 63*time.Hour + 5*time.Minute, // from Friday to Monday
		"* * * * 1":        6*24*time.Hour + time.Minute,
		"* * 1 * *":        30*24*time.Hour + time.Minute,
		"TZ=UTC 0 0 1 * *": 31 * 24 * time.Hour,
		"0 0 1 1 *":        365 * 24 * time.Hour,
	} {
		// Whenever the program is started.
		synctest.Test(t, func(t *testing.T) {
			for range 8 {
				c, err := config.Load(env("CLERK_SECRET_KEY=sk_test_1", "RECONCILE_CRON="+value), "", everything)
				if got := c.ReconcileEvery; err != nil || want != got {
					t.Errorf("%s, on %v: want %v, got %v, error %v", value, time.Now(), want, got, err)
				}
				<-time.After(29 * time.Hour) // of a clock that does not wait
			}
		})
	}
}

func TestNoRoleRequiresNothing(t *testing.T) {
	t.Parallel()
	want := defaults(func(c *config.Config) {
		c.WebhookSecrets, c.DatabaseURI, c.Inngest = nil, "", config.Inngest{AppID: "glowup-app"}
	})
	got, err := config.Load(nil, "", config.NoRole)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("config (-want +got)\n%s", d)
	}
}

func TestDotEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string // beside the least
		file string
		want func(*config.Config)
	}{
		{"it fills in what is not set", nil, "PORT=8080\nexport LOG_LEVEL=debug # as we like it\n\n# LOG_FORMAT=text\n", func(c *config.Config) {
			c.Port, c.LogLevel = 8080, slog.LevelDebug
		}},
		{"the environment wins", []string{"PORT=8081"}, "PORT=8080\n", func(c *config.Config) { c.Port = 8081 }},
		{"the environment wins when it is set empty", []string{"INNGEST_DEV="}, "INNGEST_DEV=1\n", nil},
		{"the environment wins when it is white space", []string{"PORT= "}, "PORT=8080\n", nil},
		{"the environment wins by any name", []string{"CLERK_WEBHOOK_SECRET=", "CLERK_WEBHOOK_SIGNING_SECRET=" + secret2}, "CLERK_WEBHOOK_SECRET=" + secret1, func(c *config.Config) {
			c.WebhookSecrets = []config.Secret{secret2}
		}},
		{"another name of what is set empty counts", []string{"CLERK_WEBHOOK_SECRET="}, "CLERK_WEBHOOK_SIGNING_SECRET=" + secret2, func(c *config.Config) {
			c.WebhookSecrets = []config.Secret{secret2}
		}},
		{"a name refers to an earlier line", nil, "USERS_COLLECTION=app\nDATABASE_NAME=$USERS_COLLECTION\n", func(c *config.Config) {
			c.UsersCollection, c.DatabaseName = "app", "app"
		}},
		{"Windows' ends of lines", nil, "PORT=8080\r\nLOG_FORMAT=\"text\"\r\n", func(c *config.Config) { c.Port, c.LogFormat = 8080, "text" }},
		{"an empty file", nil, "", nil},
		{"empty values", nil, "PORT=\nLOG_FORMAT=''\nLOG_LEVEL=\"\"\nDATABASE_NAME=", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var edits []func(*config.Config)
			if tt.want != nil {
				edits = append(edits, tt.want)
			}
			got, err := config.Load(env(tt.env...), dotenv(t, tt.file), everything)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(defaults(edits...), got); d != "" {
				t.Errorf("config (-want +got)\n%s", d)
			}
		})
	}

	t.Run("the first name counts in the file too", func(t *testing.T) {
		t.Parallel()
		got, err := config.Load(without(env(), "INNGEST_API_KEY"), dotenv(t, "INNGEST_EVENT_KEY=second\nINNGEST_API_KEY=first\n"), everything)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(config.Secret("first"), got.Inngest.EventKey); d != "" {
			t.Errorf("event key (-want +got)\n%s", d)
		}
	})
	t.Run("a password with a dollar sign, between single quotes", func(t *testing.T) {
		t.Parallel()
		const uri = "mongodb://sync:pa$WORD#1@db.example.com/app"
		got, err := config.Load(without(env(), "DATABASE_URI"), dotenv(t, "DATABASE_URI='"+uri+"'\n"), everything)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(config.Secret(uri), got.DatabaseURI); d != "" {
			t.Errorf("uri (-want +got)\n%s", d)
		}
	})
	t.Run("no file", func(t *testing.T) {
		t.Parallel()
		if _, err := config.Load(env(), filepath.Join(t.TempDir(), ".env"), everything); err != nil {
			t.Errorf("want no error, got %v", err)
		}
	})
	t.Run("its values are checked", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(env(), dotenv(t, "PORT=canary\nLOG_LEVEL=canary\n"), everything)
		if got := faults(t, err); len(got) != 2 {
			t.Errorf("want 2 faults, got %+v", got)
		}
	})
}

func TestDotEnvThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no NAME=value":        "PORT=1\nwhsec_canary\n",
		"a quote without end":  "CLERK_WEBHOOK_SECRET='whsec_canary",
		"a name that is none":  "whsec-canary=1\n",
		"a binary file":        "\x00\x01canary\xff",
		"a byte order mark":    "\ufeffPORT=canary",
		"a document with JSON": `{"CLERK_WEBHOOK_SECRET": "canary"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := dotenv(t, text)
			_, err := config.Load(env(), path, everything)
			if err == nil {
				t.Fatal("want an error, got none")
			}
			if want := fmt.Sprintf("read %s: it is not lines of NAME=value", path); err.Error() != want {
				t.Errorf("want %q, got %q", want, err)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		if _, err := config.Load(env(), t.TempDir(), everything); err == nil {
			t.Error("want an error, got none")
		}
	})
}
