package cli

import (
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func (p *page) tagTable() pageTable {
	t := pageTable{
		ID: "tags", Title: "Revision tags",
		Columns: columns("Tag", "Target", "Leads to", "Version", "State", "Workloads there", "Namespaces"),
	}
	for i := range p.Report.Tags {
		g := &p.Report.Tags[i]
		state := pageCell{Text: string(g.State)}
		switch g.State {
		case status.Dangling, status.Shadowed:
			state.Class = classBad
		case status.Lagging:
			state.Class = classWait
		case status.Following:
		}
		if g.Why != "" {
			state.Text += ": " + g.Why
		}
		reached := text(strconv.Itoa(g.Share.Reached) + " of " + strconv.Itoa(g.Share.Workloads))
		if g.Share.Revision != "" {
			reached.Text += "; rollout asks for " + strconv.Itoa(g.Share.Percent) + "% on " + g.Share.Revision + ", which " +
				strconv.Itoa(g.Share.Moved) + " run"
		}
		target, version := mono(strings.ReplaceAll(g.Target, "/", " ")), pageCell{Versions: p.chips(g.Version)}
		t.Rows = append(t.Rows, []pageCell{
			mono(g.Name), target, mono(g.Revision), version, state, reached, text(few(g.Namespaces)),
		})
	}
	return t
}

func (p *page) gatewayTable() pageTable {
	t := pageTable{
		ID: "gateways", Title: "Gateways and waypoints",
		Columns: columns("Gateway", "Kind", "Revision", "Runs", "State", "Pods#", "Used by#"),
	}
	for i := range p.Report.Gateways {
		g := &p.Report.Gateways[i]
		kind, state, used := text("Gateway"), pageCell{Text: string(g.State)}, text("not a waypoint")
		runs := pageCell{Versions: p.chips(g.Running...)}
		if g.Waypoint {
			kind, used = text("Waypoint"), number(g.Consumers)
		}
		switch g.State {
		case status.NoOwner:
			state = pageCell{Text: "no revision deploys it", Class: classBad}
		case status.Outdated:
			state = pageCell{Text: "not yet " + g.Version, Class: classWait}
		case status.Current:
			state.Text = "current"
		case status.NoPods:
			state = pageCell{Text: "no pods", Class: classWait}
		case status.Unjudged:
			state.Text = "its version is not known"
		}
		t.Rows = append(t.Rows, []pageCell{
			mono(g.Namespace + "/" + g.Name), kind, mono(g.Revision), runs, state, number(g.Pods), used,
		})
	}
	return t
}

func (p *page) workloadTable() pageTable {
	t := pageTable{
		ID: "workloads", Title: "Workloads by revision and version",
		Columns: columns("Revision", "Version", "Proxy", "Workloads#", "Pods#"),
	}
	for _, c := range p.Report.Workloads {
		by, version := mono(c.Revision), pageCell{Versions: p.chips(c.Version)}
		switch {
		case c.Role == string(skew.Ambient):
			by, version = text("through ZTunnel"), text("that of ZTunnel")
		case c.Version == "":
			version = text("unknown")
		}
		t.Rows = append(t.Rows, []pageCell{by, version, text(c.Role), number(c.Workloads), number(c.Pods)})
	}
	return t
}

func (p *page) restartTable() pageTable {
	t := pageTable{
		ID: "restarts", Title: "Waiting for a restart",
		Columns:       columns("Namespace", "Workloads", "Pods#", "Run now", "Would run", "Why"),
		CommandsIntro: "What restarts those that can be restarted now:", Commands: p.Report.RestartCommands,
	}
	for _, g := range restartGroups(p.Report.Restarts) {
		names := pageCell{Text: count(g.Workloads, "workload"), MoreTitle: "Names", More: g.Names}
		if g.Workloads == 1 {
			names = mono(g.Names[0])
		}
		why := pageCell{Text: whyRestart(g), Class: waitClass(g.Wait)}
		t.Rows = append(t.Rows, []pageCell{
			mono(g.Namespace), names, number(g.Pods), p.proxyCell(g.From), p.proxyCell(g.To), why,
		})
	}
	return t
}

func waitClass(wait string) string {
	if wait == "" {
		return ""
	}
	return classWait
}

func (p *page) proxyCell(x status.Proxy) pageCell {
	if x.Revision == "" {
		return text("no sidecar")
	}
	return pageCell{Versions: append([]versionChip{{Text: x.Revision, Class: p.chip(x.Version).Class}}, p.chips(x.Version)...)}
}

// whyRestart is the reason of all workloads of a group.
func whyRestart(g restartGroup) string {
	why := ""
	switch g.Reason {
	case status.TagMoved:
		why = "tag " + g.Tag + " leads elsewhere now"
	case status.RolloutMoved:
		why = "the rollout of tag " + g.Tag + " has changed"
	case status.LabelsChanged:
		why = "labels ask for another revision"
	case status.RevisionUpdated:
		why = "the revision runs another version"
	case status.NoLongerSelected:
		why = "no label asks for a sidecar any more; nothing to do unless it is to be removed"
	}
	if g.Wait != "" {
		why += "; first wait until revision " + g.To.Revision + " runs"
	}
	return why
}

// mostRows bounds the table that has a row for each workload: a page has to be readable, and whole namespaces can be
// wrong in one way, which the problems at its top say once.
const mostRows = 200

func (p *page) askingTable() pageTable {
	t := pageTable{
		ID: "sidecars", Title: "Asking for a sidecar in vain",
		Columns: columns("Workload", "Pods#", "With sidecar#", "Asks for", "Why"),
	}
	add := func(a *status.Asking) {
		if len(t.Rows) == mostRows {
			more := len(p.Report.Unresolvable) + len(p.Report.WithoutSidecar) - mostRows
			t.Rows = append(t.Rows, []pageCell{text("and " + count(more, "more workload")), {}, {}, {}, text("see -o json")})
		}
		if len(t.Rows) > mostRows {
			return
		}
		why := a.Why
		if a.Reason == routing.NoMesh {
			why = "the cluster has no revision"
		}
		t.Rows = append(t.Rows, []pageCell{
			mono(a.Kind + " " + a.Namespace + "/" + a.Name), number(a.Pods), number(a.WithSidecar), mono(a.Wanted), text(why),
		})
	}
	for i := range p.Report.Unresolvable {
		add(&p.Report.Unresolvable[i])
	}
	for i := range p.Report.WithoutSidecar {
		add(&p.Report.WithoutSidecar[i])
	}
	return t
}
