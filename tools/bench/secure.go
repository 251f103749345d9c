package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Protocols of the event API over TLS, as the handshake names them.
const (
	http1 = "http/1.1"
	http2 = "h2"
)

// secure is the event API over TLS. It offers one protocol, and a client that would rather speak another takes it.
type secure struct {
	url        string
	open, most atomic.Int64 // connections
}

// serveSecure answers as in does, by net/http for either protocol, so that what differs is the protocol.
func serveSecure(in *ingest, protocol string, certificate tls.Certificate) (*secure, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &secure{url: "https://" + listener.Addr().String()}
	var only http.Protocols
	only.SetHTTP1(protocol == http1)
	only.SetHTTP2(protocol == http2)
	bodies := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Protocols: &only,
		ConnState: s.count,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := bodies.Get().(*bytes.Buffer)
			defer bodies.Put(body)
			body.Reset()
			if _, err := body.ReadFrom(r.Body); err != nil {
				return // it was cut off
			}
			if (r.ProtoMajor == 2) != (protocol == http2) {
				in.malformed.Add(1)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(in.take(body.Bytes(), nil))
		}),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return s, nil
}

func (s *secure) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		open := s.open.Add(1)
		for most := s.most.Load(); open > most && !s.most.CompareAndSwap(most, open); most = s.most.Load() {
		}
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

// watch begins to count the most connections anew.
func (s *secure) watch() { s.most.Store(s.open.Load()) }

// newCertificate is one that trusts itself; its PEM goes to path, for SSL_CERT_FILE.
func newCertificate(path string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(path, text, 0o600)
}
