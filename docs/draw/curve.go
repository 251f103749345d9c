package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// curve is a picture of a schedule: a row for each attempt, over the time since the first one.
type curve struct {
	schedule
	title string
	marks []mark
}

// mark is a moment that matters besides the attempts.
type mark struct {
	at   time.Duration
	text string
}

// The picture's measures, in pixels. Both curves have one time axis, so that they can be laid side by side.
const (
	curveWidth = 860
	plotLeft   = 70
	plotRight  = 840
	plotTop    = 66
	rowHeight  = 23
)

const firstSecond, lastSecond = 1.0, 400 * 3600.0 // of the time axis, which is logarithmic

func atX(d time.Duration) float64 {
	part := math.Log(d.Seconds()/firstSecond) / math.Log(lastSecond/firstSecond)
	return plotLeft + part*(plotRight-plotLeft)
}

// svg draws the curve. Its background is white, for pages that are dark.
func (c curve) svg() string {
	bottom := plotTop + float64(len(c.delays)+1)*rowHeight
	var b strings.Builder
	out := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	out(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" font-family="Arial, 'Liberation Sans', Helvetica, sans-serif" font-size="13" fill="#1f2328">`,
		curveWidth, bottom+48, curveWidth, bottom+48)
	out(`<title>%s</title>`, escape(c.title))
	out(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	out(`<text x="%d" y="26" font-size="16" font-weight="bold">%s</text>`, plotLeft, escape(c.title))
	for _, tick := range []struct {
		at   time.Duration
		text string
	}{
		{time.Second, "1 s"},
		{10 * time.Second, "10 s"},
		{time.Minute, "1 min"},
		{10 * time.Minute, "10 min"},
		{time.Hour, "1 h"},
		{6 * time.Hour, "6 h"},
		{24 * time.Hour, "1 day"},
		{7 * 24 * time.Hour, "7 days"},
	} {
		x := atX(tick.at)
		out(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%.0f" stroke="#d8dee4"/>`, x, plotTop, x, bottom)
		out(`<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`, x, bottom+18, tick.text)
	}
	out(`<line x1="%d" y1="%.0f" x2="%d" y2="%.0f" stroke="#57606a"/>`, plotLeft, bottom, plotRight, bottom)
	out(`<text x="%d" y="%.0f" text-anchor="middle">time since the first attempt (logarithmic)</text>`, (plotLeft+plotRight)/2, bottom+38)
	out(`<text x="%d" y="%d" text-anchor="middle">retry</text>`, plotLeft-24, plotTop-8)
	for _, m := range c.marks {
		x := atX(m.at)
		out(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%.0f" stroke="#bc4c00" stroke-dasharray="5 4"/>`, x, plotTop-8, x, bottom)
		out(`<text x="%.1f" y="%d" text-anchor="middle" fill="#bc4c00">%s: %s</text>`, x, plotTop-14, escape(m.text), words(m.at))
	}
	var path []string
	for n := 1; n <= len(c.delays); n++ {
		least, _ := c.after(n)
		path = append(path, fmt.Sprintf("%.1f,%.1f", atX(least), bottom-float64(n)*rowHeight))
	}
	out(`<polyline points="%s" fill="none" stroke="#0969da" stroke-width="2"/>`, strings.Join(path, " "))
	for n := 1; n <= len(c.delays); n++ {
		least, most := c.after(n)
		y := bottom - float64(n)*rowHeight
		if c.jitter > 0 {
			out(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#0969da" stroke-width="7" stroke-opacity="0.35"/>`, atX(least), y, atX(most), y)
		}
		out(`<circle cx="%.1f" cy="%.1f" r="4" fill="#0969da"/>`, atX(least), y)
		out(`<text x="%.1f" y="%.1f" text-anchor="end" stroke="#ffffff" stroke-width="4" paint-order="stroke">%s</text>`, atX(least)-10, y-1, words(least))
		out(`<text x="%d" y="%.1f" text-anchor="middle">%d</text>`, plotLeft-24, y+4, n)
	}
	out(`</svg>`)
	return b.String()
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
