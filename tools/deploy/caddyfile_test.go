package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// The Caddyfile as Caddy's parser reads it. What Caddy makes of it is tested in ./proxy, and under load by `make test-fleet`.
func TestCaddyfile(t *testing.T) {
	t.Setenv("SITE_ADDRESS", "sync.example.com")
	text := []byte(read(t, "../../deploy/Caddyfile"))
	if string(caddyfile.Format(text)) != string(text) {
		t.Error("want the Caddyfile as `caddy fmt` writes it")
	}
	blocks, err := caddyfile.Parse("Caddyfile", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 2 || !slices.Equal(blocks[1].GetKeysText(), []string{"sync.example.com"}) {
		t.Fatalf("want the options and one site, got %+v", blocks)
	}
	var got []string
	for _, s := range blocks[1].Segments {
		var words []string
		for _, token := range s {
			words = append(words, token.Text)
		}
		got = append(got, strings.Join(words, " "))
	}
	if len(got) != 3 || got[0] != fmt.Sprintf("@webhook { method POST path %s }", webhookPath) ||
		!strings.HasPrefix(got[1], "handle @webhook { reverse_proxy {") || got[2] != "handle { respond 404 }" {
		t.Errorf("want the webhook passed on and 404 for the rest, got %q", got)
	}
	if want := fmt.Sprintf("dynamic a { name clerksync port %d ", port); !strings.Contains(got[1], want) {
		t.Errorf("want %s, got %s", want, got[1])
	}
	// A try that begins when the tries are over still connects and waits for its answer.
	var longest time.Duration
	for _, option := range []string{"lb_try_duration", "dial_timeout", "response_header_timeout"} {
		_, value, _ := strings.Cut(got[1], " "+option+" ")
		value, _, _ = strings.Cut(value, " ")
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Errorf("%s: %v", option, err)
		}
		longest += d
	}
	if longest >= svixWaits {
		t.Errorf("want an answer before Svix gives up after %v, it may take %v", svixWaits, longest)
	}
}
