package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that would take either protocol gets the one that is offered, and the connections are those that it has.
func TestSecureOffersOneProtocol(t *testing.T) {
	t.Parallel()
	in, err := startIngest()
	if err != nil {
		t.Fatal(err)
	}
	in.latency.Store(int64(50 * time.Millisecond)) // so that requests are under way together
	path := filepath.Join(t.TempDir(), "ingest.pem")
	certificate, err := newCertificate(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	for protocol, want := range map[string]struct {
		version string
		most    func(connections int64) bool
	}{
		http1: {"HTTP/1.1", func(n int64) bool { return n > 1 }},
		http2: {"HTTP/2.0", func(n int64) bool { return n >= 1 }},
	} {
		s, err := serveSecure(in, protocol, certificate)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		var wait sync.WaitGroup
		for n := range 4 {
			wait.Go(func() {
				id := messagePrefix + string(appendID(nil, int64(n)))
				body := fmt.Sprintf(`[{"id":"%s","name":"clerk/user.updated","data":{"id":"user_1"}}]`, id)
				resp, err := (&http.Client{Transport: transport}).Post(s.url+"/e/bench", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				answer, err := io.ReadAll(resp.Body)
				if err != nil || want.version != resp.Proto || !strings.Contains(string(answer), id) {
					t.Errorf("%s: want %s and %s, got %s, %s, error %v", protocol, want.version, id, resp.Proto, answer, err)
				}
			})
		}
		wait.Wait()
		if most := s.most.Load(); !want.most(most) {
			t.Errorf("%s: got %d connections", protocol, most)
		}
	}
	if n := in.malformed.Load(); n > 0 {
		t.Errorf("want all requests taken, got %d malformed", n)
	}
}
