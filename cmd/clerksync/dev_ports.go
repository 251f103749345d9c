//go:build !nodev

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"
)

// port is one that dev listens on, on the loopback interface only.
type port struct {
	number   int // 0: any free one, until it is taken
	what     string
	flag     string
	listener net.Listener
}

// takePorts takes all of them, or says which ones can't be had.
func takePorts(ctx context.Context, ports []*port) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.take(ctx))
	}
	return errors.Join(errs...)
}

func freePorts(ports []*port) {
	for _, p := range ports {
		p.free()
	}
}

func (p *port) take(ctx context.Context) error {
	addr := strconv.Itoa(p.number)
	// A program that listens on another interface, or on all, can leave 127.0.0.1 to us and get the requests
	// to localhost: macOS allows it, and everywhere ::1 is another address.
	dialer := net.Dialer{Timeout: time.Second}
	if conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("localhost", addr)); p.number != 0 && err == nil {
		_ = conn.Close()
		return fmt.Errorf("port %d (%s, %s) is taken", p.number, p.what, p.flag)
	}
	l, err := listenOn(ctx, "127.0.0.1", p.number)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d (%s, %s) is taken", p.number, p.what, p.flag)
	case err != nil:
		return fmt.Errorf("port %d (%s, %s): %w", p.number, p.what, p.flag, err)
	}
	p.listener = l
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		p.number = tcp.Port
	}
	return nil
}

// listenOn takes number 0 for any free port. It is given up before its program listens there, so it is looked for
// below those that systems hand out for outgoing connections (from 32768 or 49152): such a connection could take it
// meanwhile.
func listenOn(ctx context.Context, host string, number int) (net.Listener, error) {
	const least, most, tries = 15000, 30000, 100
	var lc net.ListenConfig
	for range tries {
		n := number
		if n == 0 {
			n = least + rand.IntN(most-least) //nolint:gosec // it spreads programs, it guards nothing
		}
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(n)))
		if number != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("no free port in %d tries", tries)
}

// free gives the port to the program that shall have it. It is safe to call it again, and on a port that was
// not taken.
func (p *port) free() {
	if p.listener != nil {
		_ = p.listener.Close()
	}
}

// spare finds n free ports, for what nobody needs to know the address of.
func spare(ctx context.Context, n int) ([]string, error) {
	var free []string
	for range n {
		l, err := listenOn(ctx, "", 0) // the Dev Server listens for its connect gateway on all interfaces
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // held until all are found, so that they differ
		_, number, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		free = append(free, number)
	}
	return free, nil
}
