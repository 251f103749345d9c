package inngest

import (
	"bytes"
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

	"github.com/inngest/inngestgo"
)

var (
	// ErrNoApp says that Inngest does not know the app.
	ErrNoApp = errors.New("inngest knows no such app")
	// ErrSigningKey says that no signing key of ours is accepted.
	ErrSigningKey = errors.New("the signing key is not accepted")
)

// StatusError is an answer that is neither good nor one of the errors above.
type StatusError int

// Error is the status.
func (e StatusError) Error() string { return "status " + strconv.Itoa(int(e)) }

var errUnexpected = errors.New("the answer is not what is documented")

// API asks Inngest, and the functions of a running server, about themselves; it changes nothing. It speaks Inngest's REST API 2,
// which the Dev Server has, too: https://api-docs.inngest.com.
type API struct {
	base  string
	appID string
	keys  []string
	http  *http.Client
}

// NewAPI is the API that the options lead to. Its calls end with their context.
func NewAPI(o Options, client *http.Client) *API {
	o = o.withDefaults()
	a := &API{base: *o.client().APIBaseURL, appID: o.AppID, http: client}
	for _, key := range []string{o.SigningKey, o.SigningKeyFallback} {
		if key != "" {
			a.keys = append(a.keys, key)
		}
	}
	if len(a.keys) == 0 {
		a.keys = []string{""} // dev mode
	}
	return a
}

// URL is where the API is.
func (a *API) URL() string { return a.base }

// Time is Inngest's clock, in whole seconds; an error says that Inngest can't be reached. Any answer will do: a self-hosted
// Inngest wants a key here.
func (a *API) Time(ctx context.Context) (time.Time, error) {
	resp, err := a.get(ctx, a.base+"/v2/health", nil)
	if err != nil {
		return time.Time{}, err
	}
	if resp.status >= http.StatusInternalServerError {
		return time.Time{}, StatusError(resp.status)
	}
	at, err := http.ParseTime(resp.header.Get("Date"))
	if err != nil {
		return time.Time{}, errUnexpected
	}
	return at, nil
}

// App is the app, as Inngest has it since the last sync.
type App struct {
	Archived   bool   `json:"isArchived"`
	Method     string `json:"method"` // SERVE, CONNECT or API
	LatestSync struct {
		Status string `json:"status"` // may be empty, or success, duplicate, error, pending
		Error  string `json:"error"`
		URL    string `json:"url"`
	} `json:"latestSync"`
}

// Workers says that the app's functions are those of workers.
func (a App) Workers() bool { return a.Method == "CONNECT" }

// App asks for the app. It returns [ErrNoApp] and [ErrSigningKey].
func (a *API) App(ctx context.Context) (App, error) {
	var app App
	err := a.read(ctx, "", &app)
	return app, err
}

// Function is one of the app, as Inngest has it since the last sync.
type Function struct {
	ID       string `json:"id"`
	Paused   bool   `json:"isPaused"`
	Archived bool   `json:"isArchived"`
	Triggers []struct {
		Type  string `json:"type"`  // EVENT or CRON
		Value string `json:"value"` // event name, which may end in *, or schedule
	} `json:"triggers"`
}

// Takes says whether events of that name run the function: https://www.inngest.com/docs/features/events-triggers/wildcard-triggers.
func (f Function) Takes(event string) bool {
	for _, t := range f.Triggers {
		prefix, wild := strings.CutSuffix(t.Value, "*")
		if t.Type == "EVENT" && (t.Value == event || wild && strings.HasPrefix(event, prefix)) {
			return true
		}
	}
	return false
}

// Functions asks for those of the app, at most 100: more than we have. It returns [ErrSigningKey].
func (a *API) Functions(ctx context.Context) ([]Function, error) {
	var all []Function
	err := a.read(ctx, "/functions?limit=100", &all)
	return all, err
}

// read takes the signing key that Inngest accepts: while it is rotated, that may be either.
func (a *API) read(ctx context.Context, path string, dst any) error {
	for _, key := range a.keys {
		header := http.Header{}
		if key != "" {
			header.Set("Authorization", "Bearer "+key)
		}
		resp, err := a.get(ctx, a.base+"/v2/apps/"+url.PathEscape(a.appID)+path, header)
		switch {
		case err != nil:
			return err
		case resp.status == http.StatusUnauthorized:
			continue
		default:
			return resp.data(dst)
		}
	}
	return ErrSigningKey
}

// Serving is what a server says of the functions that it serves.
type Serving struct {
	AppID         string `json:"app_id"`
	FunctionCount int    `json:"function_count"`
	Mode          string `json:"mode"`        // "cloud" or "dev"
	SDKVersion    string `json:"sdk_version"` // inngestgo's
}

// SDKVersion is inngestgo's, of this build.
const SDKVersion = inngestgo.SDKVersion

// Serving asks the server at that URL. It returns [ErrSigningKey] where the server's signing key is another one, or its clock is far off.
func (a *API) Serving(ctx context.Context, serverURL string) (Serving, error) {
	for _, key := range a.keys {
		// In dev mode any signature will do, but there must be one.
		signature, err := inngestgo.Sign(ctx, time.Now(), []byte(key), nil)
		if err != nil {
			return Serving{}, fmt.Errorf("sign: %w", err)
		}
		resp, err := a.get(ctx, serverURL+Path, http.Header{inngestgo.HeaderKeySignature: {signature}})
		switch {
		case err != nil:
			return Serving{}, err
		case resp.status == http.StatusUnauthorized:
			continue
		case resp.status != http.StatusOK:
			return Serving{}, StatusError(resp.status)
		}
		var s Serving
		if json.Unmarshal(resp.body, &s) != nil || s.Mode == "" {
			return Serving{}, errUnexpected
		}
		return s, nil
	}
	return Serving{}, ErrSigningKey
}

// Unsigned sends the server at that URL an invocation that nobody has signed, of no function, and returns the status. A server in dev mode
// would register the functions with the Dev Server on any invocation, so it must not be asked.
func (a *API) Unsigned(ctx context.Context, serverURL string) (int, error) {
	resp, err := a.do(ctx, http.MethodPost, serverURL+Path, http.Header{"Content-Type": {"application/json"}}, []byte("{}"))
	return resp.status, err
}

// maxReplyBytes bounds what is read of an answer.
const maxReplyBytes = 4 << 20

type response struct {
	status int
	header http.Header
	body   []byte
}

func (a *API) get(ctx context.Context, to string, header http.Header) (response, error) {
	return a.do(ctx, http.MethodGet, to, header, nil)
}

func (a *API) do(ctx context.Context, method, to string, header http.Header, body []byte) (response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes))
	if err != nil {
		return response{}, fmt.Errorf("read answer: %w", err)
	}
	return response{resp.StatusCode, resp.Header, text}, nil
}

// data reads the answer's data.
func (r response) data(dst any) error {
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	err := json.Unmarshal(r.body, &answer)
	switch {
	case r.status == http.StatusNotFound && err == nil && len(answer.Errors) > 0 && answer.Errors[0].Code == "not_found":
		return ErrNoApp
	case r.status != http.StatusOK:
		return StatusError(r.status)
	case err != nil:
		return errUnexpected
	case len(answer.Data) == 0: // an empty list is left out
		return nil
	}
	if json.Unmarshal(answer.Data, dst) != nil {
		return errUnexpected
	}
	return nil
}
