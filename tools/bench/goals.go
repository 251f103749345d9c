package main

import (
	"fmt"
	"slices"
	"strings"
)

// goal is what was set out to be reached, and what was.
type goal struct {
	load, goal, figure string
	met                bool
}

// What the goals are, besides what the peer does.
const (
	maxOutbound  = 1. / 8
	maxSlower    = 1.5 // times the peer's latency
	minOfLimit   = .9  // of the closed loop's limit
	fullMachine  = .95
	maxFarP99    = 150 // ms
	maxResident  = 64  // MiB
	maxIdle      = 25  // MiB
	maxStartTime = 100 // ms
)

// goals are judged by the medians, resident memory by the most.
func (r report) goals() []goal {
	var all []goal
	atMost := func(load, what string, got, limit float64, unit string) {
		all = append(all, goal{load, strings.TrimSpace(fmt.Sprintf("%s at most %s%s", what, number(limit), unit)), number(got) + unit, got <= limit})
	}
	against := func(load, what string, c cell, column func(sample) float64, times float64, unit string) {
		got, peers := r.figure(clerksyncName, c, column), r.figure(peerName, c, column)
		all = append(all, goal{
			load, fmt.Sprintf("%s at most %g × the peer's %s%s", what, times, number(peers), unit),
			number(got) + unit, got <= times*peers,
		})
	}
	for _, conns := range []int{64, 256} {
		load, c := fmt.Sprintf("%d connections, 0 ms", conns), bridgeCell(conns, 0, 0)
		got, peers := r.figure(clerksyncName, c, perSecond), r.figure(peerName, c, perSecond)
		all = append(all, goal{load, fmt.Sprintf("throughput at least the peer's %s a second", number(peers)), number(got) + " a second", got >= peers})
		against(load, "CPU for 1,000", c, cpuUsed, 1, " s")
		atMost(load, "outbound requests per webhook", r.figure(clerksyncName, c, outbound), maxOutbound, "")
	}
	against("1 connection, 0 ms", "p50", bridgeCell(1, 0, 0), p50, maxSlower, " ms")
	against(fmt.Sprintf("%d a second, 0 ms", steadyRate), "p99", bridgeCell(256, steadyRate, 0), p99, maxSlower, " ms")

	far := memoryCell()
	load := fmt.Sprintf("%s connections, %s", thousands(far.Conns), farAway)
	share := r.figure(clerksyncName, far, perSecond) * farAway.Seconds() / float64(far.Conns)
	busy := r.figure(clerksyncName, far, func(s sample) float64 { return s.Target + s.Lab }) // not by others
	all = append(all, goal{
		load, fmt.Sprintf("at least %.0f %% of %s a second, or the cores full of this", minOfLimit*100, number(float64(far.Conns)/farAway.Seconds())),
		fmt.Sprintf("%.0f %%, cores %.0f %% full of it", share*100, busy*100), share >= minOfLimit || busy >= fullMachine,
	})
	atMost(load, "p99", r.figure(clerksyncName, far, p99), maxFarP99, " ms")

	most := 0.
	for _, c := range []cell{bridgeCell(64, 0, 0), bridgeCell(256, 0, 0), bridgeCell(1, 0, 0), bridgeCell(256, steadyRate, 0), far} {
		most = max(most, slices.Max(each(r.of(clerksyncName, c), resident)))
	}
	atMost("any of these", "resident", most, maxResident, " MiB")
	atMost("idle", "resident", slices.Max(each(r.of(clerksyncName, idleCell), resident)), maxIdle, " MiB")
	atMost("start to first answer, the database there", "", median(r.starts(clerksyncName)), maxStartTime, " ms")
	return all
}

// Goals is their table.
func (r report) Goals() string {
	var b strings.Builder
	b.WriteString("| load | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range r.goals() {
		met := "met"
		if !g.met {
			met = "**not met**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.load, g.goal, g.figure, met)
	}
	return b.String()
}

// Missed says whether a goal is not met.
func (r report) Missed() bool {
	return slices.ContainsFunc(r.goals(), func(g goal) bool { return !g.met })
}

// Shares is the table of who used the machine at the loads that the goals name.
func (r report) Shares() string {
	var b strings.Builder
	b.WriteString("| load | target | its share of the machine | load, event API and database | other programs | idle |\n|---|---|---|---|---|---|\n")
	for _, c := range []cell{bridgeCell(64, 0, 0), bridgeCell(256, 0, 0), memoryCell()} {
		for _, target := range []string{clerksyncName, peerName} {
			t, l, o := r.figure(target, c, targetShare), r.figure(target, c, labShare), r.figure(target, c, othersShare)
			fmt.Fprintf(&b, "| %s, %d ms | %s | %.0f %% | %.0f %% | %.0f %% | %.0f %% |\n", loadName(c), c.Latency.Milliseconds(), target,
				t*100, l*100, o*100, max(0, 1-t-l-o)*100)
		}
	}
	return b.String()
}
