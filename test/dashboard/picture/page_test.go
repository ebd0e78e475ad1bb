package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/dashboard"
	"github.com/revision-router/revision-router/test/local"
)

// invented has two series in every panel but one.
func invented(t *testing.T) []answered {
	t.Helper()
	panels, err := dashboard.Panels()
	if err != nil {
		t.Fatal(err)
	}
	from := time.Unix(1000, 0)
	var drawn []answered
	for i, p := range panels {
		a := answered{Panel: p, window: dashboard.Window{From: from, To: from.Add(90 * time.Second), Step: time.Second}}
		for n, name := range []string{"default-v1-29-6 <b>", "default-v1-30-3"} {
			l := line{name: name, labels: map[string]string{"rule": "CNISkew", "level": name}}
			for s := range 90 {
				l.points = append(l.points, local.Point{At: from.Add(time.Duration(s) * time.Second), Value: float64((i + n*s) % 97)})
			}
			l.points[3].Value = math.NaN()
			if p.Type != "row" && p.Title != "Answers of injectors" {
				a.series = append(a.series, l)
			}
		}
		drawn = append(drawn, a)
	}
	return drawn
}

func TestThePageShowsEveryPanel(t *testing.T) {
	drawn := invented(t)
	page := document(drawn)
	for _, a := range drawn {
		if !strings.Contains(page, ">"+a.Title+"<") {
			t.Errorf("no panel %q", a.Title)
		}
	}
	for _, wrong := range []string{"NaN", "Inf", "<b>", "http"} {
		if strings.Contains(page, wrong) {
			t.Errorf("the page holds %s", wrong)
		}
	}
	if !strings.Contains(page, "nothing to show") {
		t.Error("a panel without data looks as if it had some")
	}
	if h := height(drawn); h < 800 || h > 4000 {
		t.Errorf("the page is %d pixels high", h)
	}
}

func TestNumbers(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 3: "3", 0.25: "0.25", 12.34: "12.3", 123.4: "123", -0.5: "-0.5", 1e6: "1000000"} {
		if got := number(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
	for value, want := range map[float64]string{0: "0 s", 0.0042: "4.2 ms", 90: "1.5 min", 604800: "7 d", 7200: "2 h"} {
		if got := seconds(value); got != want {
			t.Errorf("%v seconds are written %s, want %s", value, got, want)
		}
	}
	for value, want := range map[float64]float64{0: 1, 1: 1, 1.1: 1.2, 206: 240, 0.07: 0.08, 9.5: 10} {
		if got := ceiling(value); math.Abs(got-want) > 1e-9 {
			t.Errorf("an axis for %v ends at %v, want %v", value, got, want)
		}
	}
}
