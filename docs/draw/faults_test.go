package main

import (
	"testing"
	"time"
)

func TestAlertFires(t *testing.T) {
	t.Parallel()
	file := rules(`
      - alert: Held
        expr: time() - last > 30 * 60
        for: 5m
      - alert: AtOnce
        expr: letters > 0
      - alert: Days
        expr: letters > 0
        for: 1d
`)
	for _, c := range []struct {
		alert alert
		want  time.Duration
	}{
		{alert{name: "Held"}, 5 * time.Minute},
		{alert{"Held", 30 * time.Minute, "> 30 * 60"}, 35 * time.Minute},
		{alert{name: "AtOnce"}, 0}, // not the next rule's
		{alert{name: "Days"}, 24 * time.Hour},
	} {
		if got, err := c.alert.fires(file); err != nil || got != c.want {
			t.Errorf("%s: want %s, got %s, %v", c.alert.name, c.want, got, err)
		}
	}
	for _, a := range []alert{{name: "Gone"}, {"Held", time.Hour, "> 60 * 60"}} {
		if _, err := a.fires(file); err == nil {
			t.Errorf("%s, which waits for %q: want an error, got none", a.name, a.says)
		}
	}
}

func TestWalls(t *testing.T) {
	t.Parallel()
	f := facts{walls: walls("| a | 1 |\n\n| wall | stands at, a second |\n|---|---|\n| runs on one core | 385 |\n| webhooks | 12,396 |\n")}
	if name, at, err := f.wall("web"); name != "webhooks" || at != 12396 || err != nil {
		t.Errorf("want webhooks at 12396, got %s at %v, %v", name, at, err)
	}
	if _, _, err := f.wall("a"); err == nil {
		t.Error("want an error for what is in another table, got none")
	}
	if want, got := "25,920,000", thousands(25_920_000); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}
