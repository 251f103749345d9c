package inngest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// serveFunctions is a server of the functions in cloud mode.
func serveFunctions(t *testing.T) string {
	t.Helper()
	f, err := NewFunctions(fakeUsers{}, Options{SigningKey: signingKey, EventKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(f.Handler())
	t.Cleanup(s.Close)
	return s.URL
}

// The server is the real one, and so is its signature check.
func TestServing(t *testing.T) {
	t.Parallel()
	at := serveFunctions(t)
	want := Serving{AppID: "glowup-app", FunctionCount: 5, Mode: "cloud", SDKVersion: SDKVersion}
	for name, o := range map[string]Options{
		"by the key":      {SigningKey: signingKey},
		"by the fallback": {SigningKey: "signkey-test-00", SigningKeyFallback: signingKey},
	} {
		if got, err := NewAPI(o, http.DefaultClient).Serving(t.Context(), at); want != got || err != nil {
			t.Errorf("%s: want %+v, got %+v and %v", name, want, got, err)
		}
	}
	for name, o := range map[string]Options{"by another key": {SigningKey: "signkey-test-00"}, "by none": {Dev: true}} {
		if _, err := NewAPI(o, http.DefaultClient).Serving(t.Context(), at); !errors.Is(err, ErrSigningKey) {
			t.Errorf("%s: want %v, got %v", name, ErrSigningKey, err)
		}
	}
	if status, err := NewAPI(Options{}, http.DefaultClient).Unsigned(t.Context(), at); status != http.StatusUnauthorized || err != nil {
		t.Errorf("unsigned: want 401, got %d and %v", status, err)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	want := []string{SyncUser, UpdateUser, DeleteUser, KeepDeadLetters, SweepExpired, ReconcileUsers}
	for n, o := range map[int]Options{5: {}, 6: {Reconciler: pages(1)}} {
		f, err := NewFunctions(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.IDs(); !slices.Equal(want[:n], got) {
			t.Errorf("want %v, got %v", want[:n], got)
		}
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"clerk/a.b": true, "clerk/*": true, "*": true, "clerk/a": false, "clerk/b.*": false, "": false} {
		f := Function{}
		f.Triggers = append(f.Triggers, struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		}{"EVENT", value})
		if got := f.Takes("clerk/a.b"); want != got {
			t.Errorf("%q: want %v, got %v", value, want, got)
		}
	}
}

// A self-hosted Inngest wants a key where Inngest Cloud does not, and says the time anyway.
func TestTime(t *testing.T) {
	t.Parallel()
	status, date := 401, "Sun, 06 Nov 1994 08:49:37 GMT"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "no")
	}))
	t.Cleanup(s.Close)
	a := NewAPI(Options{BaseURL: s.URL}, s.Client())
	if at, err := a.Time(t.Context()); !at.Equal(time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)) || err != nil {
		t.Errorf("want the date, got %v and %v", at, err)
	}
	date = "now"
	if _, err := a.Time(t.Context()); !errors.Is(err, errUnexpected) {
		t.Errorf("no date: want %v, got %v", errUnexpected, err)
	}
	status = 503
	if _, err := a.Time(t.Context()); !errors.Is(err, StatusError(503)) {
		t.Errorf("want status 503, got %v", err)
	}
}
