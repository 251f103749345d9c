package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/glowup-app/clerksync/inngest"
)

// maxClockOffset is what no clock is off that is kept by NTP. Svix and Inngest allow 5 minutes, and an offset grows.
const maxClockOffset = 5 * time.Second

// reading is what another clock showed, in whole seconds, between two times of ours.
type reading struct {
	at            time.Time // zero: nothing
	before, after time.Time
}

func newReading(h http.Header, before, after time.Time) reading {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return reading{}
	}
	return reading{at, before, after}
}

// ahead is by how much that clock is ahead of ours, at least and at most.
func (r reading) ahead() (least, most time.Duration) {
	return r.at.Sub(r.after), r.at.Add(time.Second).Sub(r.before)
}

// offset is by how much a clock is ahead of another one (negative: behind), at least; 0 when they may agree.
func offset(a, b reading) time.Duration {
	aLeast, aMost := a.ahead()
	bLeast, bMost := b.ahead()
	switch least, most := aLeast-bMost, aMost-bLeast; {
	case least > 0:
		return least
	case most < 0:
		return most
	default:
		return 0
	}
}

// readClock asks Clerk where it is asked anyway, since Clerk's webhooks are dated, else Inngest.
func (d *doctor) readClock(ctx context.Context) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if d.clerk != nil {
		before := time.Now()
		_, h, err := d.ask(ctx, http.MethodGet, d.cfg.ClerkAPIURL+"/v1/instance", nil) // no key: a 401 has a date, too
		if r := newReading(h, before, time.Now()); err == nil && !r.at.IsZero() {
			return r, nil
		}
	}
	if d.inngest != nil {
		before := time.Now()
		if at, err := d.inngest.Time(ctx); err == nil {
			return reading{at, before, time.Now()}, nil
		}
	}
	return reading{}, errors.New("neither Clerk nor Inngest tells the time")
}

func clockCheck(f facts) check {
	return check{"clock", func(context.Context) (string, error) {
		reference, err := f.clock()
		if err != nil {
			return "", skipped(err.Error())
		}
		now := time.Now()
		whose, ours := "this machine's clock", reading{now.Truncate(time.Second), now, now}
		if s, err := f.server(); err == nil && !s.clock.at.IsZero() {
			whose, ours = "the server's clock", s.clock
		}
		off := offset(ours, reference)
		where := "ahead"
		if off < 0 {
			where = "behind"
		}
		switch {
		case off.Abs() >= maxClockOffset:
			return "", fmt.Errorf("%s is %s %s", whose, off.Abs().Round(100*time.Millisecond), where)
		case off != 0:
			return fmt.Sprintf("%s is %s %s", whose, off.Abs().Round(100*time.Millisecond), where), nil
		}
		return whose + " is right to the second", nil
	}, "let NTP keep it: webhooks and invocations are refused from 5 minutes on"}
}

func versionCheck(f facts) check {
	return check{"versions", func(context.Context) (string, error) {
		b := readBuild()
		text := fmt.Sprintf("clerksync %s, %s, inngestgo %s", b.version, runtime.Version(), inngest.SDKVersion)
		if s, err := f.database(); err == nil {
			text += ", " + s.Name + " " + s.Version
		}
		if s, err := f.serving(); err == nil && s.SDKVersion != inngest.SDKVersion {
			return "", fmt.Errorf("%s; the server has inngestgo %s", text, printable(s.SDKVersion))
		}
		return text, nil
	}, "run the doctor of the server's own build"}
}
