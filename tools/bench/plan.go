package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Targets of a measurement.
const (
	clerksyncName = "clerksync"
	peerName      = "peer"
)

const (
	usualSize  = 4 << 10
	usualConns = 64
	farAway    = 50 * time.Millisecond // an event API in another region
	steadyRate = 200                   // webhooks a second of the open loop
)

var (
	concurrencies = []int{1, 4, 16, 64, 256, 1024}
	sizes         = []int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10}
	protocols     = []string{http1, http2}
	secureConns   = []int{64, 1024}
	kindsOfRun    = []string{"create", "update", "duplicate"}
)

// plan is every cell once.
func plan() []cell {
	var cells []cell
	for _, conns := range concurrencies {
		cells = append(cells, bridgeCell(conns, 0, 0))
	}
	for _, conns := range []int{1, 64, 256, 1024} {
		cells = append(cells, bridgeCell(conns, 0, farAway))
	}
	cells = append(cells, bridgeCell(256, steadyRate, 0), bridgeCell(256, steadyRate, farAway))
	for _, size := range sizes {
		cells = append(cells, sizeCell(size))
	}
	for n := range maxReplicas {
		cells = append(cells, replicaCell(n+1))
	}
	for _, kind := range kindsOfRun {
		cells = append(cells, runCell(kind))
	}
	for _, conns := range secureConns {
		for _, protocol := range protocols {
			cells = append(cells, secureCell(conns, protocol))
		}
	}
	cells = append(cells, idleCell)
	var once []cell
	for _, c := range cells {
		if !slices.Contains(once, c) {
			once = append(once, c)
		}
	}
	return once
}

func bridgeCell(conns int, rate float64, latency time.Duration) cell {
	return cell{load: load{Conns: conns, Rate: rate}, Latency: latency, Size: usualSize, Replicas: 1}
}

func sizeCell(size int) cell {
	c := bridgeCell(usualConns, 0, 0)
	c.Size = size
	return c
}

func replicaCell(n int) cell {
	c := bridgeCell(256, 0, 0)
	c.Replicas = n
	return c
}

// secureCell is the event API far away and over TLS, as Inngest Cloud is.
func secureCell(conns int, protocol string) cell {
	c := bridgeCell(conns, 0, farAway)
	c.Protocol = protocol
	return c
}

// idleCell is a target a second after its start.
var idleCell = cell{Idle: true, Replicas: 1}

func runCell(kind string) cell {
	return cell{load: load{Conns: 16}, Run: kind, Replicas: 1}
}

// result is what was measured of one target in one cell, a sample for each round.
type result struct {
	cell    cell
	target  string
	samples []sample
}

func (l *lab) measureAll(ctx context.Context, rounds int, each time.Duration) ([]*result, error) {
	var results []*result
	for _, c := range plan() {
		results = append(results, &result{cell: c, target: clerksyncName})
		if c.Run == "" && c.Replicas == 1 && c.Protocol == "" {
			results = append(results, &result{cell: c, target: peerName})
		}
	}
	begin := time.Now()
	for round := range rounds {
		order := slices.Clone(results)
		if round%2 == 1 { // nobody always goes first
			slices.Reverse(order)
		}
		for _, r := range order {
			c := r.cell
			c.For = each
			s, err := l.measure(ctx, c, r.target)
			if err != nil {
				return nil, err
			}
			if s.Check != ok {
				fmt.Fprintf(os.Stderr, "round %d, %s, %+v: %s\n", round+1, r.target, c, s.Check)
			}
			r.samples = append(r.samples, s)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done after %s\n", round+1, rounds, time.Since(begin).Round(time.Second))
	}
	return results, nil
}
