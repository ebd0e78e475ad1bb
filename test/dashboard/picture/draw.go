package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// bars draws one for each series, each as long as its value.
func (a answered) bars() string {
	most := 0.0
	for _, s := range a.series {
		most = max(most, s.last())
	}
	if a.FieldConfig.Defaults.Unit == "percent" {
		most = 100
	}
	var b strings.Builder
	b.WriteString(`<div class="bars">`)
	for i, s := range a.series {
		share := 0.0
		if most > 0 {
			share = 100 * s.last() / most
		}
		fmt.Fprintf(&b, `<div class="bar"><div class="l">%s</div><div class="t"><div style="width:%.1f%%;background:%s"></div></div>%s</div>`,
			html.EscapeString(s.name), share, palette(i), a.format(s.last()))
	}
	b.WriteString("</div>")
	return b.String()
}

// gauge draws an arc that is full at the panel's maximum.
func (a answered) gauge(w, h int) string {
	value, most := a.series[0].last(), 1.0
	if m := a.FieldConfig.Defaults.Max; m != nil {
		most = *m
	}
	radius := float64(min(w/2, h-52)) - 8
	x, y := float64(w)/2, float64(h)-18
	at := func(share float64) (float64, float64) {
		angle := math.Pi * (1 - share)
		return x + radius*math.Cos(angle), y - radius*math.Sin(angle)
	}
	arc := func(share float64, colour string) string {
		fromX, fromY := at(0)
		toX, toY := at(share)
		return fmt.Sprintf(`<path d="M %.1f %.1f A %.1f %.1f 0 0 1 %.1f %.1f" fill="none" stroke=%q stroke-width="14"/>`,
			fromX, fromY, radius, radius, toX, toY, colour)
	}
	share := min(max(value/most, 0), 1)
	return fmt.Sprintf(`<svg style="position:absolute;left:0;top:0" width="%d" height="%d">%s%s`+
		`<text x="%.1f" y="%.1f" text-anchor="middle" style="font-size:26px;font-weight:600;fill:#24292e">%s</text></svg>`,
		w, h, arc(1, "#eceef0"), arc(share, a.colour(value)), x, y-8, a.format(value))
}

// frame is where a graph is within its panel, and what its axes show.
type frame struct {
	left, top, right, bottom float64
	from                     time.Time
	length                   time.Duration
	least, most              float64
}

func (f frame) x(at time.Time) float64 {
	return f.left + (f.right-f.left)*float64(at.Sub(f.from))/float64(f.length)
}

func (f frame) y(value float64) float64 {
	return f.bottom - (f.bottom-f.top)*(value-f.least)/(f.most-f.least)
}

// graph draws lines over time, with a legend.
func (a answered) graph(w, h int) string {
	f := frame{
		left: 58, top: 34, right: float64(w) - 26, bottom: float64(h) - 76,
		from: a.window.From, length: a.window.To.Sub(a.window.From), most: a.ceiling(),
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg style="position:absolute;left:0;top:0" width="%d" height="%d">`, w, h)
	b.WriteString(a.axes(f))
	for i, s := range a.series {
		var points []string
		for _, p := range s.points {
			if !math.IsNaN(p.Value) {
				points = append(points, fmt.Sprintf("%.1f,%.1f", f.x(p.At), f.y(p.Value)))
			}
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.8" stroke-linejoin="round"/>`,
			strings.Join(points, " "), palette(i))
	}
	b.WriteString("</svg>")
	b.WriteString(`<div class="legend">`)
	for i, s := range a.series {
		fmt.Fprintf(&b, `<span><i style="background:%s"></i>%s</span>`, palette(i), html.EscapeString(s.name))
	}
	b.WriteString("</div>")
	return b.String()
}

func (a answered) axes(f frame) string {
	var b strings.Builder
	const lines = 4
	for i := range lines + 1 {
		value := f.most * float64(i) / lines
		y := f.y(value)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#eceef0"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			f.left, y, f.right, y, f.left-6, y+4, html.EscapeString(a.format(value)))
	}
	step := tick(f.length)
	for at := time.Duration(0); at <= f.length; at += step {
		x := f.x(f.from.Add(at))
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%d:%02d</text>`, x, f.bottom+15, int(at.Minutes()), int(at.Seconds())%60)
	}
	return b.String()
}

// tick is a round time of which at most six are within the length.
func tick(length time.Duration) time.Duration {
	for _, step := range []time.Duration{5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		if length/step <= 6 {
			return step
		}
	}
	return 10 * time.Minute
}

func (a answered) highest() float64 {
	most := 0.0
	for _, s := range a.series {
		for _, p := range s.points {
			if !math.IsNaN(p.Value) {
				most = max(most, p.Value)
			}
		}
	}
	return most
}

// ceiling is where the axis of a graph ends.
func (a answered) ceiling() float64 {
	highest, unit := a.highest(), 1.0
	if a.FieldConfig.Defaults.Unit == "bytes" {
		unit = 1 << 10
		if highest >= 1<<20 {
			unit = 1 << 20
		}
	}
	return unit * ceiling(highest/unit)
}

// ceiling is the next number above the value that a quarter of is round.
func ceiling(value float64) float64 {
	if value <= 0 {
		return 1
	}
	size := math.Pow(10, math.Floor(math.Log10(value)))
	steps := []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10}
	at := slices.IndexFunc(steps, func(s float64) bool { return s*size >= value })
	if at < 0 {
		return 10 * size
	}
	return steps[at] * size
}
