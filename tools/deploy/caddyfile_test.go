package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
	for _, want := range []string{fmt.Sprintf("dynamic a { name clerksync port %d ", port), " lb_try_duration "} {
		if !strings.Contains(got[1], want) {
			t.Errorf("want %s, got %s", want, got[1])
		}
	}
}
