package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
)

func (d *doctor) serverChecks(f facts) []check {
	return []check{
		{"server", func(ctx context.Context) (string, error) { return d.checkReady(ctx, f) }, "start `clerksync serve`, or name the server with --url"},
		{
			"unsigned webhook", func(context.Context) (string, error) { return d.checkUnsigned(f) },
			"something answers in the server's place, or lets anybody write: look at the proxy in front of it",
		},
		{
			"webhook secret", func(context.Context) (string, error) { return d.checkSecret(f) },
			"give the server and this command the same CLERK_WEBHOOK_SECRET, that of the endpoint's page in Clerk's dashboard; see the line clock, too",
		},
		{
			"hand-over", func(context.Context) (string, error) { return d.checkHandOver(f) },
			"see the lines inngest and configuration; is INNGEST_API_KEY an event key of the app's environment? The server's log says why: webhook refused",
		},
	}
}

// serverFound is the server, and what it answers to a webhook that nobody signed.
type serverFound struct {
	url   string
	reply reply
	clock reading
}

// findServer takes the first address at which a bridge answers, else the first at which anything does. A proxy may let nothing
// through but the two routes, so it is the bridge that is asked.
func (d *doctor) findServer(ctx context.Context) (serverFound, error) {
	var first *serverFound
	var errs []error
	for _, to := range d.urls {
		s, err := d.knock(ctx, to)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", to, reason(err)))
			continue
		}
		var answer struct{ Error string }
		if json.Unmarshal([]byte(s.reply.text), &answer) == nil && answer.Error != "" {
			return s, nil
		}
		if first == nil {
			first = &s
		}
	}
	switch {
	case first != nil:
		return *first, nil
	case len(errs) == 0:
		return serverFound{}, notConfigured
	default:
		return serverFound{}, errors.Join(errs...)
	}
}

func (d *doctor) knock(ctx context.Context, to string) (serverFound, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s := serverFound{url: to}
	before := time.Now()
	r, h, err := d.ask(ctx, http.MethodPost, to+webhookPath, []byte("{}"))
	s.reply, s.clock = r, newReading(h, before, time.Now())
	return s, err
}

// serverThere is skipped where there is no server to ask: the line server says that already.
func serverThere(f facts) (serverFound, error) {
	s, err := f.server()
	if err != nil {
		return s, skipped("the server does not answer")
	}
	return s, nil
}

func (d *doctor) checkReady(ctx context.Context, f facts) (string, error) {
	s, err := f.server()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, _, err := d.ask(ctx, http.MethodGet, s.url+"/readyz", nil)
	switch {
	case err != nil:
		return "", err
	case r.status == http.StatusOK:
		return s.url + " is ready", nil
	case r.status == http.StatusServiceUnavailable:
		return "", &fault{s.url + ": " + refusalText(r.text), "the server's log says more; docs/operations.md, Is it well?"}
	default:
		return "", skipped(fmt.Sprintf("%s answers, but not to GET /readyz (status %d): ask beside the server", s.url, r.status))
	}
}

func (d *doctor) checkUnsigned(f facts) (string, error) {
	s, err := serverThere(f)
	if err != nil {
		return "", err
	}
	if s.reply.status != http.StatusUnauthorized {
		return "", fmt.Errorf("an unsigned webhook was answered %d, not 401", s.reply.status)
	}
	return "refused with 401", nil
}

// probe posts a webhook signed with each of the secrets. It waits for the metrics: they say when the last webhook came.
func (d *doctor) probe(ctx context.Context, f facts) ([]reply, error) {
	s, err := serverThere(f)
	if err != nil {
		return nil, err
	}
	if len(d.cfg.WebhookSecrets) == 0 {
		return nil, notConfigured
	}
	_, _ = f.page()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	replies := make([]reply, len(d.cfg.WebhookSecrets))
	all := make([]check, len(replies))
	for i, secret := range d.cfg.WebhookSecrets {
		all[i].run = func(ctx context.Context) (string, error) {
			replies[i] = d.probeWith(ctx, s.url, secret)
			return "", nil
		}
	}
	examine(ctx, all)
	return replies, nil
}

func (d *doctor) probeWith(ctx context.Context, to string, secret config.Secret) reply {
	signer, err := svix.NewWebhook(secret.Reveal())
	if err != nil {
		return reply{err: errors.New("not base64 behind whsec_")}
	}
	now := time.Now()
	m := message{id: "msg_doctor_" + rand.Text(), body: fmt.Appendf(nil, `{"type":%q,"timestamp":%d,"data":{"from":"clerksync doctor"},"object":"event"}`,
		strings.TrimPrefix(clerk.Probe, "clerk/"), now.UnixMilli())}
	headers, err := (&trigger{signer: signer}).headers(m, now)
	if err != nil {
		return reply{err: err}
	}
	r, _, err := d.ask(ctx, http.MethodPost, to+webhookPath, m.body, headers...)
	if err != nil {
		return reply{err: err}
	}
	if want := fmt.Sprintf(`{"id":%q}`, m.id); r.status == http.StatusOK && strings.TrimSpace(r.text) != want {
		r.err = fmt.Errorf("the answer to a probe is not %s", want)
	}
	return r
}

func (d *doctor) checkSecret(f facts) (string, error) {
	replies, err := f.probes()
	if err != nil {
		return "", err
	}
	for i, r := range replies {
		which := fmt.Sprintf("secret %d of %d", i+1, len(replies))
		switch {
		case r.err != nil:
			return "", fmt.Errorf("%s: %w", which, r.err)
		case r.status != http.StatusOK && r.status != http.StatusServiceUnavailable:
			return "", fmt.Errorf("a webhook signed with %s was answered %d", which, r.status)
		}
	}
	return "a signed webhook is verified", nil
}

func (d *doctor) checkHandOver(f facts) (string, error) {
	replies, err := f.probes()
	if err != nil {
		return "", err
	}
	for _, r := range replies {
		switch {
		case r.err == nil && r.status == http.StatusOK:
			return "Inngest accepted the event " + clerk.Probe, nil
		case r.err == nil && r.status == http.StatusServiceUnavailable:
			return "", fmt.Errorf("a webhook was answered 503: %s", refusalText(r.text))
		}
	}
	return "", skipped("no webhook was verified")
}

// refusalText is what the bridge says.
func refusalText(body string) string {
	var answer struct{ Error string }
	_ = json.Unmarshal([]byte(body), &answer) // else nothing is shown
	return oneLine(answer.Error)
}

// metricsPage is the server's /metrics.
type metricsPage string

func (d *doctor) readMetrics(ctx context.Context, f facts) (metricsPage, error) {
	s, err := serverThere(f)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, _, err := d.ask(ctx, http.MethodGet, s.url+"/metrics", nil)
	switch {
	case err != nil:
		return "", skipped("GET /metrics: " + reason(err))
	case r.status != http.StatusOK:
		return "", skipped(fmt.Sprintf("GET /metrics was answered %d: ask beside the server", r.status))
	}
	return metricsPage(r.text), nil
}

// value is that of a metric without labels: https://prometheus.io/docs/instrumenting/exposition_formats/.
func (p metricsPage) value(name string) (float64, bool) {
	lines := bufio.NewScanner(strings.NewReader(string(p)))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// at is a metric in Unix seconds.
func (p metricsPage) at(name string) (time.Time, bool) {
	v, ok := p.value(name)
	return time.UnixMilli(int64(v * 1000)), ok && v > 0
}
