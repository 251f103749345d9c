package main

import (
	"fmt"
	"strings"
	"time"
)

// schedule is when somebody tries again what has failed.
type schedule struct {
	delays []time.Duration // before each retry, from the end of the attempt before
	jitter time.Duration   // each delay may be longer by so much
}

// svix redelivers a webhook that got no 2xx: https://docs.svix.com/retries
var svix = schedule{delays: []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
}}

// svixDisables is for how long an endpoint may do nothing but fail: https://docs.svix.com/retries
const svixDisables = 5 * 24 * time.Hour

// inngestDelays are those before the retries of a run; the last one stays. Inngest's page on retries,
// https://www.inngest.com/docs/features/inngest-functions/error-retries/retries, says that they are those of
// https://github.com/inngest/inngest/blob/main/pkg/backoff/backoff.go
var inngestDelays = []time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	40 * time.Minute, time.Hour, 2 * time.Hour,
}

// inngestJitter is in the same file.
const inngestJitter = 30 * time.Second

// inngest is the schedule of a function with so many retries.
func inngest(retries int) schedule {
	s := schedule{jitter: inngestJitter}
	for i := range retries {
		s.delays = append(s.delays, inngestDelays[min(i, len(inngestDelays)-1)])
	}
	return s
}

// after is when the nth retry comes, since the first attempt: at least and at most. The attempts' own time is not in it.
func (s schedule) after(n int) (least, most time.Duration) {
	for _, d := range s.delays[:n] {
		least += d
		most += d + s.jitter
	}
	return least, most
}

// lasts is from the first attempt to the last.
func (s schedule) lasts() (least, most time.Duration) { return s.after(len(s.delays)) }

// longest is the longest wait between two attempts: what is repaired just after one is made up for after so long.
func (s schedule) longest() time.Duration {
	var longest time.Duration
	for _, d := range s.delays {
		longest = max(longest, d+s.jitter)
	}
	return longest
}

// words writes a duration as people do, exactly: "27 h 35 min 5 s". From two whole days on it counts days.
func words(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	var parts []string
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.of; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.of
		}
	}
	if parts == nil {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

// between writes both ends, or the one where they are the same.
func between(least, most time.Duration) string {
	if least == most {
		return words(least)
	}
	return words(least) + " to " + words(most)
}
