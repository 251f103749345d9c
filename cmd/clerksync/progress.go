package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far a command has come: a bar on a terminal, elsewhere a line from time to time.
type progress struct {
	w     io.Writer
	what  string
	total int64
	bar   *progressbar.ProgressBar // nil: lines
	start time.Time
	first int64 // where it began: an interrupted run goes on
	last  time.Time
}

// lineEvery is how often a line is written, for logs that somebody keeps.
const lineEvery = 5 * time.Second

func newProgress(w io.Writer, what string, total int64) *progress {
	p := &progress{w: w, what: what, total: total, first: -1}
	if isTerminal(w) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(what),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	return p
}

// at says how many are done.
func (p *progress) at(n int64) {
	now := time.Now()
	if p.first < 0 {
		p.first, p.start = n, now
	}
	p.total = max(p.total, n) // made meanwhile
	if p.bar != nil {
		p.bar.ChangeMax64(p.total)
		_ = p.bar.Set64(n) // a bar that is not drawn is no reason to stop
		return
	}
	if now.Sub(p.last) < lineEvery {
		return
	}
	p.last = now
	fmt.Fprintf(p.w, "%d of %d %s", n, p.total, p.what)
	if took := now.Sub(p.start); n > p.first && took > 0 {
		rate := float64(n-p.first) / took.Seconds()
		left := time.Duration(float64(p.total-n) / rate * float64(time.Second))
		fmt.Fprintf(p.w, ", %.0f a second, %s left", rate, left.Round(time.Second))
	}
	fmt.Fprintln(p.w)
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
