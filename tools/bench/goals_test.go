package main

import (
	"slices"
	"testing"
)

// Each goal is missed by what it is about, and by nothing else.
func TestGoals(t *testing.T) {
	t.Parallel()
	good := func(change func(target string, c cell, s *sample)) report {
		var r report
		for _, c := range plan() {
			for _, target := range []string{clerksyncName, peerName} {
				s := sample{PerSecond: 20_000, P50: 10, P99: 100, CPU: .05, Resident: 20, Outbound: .1, Started: 30, Target: .4, Lab: .4}
				change(target, c, &s)
				r.results = append(r.results, &result{cell: c, target: target, samples: []sample{s}})
			}
		}
		return r
	}
	at := func(want cell, change func(*sample)) func(string, cell, *sample) {
		return func(target string, c cell, s *sample) {
			if target == clerksyncName && c == want {
				change(s)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(string, cell, *sample)
		want   []string // the loads of the goals that are missed
	}{
		{"nothing", func(string, cell, *sample) {}, nil},
		{"throughput", at(bridgeCell(64, 0, 0), func(s *sample) { s.PerSecond-- }), []string{"64 connections, 0 ms"}},
		{"CPU", at(bridgeCell(256, 0, 0), func(s *sample) { s.CPU *= 1.01 }), []string{"256 connections, 0 ms"}},
		{"outbound", at(bridgeCell(256, 0, 0), func(s *sample) { s.Outbound = .126 }), []string{"256 connections, 0 ms"}},
		{"a lone webhook", at(bridgeCell(1, 0, 0), func(s *sample) { s.P50 = 15.1 }), []string{"1 connection, 0 ms"}},
		{"a lone webhook, in time", at(bridgeCell(1, 0, 0), func(s *sample) { s.P50 = 15 }), nil},
		{"open loop", at(bridgeCell(256, steadyRate, 0), func(s *sample) { s.P99 = 151 }), []string{"200 a second, 0 ms"}},
		{"far", at(memoryCell(), func(s *sample) { s.PerSecond = 18_000 }), []string{"1,024 connections, 50ms"}},
		{"far, cores full of others", at(memoryCell(), func(s *sample) { s.PerSecond, s.Others = 18_000, .2 }), []string{"1,024 connections, 50ms"}},
		{"far, cores full", at(memoryCell(), func(s *sample) { s.PerSecond, s.Lab = 18_000, .6 }), nil},
		{"far, late", at(memoryCell(), func(s *sample) { s.P99 = 151 }), []string{"1,024 connections, 50ms"}},
		{"memory", at(memoryCell(), func(s *sample) { s.Resident = 65 }), []string{"any of these"}},
		{"idle", at(idleCell, func(s *sample) { s.Resident = 26 }), []string{"idle"}},
		{"start", func(target string, _ cell, s *sample) { s.Started = 101 }, []string{"start to first answer, the database there"}},
	} {
		var missed []string
		r := good(tt.change)
		for _, g := range r.goals() {
			if !g.met {
				missed = append(missed, g.load)
			}
		}
		if !slices.Equal(tt.want, missed) || r.Missed() != (len(tt.want) > 0) {
			t.Errorf("%s: want missed %q, got %q", tt.name, tt.want, missed)
		}
	}
}
