package inngest

import (
	"net/url"
	"testing"
)

// A self-hosted Inngest names the address that its gateway listens on, not the one to reach it at.
func TestGateway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, says, want string }{
		{"http://inngest:8288", "ws://0.0.0.0:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		{"http://inngest:8288", "ws://127.0.0.1:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		{"http://inngest:8288", "ws://:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		{"http://inngest:8288", "ws://[::]:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		{"http://[2001:db8::1]:8288", "ws://localhost:8289/v0/connect", "ws://[2001:db8::1]:8289/v0/connect"},
		{"http://inngest:8288", "wss://gateway.example.com/v0/connect", "wss://gateway.example.com/v0/connect"},
		{"http://127.0.0.1:8288", "ws://127.0.0.1:8289/v0/connect", "ws://127.0.0.1:8289/v0/connect"},
		{"", "wss://gw.connect.inngest.com/v0/connect", "wss://gw.connect.inngest.com/v0/connect"},
	} {
		says, err := url.Parse(tt.says)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Options{BaseURL: tt.base}.gateway(*says)
		if err != nil || tt.want != got.String() {
			t.Errorf("gateway %s of %s: want %s, got %s, error %v", tt.says, tt.base, tt.want, &got, err)
		}
	}
}
