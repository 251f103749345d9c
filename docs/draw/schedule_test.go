package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Svix's own example: what fails three times is delivered 35 minutes and 5 seconds after the first attempt.
func TestSvixSchedule(t *testing.T) {
	t.Parallel()
	least, most := svix.after(3)
	if want := 35*time.Minute + 5*time.Second; least != want || most != want {
		t.Errorf("third redelivery: want %s, got %s to %s", want, least, most)
	}
	if want := "27 h 35 min 5 s"; between(svix.lasts()) != want {
		t.Errorf("last redelivery: want %s, got %s", want, between(svix.lasts()))
	}
	if want := 10 * time.Hour; svix.longest() != want {
		t.Errorf("longest wait: want %s, got %s", want, svix.longest())
	}
}

func TestInngestSchedule(t *testing.T) {
	t.Parallel()
	for retries, want := range map[int]string{
		0:  "0 s",
		1:  "15 s to 45 s",
		3:  "1 min 45 s to 3 min 15 s",
		20: "24 h 18 min 45 s to 24 h 28 min 45 s",
	} {
		if got := between(inngest(retries).lasts()); got != want {
			t.Errorf("%d retries: want %s, got %s", retries, want, got)
		}
	}
	if want := 2*time.Hour + 30*time.Second; inngest(20).longest() != want {
		t.Errorf("longest wait: want %s, got %s", want, inngest(20).longest())
	}
}

// The delays are those of the Inngest that our SDK comes with. They are read, not imported: that package is no part of clerksync.
func TestInngestDelaysAreInngests(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/inngest/inngest").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg/backoff/backoff.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "BackoffTable = []time.Duration{")
	table, _, _ = strings.Cut(table, "}")
	units := map[string]time.Duration{"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}
	var got []time.Duration
	for _, m := range regexp.MustCompile(`(?:(\d+) \* )?time\.(\w+),`).FindAllStringSubmatch(table, -1) {
		n := 1
		if m[1] != "" {
			if n, err = strconv.Atoi(m[1]); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, time.Duration(n)*units[m[2]])
	}
	if d := cmp.Diff(inngestDelays, got); d != "" {
		t.Errorf("delays here and in Inngest (-here +Inngest)\n%s", d)
	}
	if !strings.Contains(string(text), "rand.Int31n(30_000)) * time.Millisecond") {
		t.Errorf("Inngest's jitter is no longer %s", inngestJitter)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0 s":             0,
		"5 s":             5 * time.Second,
		"1 h 5 min":       65 * time.Minute,
		"24 h":            24 * time.Hour,
		"2 days":          48 * time.Hour,
		"48 h 1 s":        48*time.Hour + time.Second,
		"27 h 35 min 5 s": 27*time.Hour + 35*time.Minute + 5*time.Second,
	} {
		if got := words(d); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
