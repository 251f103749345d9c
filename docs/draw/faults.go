package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// alert is a rule of deploy/prometheus/alerts.yml. It fires when its expression, which waits for a silence of its own, has held for so long.
type alert struct {
	name    string
	silence time.Duration
	says    string // the part of the expression that is this silence
}

var (
	absent          = alert{name: "ClerksyncAbsent"}
	unverified      = alert{"ClerksyncWebhooksUnverified", 30 * time.Minute, "> 30 * 60"}
	silent          = alert{"ClerksyncWebhooksSilent", time.Hour, "> 60 * 60"}
	handoverFailing = alert{name: "ClerksyncHandoverFailing"}
	runsMissing     = alert{"ClerksyncRunsMissing", 15 * time.Minute, `function=~".+-user-(from|with)-clerk"}[15m]`}
	slow            = alert{"ClerksyncSlow", 0, "> 60\n"}
	runsFailing     = alert{name: "ClerksyncRunsFailing"}
	lettersGrowing  = alert{name: "ClerksyncDeadLettersGrowing"}
	lettersWaiting  = alert{name: "ClerksyncDeadLettersWaiting"}
	drift           = alert{name: "ClerksyncDrift"}
	ruleStart       = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	ruleFor         = regexp.MustCompile(`(?m)^ +for: (\w+)$`)
)

// rules are the texts of the alerts, by name.
func rules(file string) map[string]string {
	all := map[string]string{}
	starts := ruleStart.FindAllStringSubmatchIndex(file, -1)
	for i, at := range starts {
		end := len(file)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		all[file[at[2]:at[3]]] = file[at[0]:end]
	}
	return all
}

// fires is how long after the beginning of what it looks for an alert fires, at the earliest.
func (a alert) fires(rules map[string]string) (time.Duration, error) {
	text, ok := rules[a.name]
	if !ok || !strings.Contains(text, a.says) {
		return 0, fmt.Errorf("deploy/prometheus/alerts.yml: %s is not there, or no longer waits as docs/draw/faults.go says", a.name)
	}
	m := ruleFor.FindStringSubmatch(text)
	if m == nil {
		return a.silence, nil
	}
	held, err := parseDays(m[1])
	return a.silence + held, err
}

// link leads to what the alert means and what is to be done.
func (a alert) link() string {
	return fmt.Sprintf("[%s](operations.md#%s)", a.name, strings.ToLower(a.name))
}

