package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
)

const (
	// postTimeout is Svix's: https://docs.svix.com/retries.
	postTimeout = 15 * time.Second
	// maxReplyBytes bounds what is read of an answer; maxShownRunes what is shown of it.
	maxReplyBytes = 64 << 10
	maxShownRunes = 300
)

// reply is what became of a webhook: an answer, or err.
type reply struct {
	status int
	text   string
	err    error
}

func (r reply) accepted() bool { return r.status >= 200 && r.status < 300 }

// tally is what became of all webhooks.
type tally struct {
	sent     int
	accepted int
	statuses map[int]int // 0: not answered
	failed   reply       // one that was not accepted
	users    []string    // those that an accepted webhook was about
	took     time.Duration
}

func (s *tally) add(userID string, r reply) {
	s.statuses[r.status]++
	if !r.accepted() {
		s.failed = r
		return
	}
	s.accepted++
	if userID != "" && (len(s.users) == 0 || s.users[len(s.users)-1] != userID) {
		s.users = append(s.users, userID)
	}
}

// send posts the webhooks and prints a line for each as it is answered.
func (t *trigger) send(ctx context.Context, stdout io.Writer) (tally, error) {
	client := t.client()
	defer client.CloseIdleConnections()
	start := time.Now()
	sum := tally{statuses: map[int]int{}}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(t.concurrency)
	for ; sum.sent < t.count && ctx.Err() == nil; sum.sent++ {
		m, err := t.next(sum.sent, time.Now())
		if err != nil {
			return sum, errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			r := t.post(ctx, client, m)
			mu.Lock()
			defer mu.Unlock()
			sum.add(m.userID, r)
			_, err := fmt.Fprintln(stdout, t.line(m, r))
			return err
		})
	}
	err := g.Wait()
	sum.took = time.Since(start)
	return sum, err
}

func (t *trigger) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: t.concurrency,
		},
		Timeout:       postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // as Svix does
	}
}

func (t *trigger) post(ctx context.Context, client *http.Client, m message) reply {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(m.body))
	if err != nil {
		return reply{err: err}
	}
	headers, err := t.headers(m, time.Now())
	if err != nil {
		return reply{err: err}
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes))
	if err != nil {
		return reply{err: fmt.Errorf("read answer: %w", err)}
	}
	return reply{status: resp.StatusCode, text: string(text)}
}

type header struct{ name, value string }

func (t *trigger) headers(m message, now time.Time) ([]header, error) {
	signature, err := t.signer.Sign(m.id, now, m.body)
	if err != nil {
		return nil, fmt.Errorf("sign webhook: %w", err)
	}
	return []header{
		{"content-type", "application/json"},
		{"user-agent", "clerksync-trigger"},
		{"svix-id", m.id},
		{"svix-timestamp", strconv.FormatInt(now.Unix(), 10)},
		{"svix-signature", signature},
	}, nil
}

// printCurl prints each webhook as a command for a POSIX shell.
func (t *trigger) printCurl(w io.Writer) error {
	for n := range t.count {
		now := time.Now()
		m, err := t.next(n, now)
		if err != nil {
			return err
		}
		headers, err := t.headers(m, now)
		if err != nil {
			return err
		}
		var b strings.Builder
		fmt.Fprintf(&b, "curl -i -X POST %s", shellQuote(t.url))
		for _, h := range headers {
			fmt.Fprintf(&b, " \\\n  -H %s", shellQuote(h.name+": "+h.value))
		}
		fmt.Fprintf(&b, " \\\n  --data-raw %s\n", shellQuote(string(m.body)))
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// shellQuote is s as one word of a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (t *trigger) line(m message, r reply) string {
	status, text := strconv.Itoa(r.status), r.text
	if r.err != nil {
		status, text = "---", cause(r.err)
	}
	return fmt.Sprintf("%s  %s  %s  %s  %s", status, t.event, m.userID, m.id, oneLine(text))
}

// oneLine keeps a foreign answer from writing to the terminal as it likes.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }), " ")
	if r := []rune(s); len(r) > maxShownRunes {
		s = string(r[:maxShownRunes]) + "…"
	}
	return s
}

// cause is err without the method and URL that net/http puts before it.
func cause(err error) string {
	var u *url.Error
	if !errors.As(err, &u) {
		return err.Error()
	}
	if u.Timeout() {
		return fmt.Sprintf("no answer within %s", postTimeout)
	}
	return u.Err.Error()
}

func (s tally) String() string {
	var parts []string
	for status, n := range s.statuses {
		if status == 0 {
			parts = append(parts, fmt.Sprintf("%d not answered", n))
		} else {
			parts = append(parts, fmt.Sprintf("%d answered %d", n, status))
		}
	}
	slices.Sort(parts)
	return fmt.Sprintf("%d webhooks in %.1f s, %.0f a second: %s",
		s.sent, s.took.Seconds(), float64(s.sent)/s.took.Seconds(), strings.Join(parts, ", "))
}

// refused is nil when every webhook was accepted, else an error with what to do about it.
func (t *trigger) refused(s tally) error {
	what := "the webhook was not accepted"
	if t.count > 1 {
		what = fmt.Sprintf("%d of %d webhooks were not accepted", t.count-s.accepted, t.count)
	}
	var dial *net.OpError
	switch {
	case s.accepted == t.count:
		return nil
	case s.sent < t.count:
		return fmt.Errorf("%s: stopped after %d", what, s.sent)
	case errors.As(s.failed.err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%s: nothing listens at %s; start `clerksync dev`, or name the bridge with --url", what, t.url)
	case s.failed.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: the server does not take the secret from %s", what, t.signedBy)
	default:
		return errors.New(what)
	}
}
