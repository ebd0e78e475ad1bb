package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// The page is as wide as a dashboard on a laptop; a unit of Grafana's grid is as high as there, nearly.
const (
	pageWidth = 1440
	margin    = 16
	columns   = 24
	unit      = 30
	gap       = 8
)

const style = `body{margin:0;background:#f4f5f5;font:13px "DejaVu Sans",sans-serif;color:#24292e}
.p{position:absolute;background:#fff;border:1px solid #e0e2e5;border-radius:3px;box-sizing:border-box;overflow:hidden}
.p h3{margin:7px 10px 0;font-size:11.5px;font-weight:600;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.row{position:absolute;font-size:16px;font-weight:600;line-height:30px}
.big{text-align:center;font-weight:600;position:absolute;left:0;right:0;top:30px;bottom:6px;display:flex;align-items:center;justify-content:center}
.none{color:#8a8f98;font-weight:400;font-size:14px}
table{width:100%;border-collapse:collapse;margin-top:5px}th,td{text-align:left;padding:3px 10px;border-bottom:1px solid #eceef0;font-size:12px}th{color:#5f6670;font-weight:600}
td.n,th.n{text-align:right}
.legend{position:absolute;left:10px;right:10px;bottom:5px;font-size:11px;line-height:15px;max-height:45px;overflow:hidden}
.legend span{margin-right:12px;white-space:nowrap;display:inline-block}.legend i{display:inline-block;width:12px;height:3px;margin-right:5px;vertical-align:middle}
.bars{margin:6px 10px}.bar{display:flex;align-items:center;height:24px;font-size:12px}.bar .l{width:46%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar .t{flex:1;height:14px;background:#eceef0;margin:0 8px}.bar .t div{height:14px}
svg text{font:10.5px "DejaVu Sans",sans-serif;fill:#5f6670}`

// palette tells the series of a graph apart.
func palette(i int) string {
	colours := []string{"#1f78c1", "#56a64b", "#e0752d", "#8f3bb8", "#c4162a", "#b8860b", "#008b8b", "#7f7f7f"}
	return colours[i%len(colours)]
}

func document(drawn []answered) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Revision Router</title><style>%s</style></head><body>\n", style)
	for _, a := range drawn {
		x, y, w, h := a.place()
		if a.Type == "row" {
			fmt.Fprintf(&b, "<div class=\"row\" style=\"left:%dpx;top:%dpx\">%s</div>\n", x, y, html.EscapeString(a.Title))
			continue
		}
		fmt.Fprintf(&b, "<div class=\"p\" style=\"left:%dpx;top:%dpx;width:%dpx;height:%dpx\"><h3>%s</h3>%s</div>\n",
			x, y, w, h, html.EscapeString(a.Title), a.body(w, h))
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

// place is where the panel is on the page, in pixels.
func (a answered) place() (x, y, w, h int) {
	const inner = pageWidth - 2*margin + gap // every panel leaves a gap to its right, the last one, too
	g := a.GridPos
	return margin + g.X*inner/columns, margin + g.Y*unit, g.W*inner/columns - gap, g.H*unit - gap
}

func height(drawn []answered) int {
	bottom := 0
	for _, a := range drawn {
		_, y, _, h := a.place()
		bottom = max(bottom, y+h)
	}
	return bottom + margin
}

func (a answered) body(w, h int) string {
	slices.SortStableFunc(a.series, func(x, y line) int { return cmp.Compare(x.name, y.name) })
	if len(a.series) == 0 {
		return `<div class="big none">nothing to show</div>`
	}
	switch a.Type {
	case "timeseries":
		return a.graph(w, h)
	case "table":
		return a.table()
	case "bargauge":
		return a.bars()
	case "gauge":
		return a.gauge(w, h)
	}
	value := a.series[0].last()
	if a.FieldConfig.Defaults.Decimals != nil {
		value = math.Round(value) // no panel has any but 0
	}
	return fmt.Sprintf("<div class=\"big\" style=\"font-size:38px;color:%s\">%s</div>", a.colour(value), a.format(value))
}

func (l line) last() float64 {
	if len(l.points) == 0 {
		return 0
	}
	return l.points[len(l.points)-1].Value
}

// colour is that of the highest threshold that the value has reached.
func (a answered) colour(value float64) string {
	name := "green"
	for _, s := range a.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value == nil || value >= *s.Value {
			name = s.Color
		}
	}
	return map[string]string{"green": "#37872d", "red": "#c4162a", "orange": "#e0752d"}[name]
}

// format writes a value in the panel's unit.
func (a answered) format(value float64) string {
	switch a.FieldConfig.Defaults.Unit {
	case "s":
		return seconds(value)
	case "ops":
		return number(value) + "/s"
	case "percent":
		return number(value) + " %"
	case "percentunit":
		return number(value*100) + " %"
	case "bytes":
		if value < 1<<20 {
			return number(value/(1<<10)) + " KiB"
		}
		return number(value/(1<<20)) + " MiB"
	}
	return number(value)
}

func seconds(value float64) string {
	switch d := time.Duration(value * float64(time.Second)); {
	case d >= 48*time.Hour:
		return number(d.Hours()/24) + " d"
	case d >= time.Hour:
		return number(d.Hours()) + " h"
	case d >= time.Minute:
		return number(d.Minutes()) + " min"
	case d >= time.Second || d == 0:
		return number(d.Seconds()) + " s"
	}
	return number(value*1000) + " ms"
}

// number has two or three digits that say something.
func number(value float64) string {
	digits := 0
	switch size := max(value, -value); {
	case size == float64(int64(size)), size >= 100:
	case size >= 10:
		digits = 1
	default:
		digits = 2
	}
	text := fmt.Sprintf("%.*f", digits, value)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func (a answered) table() string {
	keys := map[string]bool{}
	for _, s := range a.series {
		for key := range s.labels {
			keys[key] = true
		}
	}
	var names []string
	for key := range keys {
		names = append(names, key)
	}
	slices.Sort(names)
	slices.Reverse(names) // rule before level
	var b strings.Builder
	b.WriteString("<table><tr>")
	for _, name := range names {
		fmt.Fprintf(&b, "<th>%s</th>", html.EscapeString(name))
	}
	b.WriteString("<th class=\"n\">Value</th></tr>")
	for _, s := range a.series {
		b.WriteString("<tr>")
		for _, name := range names {
			fmt.Fprintf(&b, "<td>%s</td>", html.EscapeString(s.labels[name]))
		}
		fmt.Fprintf(&b, "<td class=\"n\">%s</td></tr>", a.format(s.last()))
	}
	b.WriteString("</table>")
	return b.String()
}