// parseDays takes the days that Prometheus and our own variables know, besides what time.ParseDuration does.
func parseDays(text string) (time.Duration, error) {
	var days int
	if n, err := fmt.Sscanf(text+"\n", "%dd\n", &days); err == nil && n == 1 {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// fault is a row of the table of what may break.
type fault struct {
	what   string
	keeps  string // who has the event meanwhile
	may    string // for how long it may last, and nobody need do anything but end it
	late   string // how long after its end the last of it is made up for, by itself
	told   string // when, where the alert does not count from the fault's beginning
	alert  alert
	beyond string // and what a person does then
}

func (f facts) faults() []fault {
	webhook, run := f.webhooks, f.runs
	redelivered, _ := webhook.lasts()
	retried, _ := run.lasts()
	keeping, _ := f.keeping.lasts()
	const resend = "Svix gives the message up: resend it in Clerk's dashboard, or `clerksync reconcile --repair`"
	const dead = "the event is a dead letter: `clerksync dlq replay`"
	return []fault{
		{
			what: "The bridge is down", keeps: "Svix", may: words(redelivered), late: words(webhook.longest()), alert: absent,
			beyond: resend + ". After " + words(svixDisables) + " of failures only, Svix disables the endpoint",
		},
		{
			what: "Nothing reaches the bridge: DNS, TLS, the proxy", keeps: "Svix", may: words(redelivered), late: words(webhook.longest()), alert: silent,
			beyond: "the same",
		},
		{
			what: "Inngest does not take events: away, or the event key is wrong", keeps: "Svix", may: words(redelivered), late: words(webhook.longest()),
			alert: handoverFailing, beyond: "the same",
		},
		{
			what: "The signing secret is wrong, or the clock is off", keeps: "Svix", may: words(redelivered), late: words(webhook.longest()),
			alert: unverified, beyond: "the same",
		},
		{
			what: "Clerk's endpoint is disabled, gone, or leads elsewhere", keeps: "nobody", may: words(0), late: "not by itself", alert: silent,
			beyond: "what it missed is not sent: enable it, resend, `clerksync reconcile --repair`",
		},
		{
			what: "Inngest takes events and calls no function: its queue stands", keeps: "Inngest", may: "as long as Inngest keeps them: no retry is used up",
			late: "as its queue is long", alert: runsMissing, beyond: "see Inngest's dashboard",
		},
		{
			what: "Inngest does not reach the functions: down, wrong URL or signing key, no worker connected", keeps: "Inngest's retries", may: words(retried), late: words(run.longest()),
			alert: runsMissing, beyond: dead + ". `keep-dead-letters`, which is not reached either, is tried until " + words(retried+keeping) +
				"; after that only Inngest's dashboard knows the event, and `clerksync reconcile --repair` mends the user",
		},
		{
			what: "The database is away, or refuses writes", keeps: "Inngest's retries", may: words(retried), late: words(run.longest()),
			alert: runsFailing, beyond: dead + ". To keep the letter is tried until " + words(retried+keeping) + "; then as above",
		},
		{
			what: "A bug: every run of a function fails or panics", keeps: "Inngest's retries", may: words(retried), late: words(run.longest()),
			alert: runsFailing, beyond: dead + ", when the bug is gone",
		},
		{
			what: "An event that can never succeed, or a run that was cancelled", keeps: "the dead letters", may: words(f.letters), late: "not by itself",
			told: "at once", alert: lettersGrowing, beyond: "the letter is removed: `clerksync reconcile --repair` finds what it held",
		},
		{
			what: "A dead letter that nobody looks at", keeps: "the dead letters", may: words(f.letters), late: "not by itself",
			alert: lettersWaiting, beyond: "the same",
		},
		{
			what: "Clerk never sent an event", keeps: "nobody", may: "until the next reconcile (`RECONCILE_CRON`)", late: "not by itself",
			told: "with that reconcile", alert: drift, beyond: "`clerksync reconcile --repair`",
		},
	}
}

// faultTable is the table in Markdown.
func (f facts) faultTable() (string, error) {
	var b strings.Builder
	b.WriteString("| fault | who keeps the events | may last, at least | made up for, after its end, within | alert, at the earliest after | beyond that |\n|---|---|---|---|---|---|\n")
	for _, row := range f.faults() {
		fires, err := row.alert.fires(f.rules)
		if err != nil {
			return "", err
		}
		after := cmp.Or(row.told, words(fires))
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s: %s | %s |\n", row.what, row.keeps, row.may, row.late, row.alert.link(), after, row.beyond)
	}
	return b.String(), nil
}

// scheduleTable compares the two schedules in Markdown.
func (f facts) scheduleTable() string {
	var b strings.Builder
	row := func(what, ofWebhook, ofRun string) { fmt.Fprintf(&b, "| %s | %s | %s |\n", what, ofWebhook, ofRun) }
	row("", "a webhook, by Svix", fmt.Sprintf("a run, by Inngest, with `FUNCTION_RETRIES=%d`", len(f.runs.delays)))
	row("---", "---", "---")
	row("attempts", fmt.Sprint(len(f.webhooks.delays)+1), fmt.Sprint(len(f.runs.delays)+1))
	row("from the first to the last", between(f.webhooks.lasts()), between(f.runs.lasts()))
	row("longest wait between two", words(f.webhooks.longest()), words(f.runs.longest()))
	row("then", "the message has failed, and is in Clerk's dashboard", "a dead letter")
	b.WriteString("\nWith fewer retries:")
	for i, n := range []int{0, 5, 10, 15} {
		sep := ";"
		if i == 0 {
			sep = ""
		}
		fmt.Fprintf(&b, "%s `FUNCTION_RETRIES=%d` lasts %s", sep, n, between(inngest(n).lasts()))
	}
	b.WriteString(".\n")
	return b.String()
}
