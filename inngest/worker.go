package inngest

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"

	"github.com/glowup-app/clerksync/clerk"
)

const (
	// workerRuns bounds the runs at once of one worker, whose events are in memory; Inngest gives more to another one, or waits. A
	// run of 50 ms lets it do 640 a second, more than a core can.
	workerRuns = int64(32)
	// workerCheckEvery is how soon a lost connection is seen: inngestgo tells nobody.
	workerCheckEvery = 250 * time.Millisecond
	// workerPatience is how long inngestgo may take to restore a connection before we make a new one: after five tries, it
	// gives up for good, and tells nobody.
	workerPatience = 15 * time.Second
	// workerCloseTimeout bounds the end of a connection, within the 15 s that stopping may take.
	workerCloseTimeout = 10 * time.Second
	// workerMaxDelay is between two tries to connect.
	workerMaxDelay = 10 * time.Second
)

// Work runs the functions over Inngest Connect, a WebSocket to Inngest, so that no request has to come in. It connects, again and
// again, until ctx is done; then it takes no more runs, and returns when those under way have ended or inngestgo has waited 5 s
// for them. Inngest repeats what got no answer.
func (f *Functions) Work(ctx context.Context) {
	delays := backoff.NewExponentialBackOff()
	delays.MaxInterval = workerMaxDelay
	for ctx.Err() == nil {
		began := time.Now()
		err := f.work(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > workerMaxDelay {
			delays.Reset()
		}
		wait := delays.NextBackOff()
		f.o.Logger.LogAttrs(ctx, slog.LevelWarn, "worker not connected", slog.String(clerk.KeyError, err.Error()), slog.Duration(clerk.KeyRetryIn, wait))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// work is one connection, from its beginning to its end.
func (f *Functions) work(ctx context.Context) error {
	// inngestgo's goroutines end with this context, those that still have a run to end, too: so it outlives ctx.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	connecting := context.AfterFunc(ctx, end)
	conn, err := inngestgo.Connect(life, f.connectOptions())
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "fallback"): // all that inngestgo says where no key is accepted
		return ErrSigningKey
	default:
		return err
	}
	defer f.disconnect(ctx, conn)
	if !connecting() {
		return ctx.Err()
	}
	f.connection.Store(&conn)
	f.o.Logger.LogAttrs(ctx, slog.LevelInfo, "worker connected")
	tick := time.NewTicker(workerCheckEvery)
	defer tick.Stop()
	for active := time.Now(); time.Since(active) < workerPatience; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		switch conn.State() {
		case connect.ConnectionStateActive:
			active = time.Now()
		case connect.ConnectionStateClosed:
			return errDisconnected
		}
	}
	return errDisconnected
}

// disconnect waits for the runs under way, but not for an Inngest that hangs.
func (f *Functions) disconnect(ctx context.Context, conn connect.WorkerConnection) {
	f.connection.Store(nil)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := conn.Close(); err != nil {
			f.o.Logger.LogAttrs(ctx, slog.LevelDebug, "worker connection not closed", slog.String(clerk.KeyError, err.Error()))
		}
	}()
	select {
	case <-closed:
	case <-time.After(workerCloseTimeout):
	}
}

// Connected says whether Inngest can give runs to this worker.
func (f *Functions) Connected() bool {
	conn := f.connection.Load()
	return conn != nil && (*conn).State() == connect.ConnectionStateActive
}

func (f *Functions) connectOptions() inngestgo.ConnectOpts {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	instance, runs, limit := fmt.Sprintf("%s-%d", host, os.Getpid()), workerRuns, int64(maxInvokeBytes)
	return inngestgo.ConnectOpts{
		Apps: []inngestgo.Client{f.client}, InstanceID: &instance, MaxWorkerConcurrency: &runs, MessageReadLimit: &limit,
		RewriteGatewayEndpoint: f.o.gateway,
	}
}

// gateway is how to reach Inngest's gateway. A self-hosted Inngest (v1.43) says ws:// of it in any case. Where its API is told the signing
// key by TLS, the gateway is not told it without, nor users: something must end TLS on the gateway's port, too.
func (o Options) gateway(endpoint url.URL) (url.URL, error) {
	if strings.HasPrefix(o.BaseURL, "https://") && endpoint.Scheme == "ws" {
		endpoint.Scheme = "wss"
	}
	return endpoint, nil
}
