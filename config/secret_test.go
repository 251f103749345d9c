package config_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/glowup-app/clerksync/config"
)

// shown is everything that a configuration could be printed as.
func shown(t *rapid.T, c config.Config) []string {
	t.Helper()
	all := []string{}
	values := []any{c, &c, c.WebhookSecrets, c.Inngest, map[string]any{"config": c}, []config.Config{c}}
	for _, s := range append([]config.Secret{c.DatabaseURI, c.Inngest.EventKey, c.Inngest.SigningKey, c.Inngest.SigningKeyFallback, c.ClerkSecretKey}, c.WebhookSecrets...) {
		values = append(values, s, &s, fmt.Errorf("connect %v", s))
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%20v"} {
			all = append(all, fmt.Sprintf(verb, v))
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).LogAttrs(t.Context(), slog.LevelInfo, "configured", slog.Any("value", v), slog.Group("group", slog.Any("value", v)))
		}
		all = append(all, log.String())
	}
	return all
}

func TestConfigHidesItsSecrets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Random enough not to appear by chance, and short enough to appear in part.
		token := rapid.StringMatching(`[a-z0-9]{16}`)
		secrets := map[string]string{}
		draw := func(name string) string {
			secrets[name] = token.Draw(t, name)
			return secrets[name]
		}
		key := base64.StdEncoding.EncodeToString([]byte(token.Draw(t, "webhook key")))
		secrets["webhook key"] = key
		signing := hex.EncodeToString([]byte(token.Draw(t, "signing key")))
		secrets["signing key"] = signing
		fallback := hex.EncodeToString([]byte(token.Draw(t, "fallback")))
		secrets["fallback"] = fallback
		c, err := config.Load([]string{
			"CLERK_WEBHOOK_SECRET=" + secret1 + ",whsec_" + key,
			"DATABASE_URI=mongodb://sync:" + draw("password") + "@localhost/glowup",
			"INNGEST_API_KEY=" + draw("event key"),
			"INNGEST_SIGNING_KEY=signkey-prod-" + signing,
			"INNGEST_SIGNING_KEY_FALLBACK=signkey-prod-" + fallback,
			"CLERK_SECRET_KEY=sk_test_" + draw("Clerk's key"),
		}, "", everything)
		if err != nil {
			t.Fatal(err)
		}
		secrets["first webhook key"] = strings.TrimPrefix(secret1, "whsec_")
		forms := map[string]string{}
		for name, secret := range secrets {
			forms[secret], forms[fmt.Sprintf("%x", secret)], forms[fmt.Sprintf("%X", secret)] = name, name, name
		}
		for _, text := range shown(t, c) {
			for form, name := range forms {
				if strings.Contains(text, form) {
					t.Errorf("the %s is in %s", name, text)
				}
			}
		}
		if got := c.WebhookSecrets[1].Reveal(); got != "whsec_"+key {
			t.Errorf("want the secret revealed, got %q", got)
		}
	})
}

func TestErrorsHideEveryValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const canary = "c4n4ry"
		around := rapid.StringMatching(`[ -~]{0,8}`)
		var list []string
		for _, v := range config.Variables() {
			for _, name := range append([]string{v.Name}, v.Aliases...) {
				prefix := rapid.SampledFrom([]string{"", "whsec_", "mongodb://", "http://", "signkey-prod-", "sk_", "1"}).Draw(t, "prefix")
				list = append(list, name+"="+prefix+around.Draw(t, "before")+canary+around.Draw(t, "after"))
			}
		}
		_, err := config.Load(list, "", everything)
		if err == nil {
			t.Fatal("want an error, got none") // PORT, for one, is no number
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v", err, err, err)} {
			if strings.Contains(text, canary) {
				t.Errorf("a value is in %s", text)
			}
		}
	})
}

func TestSecretShowsWhetherThereIsOne(t *testing.T) {
	t.Parallel()
	for secret, want := range map[config.Secret]string{"": "", "whsec_x": "[secret]"} {
		if got := fmt.Sprint(secret); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
