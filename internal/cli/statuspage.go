package cli

import (
	"bufio"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/revision-router/revision-router/internal/markup"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing/skew"
)

//go:embed status.html.tmpl
var pageText string

// pageInfo is what the page says about where its report is from.
type pageInfo struct {
	From string
	At   time.Time
}

// page is what the template shows: everything is decided before, so that it only places things.
type page struct {
	Report                         *status.Report
	Title, Heading, From, Headline string
	// Time is for machines, At for people.
	Time, At string
	// Verdict is the report in a word or two.
	Verdict, VerdictClass string
	Bar                   []segment
	// Twice: some workloads have pods of two versions, so that the parts of the bar add up to more than there are.
	Twice  bool
	Lanes  []lane
	Cards  []card
	Tables []pageTable

	colours map[string]string
}

// segment is a version's share of the data plane.
type segment struct {
	Class, Label, Text string
	Pods               int
}

// versionChip is a version with the colour of its minor.
type versionChip struct{ Text, Class string }

// writePage writes a report as one page that loads nothing. Package markup escapes every value.
func writePage(out *bufio.Writer, r *status.Report, info pageInfo) error {
	t, err := markup.Parse(pageText, markup.Funcs{
		"lower": func(args ...any) any { return strings.ToLower(fmt.Sprint(args...)) },
		// Commands break between words only, unless one is longer than a line.
		"words": func(args ...any) any { return strings.Fields(fmt.Sprint(args...)) },
	})
	if err != nil {
		return fmt.Errorf("reading the template of the page: %w", err)
	}
	at := info.At.UTC()
	p := page{
		Report: r, Heading: "Mesh status", Title: "Mesh status", From: info.From, Headline: headline(r),
		Time: at.Format(time.RFC3339), At: at.Format("2 January 2006, 15:04 UTC"), colours: coloursOf(r),
	}
	if info.From != "" {
		p.Title += ": " + info.From
	}
	p.Verdict, p.VerdictClass = verdictOf(r)
	parts := 0
	for _, c := range r.Workloads {
		parts += c.Workloads
	}
	p.Twice = parts > r.Summary.Workloads
	p.Bar, p.Lanes, p.Cards, p.Tables = p.bar(func(status.Count) bool { return true }), p.lanes(), p.cards(), p.tables()
	return t.Execute(out, p)
}

// colours is how many minor versions get one of their own. A mesh has two or three.
const colours = 5

// coloursOf gives each minor version a colour, the newest the first.
func coloursOf(r *status.Report) map[string]string {
	var minors []skew.Version
	add := func(texts ...string) {
		for _, text := range texts {
			if v := skew.Parse(text); v.Known() {
				minors = append(minors, skew.Parse(v.Minor()))
			}
		}
	}
	for i := range r.ControlPlanes {
		add(r.ControlPlanes[i].Declared)
		add(r.ControlPlanes[i].Running...)
	}
	for i := range r.Components {
		add(r.Components[i].Declared)
		add(r.Components[i].Running...)
	}
	for i := range r.Gateways {
		add(r.Gateways[i].Running...)
	}
	for _, c := range r.Workloads {
		add(c.Version)
	}
	slices.SortFunc(minors, func(a, b skew.Version) int { return b.Compare(a) })
	classes := map[string]string{}
	for i, v := range slices.Compact(minors) {
		classes[v.Minor()] = "c" + strconv.Itoa(i%colours)
	}
	return classes
}

func (p *page) chip(version string) versionChip {
	class, ok := p.colours[skew.Parse(version).Minor()]
	if !ok {
		return versionChip{Text: version, Class: "cx"}
	}
	return versionChip{Text: version, Class: class}
}

func (p *page) chips(versions ...string) []versionChip {
	var list []versionChip
	for _, v := range versions {
		if v != "" {
			list = append(list, p.chip(v))
		}
	}
	return list
}

func verdictOf(r *status.Report) (text, class string) {
	switch s := r.Summary; {
	case s.Errors > 0:
		return count(s.Errors, "error"), "error"
	case s.Warnings > 0:
		return count(s.Warnings, "warning"), "warning"
	case s.ControlPlanes == 0:
		return "empty", "warning"
	case s.Upgrading:
		return "upgrading, nothing is wrong", "good"
	}
	return "nothing is wrong", "good"
}

// bar adds up a part of the data plane by version.
func (p *page) bar(keep func(status.Count) bool) []segment {
	var list []segment
	at, workloads := map[string]int{}, map[string]int{}
	for _, c := range p.Report.Workloads {
		if !keep(c) {
			continue
		}
		label := c.Version
		switch {
		case c.Role == string(skew.Ambient):
			label = "ambient"
		case label == "":
			label = "unknown version"
		}
		i, ok := at[label]
		if !ok {
			i = len(list)
			at[label] = i
			list = append(list, segment{Label: label, Class: p.chip(c.Version).Class})
		}
		list[i].Pods += c.Pods
		workloads[label] += c.Workloads
	}
	for i := range list {
		s := &list[i]
		s.Text = count(workloads[s.Label], "workload") + ", " + count(s.Pods, "pod")
	}
	slices.SortStableFunc(list, func(a, b segment) int {
		x, y := skew.Parse(a.Label), skew.Parse(b.Label)
		if x.Known() != y.Known() {
			return y.Compare(x) // what has no version comes last
		}
		return x.Compare(y)
	})
	return list
}
