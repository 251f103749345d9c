package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Config is what the program needs to know from outside.
type Config struct {
	Port           int
	WebhookSecrets []Secret // "whsec_…"; any of them may have signed a webhook

	DatabaseURI     Secret // with the password
	DatabaseName    string // the URI's, else DATABASE_NAME
	UsersCollection string

	Inngest Inngest
	// PublicURL is where Inngest reaches this server; nil: the URL that Inngest's request came to.
	PublicURL           *url.URL
	FunctionRetries     int // 0 to 20
	FunctionConcurrency int // 0: Inngest's plan decides

	DeadLetterRetention time.Duration // 1 hour to 3650 days

	ClerkSecretKey Secret        // "sk_…"; empty: no calls to Clerk
	ClerkAPIURL    string        // without a slash at the end
	ReconcileCron  string        // empty: only on request
	ReconcileEvery time.Duration // the longest that ReconcileCron leaves between two reconciles

	LogLevel  slog.Level
	LogFormat string // "json", "text", or empty: text on a terminal, else json

	// Warnings are about settings that have no effect. They name variables, never values.
	Warnings []string
}

// Inngest is how to reach Inngest and how to prove it to each other.
type Inngest struct {
	AppID    string
	Dev      bool   // for the Inngest Dev Server: nothing is signed
	BaseURL  string // without a slash at the end; empty: Inngest Cloud, or the Dev Server's default
	EventKey Secret

	SigningKey, SigningKeyFallback Secret
}

// Secret is a value that hides itself: printed or logged, it is "[secret]", or empty where there is none. Reveal shows it.
type Secret string

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[secret]"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Fault is one variable that is missing or malformed.
type Fault struct {
	Variable string
	Missing  bool
	Want     string // what a good value looks like
}

// Error lists every fault of a configuration.
type Error struct{ Faults []Fault }

// Error is a headline and a line per fault.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d fault", len(e.Faults))
	if len(e.Faults) != 1 {
		b.WriteByte('s')
	}
	for _, f := range e.Faults {
		state := "malformed"
		if f.Missing {
			state = "missing"
		}
		fmt.Fprintf(&b, "\n  %s is %s: it should be %s", f.Variable, state, f.Want)
	}
	return b.String()
}
