package clerk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	sdk "github.com/clerk/clerk-sdk-go/v2"
	"golang.org/x/time/rate"
)

// APIURL is Clerk's Backend API.
const APIURL = "https://api.clerk.com"

// APIOptions of an API; a zero field means its default.
type APIOptions struct {
	// URL is where the Backend API is, without the version. Default [APIURL].
	URL string
	// Timeout bounds one request. Default 15 s: a page of 500 users is a megabyte or two.
	Timeout time.Duration
	// Patience is how long one call is repeated while Clerk is busy, broken or away. Default 5 minutes.
	Patience time.Duration
}

// API reads users from Clerk's Backend API: https://clerk.com/docs/reference/backend-api. It keeps below Clerk's rate limit, and
// repeats what is answered 429 (after Retry-After), 5xx, garbage or nothing. Its methods may be called concurrently.
type API struct {
	backend sdk.Backend
	limiter *rate.Limiter
	o       APIOptions
}

// Clerk allows an instance 1,000 requests in 10 s in production and 100 in development:
// https://clerk.com/docs/guides/how-clerk-works/system-limits. The application shares them, so we leave it some.
const (
	productionRate  rate.Limit = 60
	developmentRate rate.Limit = 6
	burst                      = 5
)

// maxAnswerBytes bounds an answer. A page is under 2 MiB unless the users have large metadata.
const maxAnswerBytes = 64 << 20

// NewAPI is the API of the instance that the secret key ("sk_…") belongs to. It does not connect.
func NewAPI(secretKey string, o APIOptions) *API {
	o.URL = cmp.Or(o.URL, APIURL)
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	o.Patience = cmp.Or(o.Patience, 5*time.Minute)
	base := strings.TrimRight(o.URL, "/") + "/v1"
	limit := developmentRate
	if strings.HasPrefix(secretKey, "sk_live_") {
		limit = productionRate
	}
	return &API{
		backend: sdk.NewBackend(&sdk.BackendConfig{
			HTTPClient: &http.Client{Transport: transport{http.DefaultTransport}, CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the key goes nowhere else
			}},
			URL: &base,
			Key: &secretKey,
		}),
		limiter: rate.NewLimiter(limit, burst),
		o:       o,
	}
}

// ErrUnauthorized says that Clerk does not take the secret key.
var ErrUnauthorized = errors.New("clerk does not accept CLERK_SECRET_KEY")

// APIError is an answer of Clerk's that is no success.
type APIError struct {
	Status     int
	Code       string // Clerk's, such as resource_not_found; empty where the body was not Clerk's error
	RetryAfter int    // seconds; 0: none was given
}

// Error holds nothing of the body but Clerk's code.
func (e *APIError) Error() string {
	text := fmt.Sprintf("clerk answered with status %d", e.Status)
	if e.Status == http.StatusUnauthorized {
		text = ErrUnauthorized.Error()
	}
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text
}

// Is makes a 401 an [ErrUnauthorized].
func (e *APIError) Is(target error) bool {
	return target == ErrUnauthorized && e.Status == http.StatusUnauthorized
}

// passing says that the same request may succeed later.
func (e *APIError) passing() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= http.StatusInternalServerError
}

// call is one request, repeated while that can help. dst is what the answer's JSON is read into.
func (a *API) call(ctx context.Context, path string, query url.Values, dst any) error {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = 200*time.Millisecond, 30*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := a.try(ctx, path, query, dst)
		var answer *APIError
		switch {
		case errors.As(err, &answer) && !answer.passing():
			return struct{}{}, backoff.Permanent(err)
		case errors.As(err, &answer) && answer.RetryAfter > 0:
			return struct{}{}, fmt.Errorf("%w: %w", backoff.RetryAfter(answer.RetryAfter), err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(delays), backoff.WithMaxElapsedTime(a.o.Patience))
	return err
}

func (a *API) try(ctx context.Context, path string, query url.Values, dst any) error {
	if err := a.limiter.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	req := sdk.NewAPIRequest(http.MethodGet, path)
	req.SetParams(params{query: query})
	err := a.backend.Call(ctx, req, &answer{into: dst})
	var failed *url.Error // names the whole URL
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &failed):
		return failed.Err
	case errors.As(err, &syntax): // quotes the body
		return errUnexpected
	}
	return err
}

// params are a request's query.
type params struct {
	sdk.APIParams
	query url.Values
}

// ToQuery is the query.
func (p params) ToQuery() url.Values { return p.query }

// ToMultipart is nothing: we only read.
func (p params) ToMultipart() ([]byte, string, error) { return nil, "", nil }

// answer reads the body into something of ours.
type answer struct{ into any }

// Read takes no notice of the headers.
func (*answer) Read(*sdk.APIResponse) {}

// UnmarshalJSON says what is wrong without quoting the body.
func (a *answer) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, a.into) != nil {
		return errUnexpected
	}
	return nil
}

var errUnexpected = errors.New("clerk answered with something that its API does not")

// transport bounds answers, and turns those that are no success into an [APIError]: the SDK's own error for one without
// Clerk's JSON is the body, as it came, and no status.
type transport struct{ next http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswerBytes), resp.Body}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &APIError{Status: resp.StatusCode}
	var body sdk.APIErrorResponse
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && json.Unmarshal(raw, &body) == nil && len(body.Errors) > 0 && isCode(body.Errors[0].Code) {
		e.Code = body.Errors[0].Code
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = seconds
	}
	return nil, e
}

// isCode keeps what is no code of Clerk's out of logs.
func isCode(s string) bool {
	return len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
