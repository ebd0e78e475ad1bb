package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// lane is a control plane with who asks for it and what runs with it.
type lane struct {
	Name     string
	Versions []versionChip
	Asked    []asker
	Lines    []cardLine
	// Proxies counts what runs with it, Bar is that by version, and Width its part of the largest in percent.
	Proxies string
	Bar     []segment
	Width   int
	// Moving is what waits to leave it.
	Moving string
	// Bad: an error is about it.
	Bad bool
}

// asker leads to a control plane.
type asker struct{ Kind, Name, Through string }

// card is IstioCNI or ZTunnel.
type card struct {
	Kind, Name string
	Versions   []versionChip
	Lines      []cardLine
	Bad        bool
}

type cardLine struct{ Text, Class string }

// pageTable is one table. The first cell of a row is its header.
type pageTable struct {
	ID, Title     string
	Columns       []pageColumn
	Rows          [][]pageCell
	CommandsIntro string
	Commands      []string
}

type pageColumn struct {
	Name   string
	Number bool
}

type pageCell struct {
	Label, Text, Class string
	Number             bool
	Versions           []versionChip
	MoreTitle          string
	More               []string
}

const (
	classBad  = "bad-text"
	classWait = "wait-text"
	classMono = "mono"
)

func (p *page) cards() []card {
	var list []card
	for i := range p.Report.Components {
		c := &p.Report.Components[i]
		one := card{Kind: c.Kind, Name: c.Name, Bad: len(c.Rules) > 0, Versions: p.chips(c.Declared), Lines: stateLines(c.State, c.Rollout)}
		one.Lines = append(one.Lines, cardLine{Text: runsLine(c.Declared, c.Running)})
		if c.Kind == string(skew.KindZTunnel) {
			one.Lines = append(one.Lines, p.ambient()...)
		}
		if len(c.Rules) > 0 {
			one.Lines = append(one.Lines, cardLine{"violates " + strings.Join(c.Rules, ", "), classBad})
		}
		list = append(list, one)
	}
	return list
}

// ambient is what ZTunnel carries.
func (p *page) ambient() []cardLine {
	for _, c := range p.Report.Workloads {
		if c.Role == string(skew.Ambient) {
			return []cardLine{{Text: "carries " + count(c.Workloads, "workload") + ", " + count(c.Pods, "pod")}}
		}
	}
	return nil
}

// runsLine says what runs, where it is not just what is declared.
func runsLine(declared string, running []string) string {
	switch runs := strings.Join(running, " and "); runs {
	case "":
		return "declares " + declared
	case declared:
		return "runs what it declares"
	default:
		return "declares " + declared + ", runs " + runs
	}
}

func (p *page) lanes() []lane {
	most := 1
	for i := range p.Report.ControlPlanes {
		most = max(most, p.Report.ControlPlanes[i].Pods)
	}
	var list []lane
	for i := range p.Report.ControlPlanes {
		c := &p.Report.ControlPlanes[i]
		list = append(list, lane{
			Name: c.Name, Versions: p.chips(cmp.Or(c.Declared, strings.Join(c.Running, ", "))),
			Bad: p.errorAbout("IstioRevision " + c.Name), Asked: p.askers(c), Lines: planeLines(c),
			Proxies: count(c.Workloads, "workload") + ", " + count(c.Pods, "pod"), Width: c.Pods * 100 / most,
			Bar:    p.bar(func(x status.Count) bool { return x.Revision == c.Name && x.Role != string(skew.Ambient) }),
			Moving: p.moving(c.Name),
		})
	}
	return list
}

// planeLines say how a control plane is.
func planeLines(c *status.ControlPlane) []cardLine {
	lines := stateLines(c.State, c.Rollout)
	add := func(text, class string) { lines = append(lines, cardLine{text, class}) }
	if len(c.Running) > 0 && c.Declared != "" && !slices.Equal(c.Running, []string{c.Declared}) {
		add(runsLine(c.Declared, c.Running), "")
	}
	switch {
	case c.Istio != "" && c.Usage == status.Active:
		add("the active revision of Istio "+c.Istio+", "+c.Strategy, "")
	case c.Istio != "":
		add("an earlier revision of Istio "+c.Istio+", "+c.Strategy, "")
	case c.Origin == routing.Webhook:
		add("of plain Istio", "")
	}
	if c.Usage == status.Unused {
		add("nothing uses it", "")
	}
	if c.Unroutable != "" {
		add("takes no pods: "+routing.ExplainUnroutable(c.Unroutable), classWait)
	}
	return lines
}

