package config

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for RECONCILE_CRON: the image is nothing but the program
	"unicode/utf8"

	"github.com/robfig/cron/v3"
)

var (
	// cronSchedule is the form that the parser expects: it panics at a zone without fields.
	cronSchedule = regexp.MustCompile(`^(TZ=[A-Za-z0-9_+/-]+ )?[0-9A-Za-z*,/?-]+( [0-9A-Za-z*,/?#-]+){4}$`)

	appID     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	eventKey  = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`) // it becomes a part of a URL's path
	clerkKey  = regexp.MustCompile(`^sk_[A-Za-z0-9_.-]+$`)
	logFormat = regexp.MustCompile(`^(json|text)$`)
	signKey   = regexp.MustCompile(`^signkey-\w+-`)
)

func number(dst *int, v string, least, most int) bool {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return false
	}
	*dst = n
	return true
}

func matches[S ~string](dst *S, v string, pattern *regexp.Regexp) bool {
	*dst = S(v)
	return pattern.MatchString(v)
}

// reconcileCron reads a schedule as Inngest does, with the same parser. A date that never comes is no schedule.
func reconcileCron(c *Config, v string) bool {
	if !matches(&c.ReconcileCron, v, cronSchedule) {
		return false
	}
	s, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(v)
	if err != nil {
		return false
	}
	now := time.Now()
	at := s.Next(now)
	if at.IsZero() {
		return false
	}
	// A year of them, or so many that even every minute of one day in the month reaches the next one.
	for n := 0; n < 5_000 && (at.Before(now.AddDate(1, 0, 0)) || n == 0); n++ {
		next := s.Next(at)
		c.ReconcileEvery = max(c.ReconcileEvery, next.Sub(at))
		at = next
	}
	return true
}

func webhookSecrets(dst *[]Secret, v string) bool {
	*dst = nil
	for s := range strings.SplitSeq(v, ",") {
		s = strings.TrimSpace(s)
		key, ok := strings.CutPrefix(s, "whsec_")
		raw, err := base64.StdEncoding.DecodeString(key)
		if !ok || err != nil || len(raw) == 0 {
			return false
		}
		*dst = append(*dst, Secret(s))
	}
	return true
}

// signingKey takes Inngest Cloud's form and the bare hexadecimal one of a self-hosted server.
func signingKey(dst *Secret, v string) bool {
	*dst = Secret(v)
	raw, err := hex.DecodeString(signKey.ReplaceAllString(v, ""))
	return err == nil && len(raw) > 0
}

// databaseURI checks the form and takes the database's name. Options and hosts are the driver's to judge; net/url
// can't, since one connection string may name several hosts with ports.
func databaseURI(c *Config, v string) bool {
	c.DatabaseURI = Secret(v)
	rest, ok := strings.CutPrefix(v, "mongodb://")
	if !ok {
		if rest, ok = strings.CutPrefix(v, "mongodb+srv://"); !ok {
			return false
		}
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority[strings.LastIndexByte(authority, '@')+1:]
	if slices.Contains(strings.Split(hosts, ","), "") {
		return false
	}
	name, err := url.PathUnescape(path)
	return err == nil && (name == "" || databaseName(&c.DatabaseName, name))
}

// databaseName leaves a name that is there: the URI's, which is read first.
func databaseName(dst *string, v string) bool {
	if *dst == "" {
		*dst = v
	}
	// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
	return v != "" && len(v) < 64 && !strings.ContainsAny(v, "/\\. \"$*<>:|?\x00") && utf8.ValidString(v)
}

func collectionName(dst *string, v string) bool {
	*dst = v
	// A namespace has 255 bytes; the database's name, and the endings of the collections beside it, come out of it.
	return len(v) <= 150 && !strings.ContainsAny(v, "$\x00") && !strings.HasPrefix(v, "system.") &&
		!strings.HasPrefix(v, ".") && !strings.HasSuffix(v, ".") && utf8.ValidString(v)
}

func inngestDev(c *Config, v string) bool {
	switch v {
	case "0", "false":
		return true
	case "1", "true":
		c.Inngest.Dev = true
		return true
	}
	c.Inngest.Dev = true // a fault, if it is one, is not made worse by asking for cloud keys
	return baseURL(&c.Inngest.BaseURL, v)
}

func inngestBaseURL(c *Config, v string) bool {
	if c.Inngest.Dev {
		c.Warnings = append(c.Warnings, "INNGEST_BASE_URL has no effect: INNGEST_DEV is set and wins")
		return true
	}
	return baseURL(&c.Inngest.BaseURL, v)
}

func publicURL(c *Config, v string) bool {
	u, ok := webURL(v)
	c.PublicURL = u
	return ok
}

func baseURL(dst *string, v string) bool {
	u, ok := webURL(v)
	if ok {
		*dst = strings.TrimRight(u.String(), "/")
	}
	return ok
}

func webURL(v string) (*url.URL, bool) {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return nil, false
	}
	return u, true
}

// retention takes days, too, which time.ParseDuration does not know.
func retention(dst *time.Duration, v string) bool {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(v)
	if days, ok := strings.CutSuffix(v, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); n < 1 || n > 3650 { // far beyond, n days overflow
			return false
		}
		d = time.Duration(n) * day
	}
	*dst = d
	return err == nil && d >= time.Hour && d <= 3650*day
}

func logLevel(c *Config, v string) bool {
	switch v {
	case "debug":
		c.LogLevel = slog.LevelDebug
	case "info":
		c.LogLevel = slog.LevelInfo
	case "warn":
		c.LogLevel = slog.LevelWarn
	case "error":
		c.LogLevel = slog.LevelError
	default:
		return false
	}
	return true
}
