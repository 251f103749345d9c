// Command peer is the least bridge that net/http allows, for bench to measure beside clerksync serve: PORT,
// CLERK_WEBHOOK_SECRET, EVENTS (URL).
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// peer does the least that a bridge can do: one HMAC, one POST over a pooled connection for each webhook.
// It checks no timestamp, retries nothing, bounds nothing and logs nothing, so it is a limit to measure against, not
// a program to run.
type peer struct {
	events string // URL
	client *http.Client
	macs   sync.Pool // of hash.Hash
	bodies sync.Pool // of *bytes.Buffer
}

func main() {
	if err := serve("127.0.0.1:"+os.Getenv("PORT"), os.Getenv("CLERK_WEBHOOK_SECRET"), os.Getenv("EVENTS")); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// serve runs until a signal ends the process.
func serve(addr, secret, events string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	p := &peer{
		events: events,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true}},
		macs:   sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/webhooks/clerk", p.webhook)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "server is running") })
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

func (p *peer) webhook(w http.ResponseWriter, r *http.Request) {
	body := p.bodies.Get().(*bytes.Buffer)
	defer p.bodies.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(io.LimitReader(r.Body, 1<<20)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id := r.Header.Get("Svix-Id")
	if !p.verify(id, r.Header.Get("Svix-Timestamp"), r.Header.Get("Svix-Signature"), body.Bytes()) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	typ, data := gjson.GetBytes(body.Bytes(), "type"), gjson.GetBytes(body.Bytes(), "data")
	if !p.send(r.Context(), `[{"id":"`+id+`","name":"clerk/`+typ.Str+`","data":`+data.Raw+`}]`) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id":"`+id+`"}`)
}

func (p *peer) verify(id, timestamp, signature string, body []byte) bool {
	mac := p.macs.Get().(hash.Hash)
	defer p.macs.Put(mac)
	mac.Reset()
	_, _ = io.WriteString(mac, id+"."+timestamp+".")
	_, _ = mac.Write(body)
	return hmac.Equal([]byte(signature), []byte("v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))))
}

func (p *peer) send(ctx context.Context, events string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.events, strings.NewReader(events))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}