// askers are who leads to a control plane: tags with their namespaces first, then what names it itself.
func (p *page) askers(c *status.ControlPlane) []asker {
	var list []asker
	through := map[string]bool{}
	for i := range p.Report.Tags {
		t := &p.Report.Tags[i]
		for _, n := range t.Namespaces {
			through[n] = true
		}
		switch {
		case t.Revision == c.Name:
			list = append(list, asker{"tag", t.Name, few(t.Namespaces)})
		case t.Wants == c.Name && t.State == status.Lagging:
			list = append(list, asker{"tag", t.Name, "its target, not yet followed"})
		}
		if t.Share.Revision == c.Name && p.Report.Mode == routing.Forward {
			list = append(list, asker{"rollout of tag", t.Name, strconv.Itoa(t.Share.Percent) + "% of its workloads"})
		}
	}
	var own []string
	for _, n := range c.UsedBy.Namespaces {
		if !through[n] {
			own = append(own, n)
		}
	}
	for _, group := range []struct {
		kind  string
		names []string
	}{{"namespace", own}, {"Gateway", c.UsedBy.Gateways}} {
		if len(group.names) > 0 {
			list = append(list, asker{Kind: group.kind, Name: few(group.names)})
		}
	}
	if c.UsedBy.ZTunnel {
		list = append(list, asker{Kind: "ZTunnel", Name: "default"})
	}
	if c.UsedBy.ByDefault {
		list = append(list, asker{Kind: "namespaces without labels"})
	}
	return list
}

// moving says how much of a control plane's data plane would run with another one after a restart.
func (p *page) moving(revision string) string {
	to, workloads := []string{}, 0
	for _, g := range restartGroups(p.Report.Restarts) {
		if g.From.Revision != revision || g.To.Revision == revision || g.To.Revision == "" {
			continue
		}
		workloads += g.Workloads
		if !slices.Contains(to, g.To.Revision) {
			to = append(to, g.To.Revision)
		}
	}
	if workloads == 0 {
		return ""
	}
	return count(workloads, "workload") + " to be restarted onto " + strings.Join(to, " and ")
}

// errorAbout reports whether an error names the object first.
func (p *page) errorAbout(object string) bool {
	return slices.ContainsFunc(p.Report.Problems, func(x status.Problem) bool {
		return x.Severity == status.Error && len(x.Objects) > 0 && x.Objects[0] == object
	})
}

// few names the first of many.
func few(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
}

// stateLines say how far something is, in words that need no key.
func stateLines(s status.State, r status.Rollout) []cardLine {
	ready := strconv.Itoa(r.Ready) + " of " + count(r.Pods, "pod") + " ready"
	switch s {
	case status.Running:
		return []cardLine{{"running, " + ready, ""}}
	case status.RollingOut:
		return []cardLine{{"rolling out: " + strconv.Itoa(r.Updated) + " of " + count(r.Pods, "pod") + " updated, " +
			strconv.Itoa(r.Ready) + " ready", classWait}}
	case status.NotRunning:
		return []cardLine{{"does not run, " + ready, classBad}}
	case status.Declared:
		return []cardLine{{"declared; nothing tells what runs", ""}}
	case status.Pending:
		return []cardLine{{"to be created by the operator", classWait}}
	case status.Remote:
		return []cardLine{{"in another cluster", ""}}
	case status.Deleting:
		return []cardLine{{"being deleted", classWait}}
	}
	return nil
}

func (p *page) tables() []pageTable {
	var list []pageTable
	for _, t := range []pageTable{p.tagTable(), p.gatewayTable(), p.workloadTable(), p.restartTable(), p.askingTable()} {
		if len(t.Rows) == 0 {
			continue
		}
		for _, row := range t.Rows {
			for i := range row {
				row[i].Label, row[i].Number = t.Columns[i].Name, t.Columns[i].Number
			}
		}
		list = append(list, t)
	}
	return list
}

func columns(names ...string) []pageColumn {
	list := make([]pageColumn, 0, len(names))
	for _, name := range names {
		text, number := strings.CutSuffix(name, "#")
		list = append(list, pageColumn{text, number})
	}
	return list
}

func text(s string) pageCell { return pageCell{Text: s} }

func number(n int) pageCell { return pageCell{Text: strconv.Itoa(n)} }

func mono(s string) pageCell { return pageCell{Text: s, Class: classMono} }
