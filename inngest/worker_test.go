package inngest

import (
	"net/url"
	"testing"
)

// No key and no user goes to Inngest in plain text, where its API is not spoken to so.
func TestGateway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, says, want string }{
		{"http://inngest:8288", "ws://inngest:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		{"https://inngest.example.com", "ws://inngest.example.com:8289/v0/connect", "wss://inngest.example.com:8289/v0/connect"},
		{"https://inngest.example.com", "wss://gateway.example.com/v0/connect", "wss://gateway.example.com/v0/connect"},
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
