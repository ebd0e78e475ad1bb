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

func (t *statusTables) controlPlanes() statusTable {
	out := statusTable{header: []string{"NAME", "ISTIO", "DECLARED", "RUNNING", "READY", "STATE", "USAGE", "WORKLOADS", "PODS", "USED BY"}}
	forward := t.report.Mode == routing.Forward
	if forward {
		out.header = append(out.header, "ROUTABLE")
	}
	if t.wide {
		out.header = append(out.header, "NAMESPACE", "STRATEGY", "ORIGIN", "UPDATED")
	}
	for i := range t.report.ControlPlanes {
		c := &t.report.ControlPlanes[i]
		row := []string{
			"revision/" + c.Name, c.Istio, c.Declared, commas(c.Running), ready(c.Rollout, c.State), string(c.State),
			string(c.Usage), strconv.Itoa(c.Workloads), strconv.Itoa(c.Pods), usedBy(&c.UsedBy, t.wide),
		}
		if forward {
			row = append(row, cmp.Or(string(c.Unroutable), "Yes"))
		}
		if t.wide {
			row = append(row, c.Namespace, c.Strategy, string(c.Origin), updated(c.Rollout, c.State))
		}
		out.rows = append(out.rows, row)
	}
	return out
}

func commas(values []string) string { return strings.Join(values, ",") }

// ready is as in kubectl get deployments.
func ready(r status.Rollout, s status.State) string {
	if s == status.Declared || s == status.Remote || s == status.Pending {
		return ""
	}
	return strconv.Itoa(r.Ready) + "/" + strconv.Itoa(r.Pods)
}

func updated(r status.Rollout, s status.State) string {
	if ready(r, s) == "" {
		return ""
	}
	return strconv.Itoa(r.Updated) + "/" + strconv.Itoa(r.Pods)
}

// usedBy counts the users of a revision, and in the wide form names them.
func usedBy(u *status.UsedBy, wide bool) string {
	var parts []string
	add := func(what string, names []string) {
		switch {
		case len(names) == 0:
		case wide || len(names) == 1:
			parts = append(parts, what+" "+strings.Join(names, "+"))
		default:
			parts = append(parts, count(len(names), what))
		}
	}
	add("namespace", u.Namespaces)
	add("tag", u.Tags)
	add("gateway", u.Gateways)
	if u.ZTunnel {
		parts = append(parts, "ztunnel")
	}
	if u.ByDefault {
		parts = append(parts, "unlabelled namespaces")
	}
	return strings.Join(parts, ", ")
}

func (t *statusTables) tags() statusTable {
	out := statusTable{header: []string{"NAME", "TARGET", "LEADS TO", "VERSION", "STATE", "REACHED"}}
	rollouts := slices.ContainsFunc(t.report.Tags, func(g status.Tag) bool { return g.Share.Revision != "" })
	if rollouts {
		out.header = append(out.header, "ROLLOUT", "MOVED")
	}
	out.header = append(out.header, "NAMESPACES")
	if t.wide {
		out.header = append(out.header, "WANTS", "FOLLOWED", "WHY")
	}
	for i := range t.report.Tags {
		g := &t.report.Tags[i]
		row := []string{"tag/" + g.Name, g.Target, g.Revision, g.Version, string(g.State), share(g.Share.Reached, g.Share.Workloads)}
		if rollouts {
			row = append(row, rollout(g.Share), movedShare(g.Share))
		}
		namespaces := strconv.Itoa(len(g.Namespaces))
		if t.wide {
			namespaces = commas(g.Namespaces)
		}
		row = append(row, namespaces)
		if t.wide {
			row = append(row, g.Wants, string(g.Followed), g.Why)
		}
		out.rows = append(out.rows, row)
	}
	return out
}

func share(n, of int) string { return strconv.Itoa(n) + "/" + strconv.Itoa(of) }

func rollout(s status.Share) string {
	if s.Revision == "" {
		return ""
	}
	return strconv.Itoa(s.Percent) + "% " + s.Revision
}

func movedShare(s status.Share) string {
	if s.Revision == "" || s.Workloads == 0 {
		return ""
	}
	return share(s.Moved, s.Workloads) + " (" + strconv.Itoa(s.Moved*100/s.Workloads) + "%)"
}

func (t *statusTables) components() statusTable {
	out := statusTable{header: []string{"NAME", "DECLARED", "RUNNING", "UPDATED", "READY", "STATE", "SKEW"}}
	if t.wide {
		out.header = append(out.header, "NAMESPACE")
	}
	for i := range t.report.Components {
		c := &t.report.Components[i]
		row := []string{
			strings.ToLower(c.Kind) + "/" + c.Name, c.Declared, commas(c.Running), updated(c.Rollout, c.State),
			ready(c.Rollout, c.State), string(c.State), commas(c.Rules),
		}
		if t.wide {
			row = append(row, c.Namespace)
		}
		out.rows = append(out.rows, row)
	}
	return out
}

func (t *statusTables) gateways() statusTable {
	out := statusTable{header: []string{"NAME", "CLASS", "REVISION", "VERSION", "RUNNING", "PODS", "STATE", "CONSUMERS"}}
	if t.wide {
		out.header = append(out.header, "TAG")
	}
	for i := range t.report.Gateways {
		g := &t.report.Gateways[i]
		name, consumers := "gateway/", ""
		if g.Waypoint {
			name, consumers = "waypoint/", strconv.Itoa(g.Consumers)
		}
		row := []string{
			name + g.Namespace + "/" + g.Name, g.Class, g.Revision, g.Version, commas(g.Running), strconv.Itoa(g.Pods),
			string(g.State), consumers,
		}
		if t.wide {
			row = append(row, g.Tag)
		}
		out.rows = append(out.rows, row)
	}
	return out
}

func (t *statusTables) workloads() statusTable {
	out := statusTable{header: []string{"NAME", "VERSION", "ROLE", "WORKLOADS", "PODS"}}
	for _, c := range t.report.Workloads {
		name := "proxies/" + c.Revision
		if c.Role == string(skew.Ambient) {
			name = "ambient"
		}
		out.rows = append(out.rows, []string{
			name, c.Version, c.Role, strconv.Itoa(c.Workloads), strconv.Itoa(c.Pods),
		})
	}
	return out
}

// restarts has a row for each workload in the wide form, and one for all of a namespace that go the same way otherwise.
func (t *statusTables) restarts() statusTable {
	if t.wide {
		out := statusTable{header: []string{"NAME", "PODS", "FROM", "TO", "REASON", "WAIT", "WHY"}}
		for i := range t.report.Restarts {
			r := &t.report.Restarts[i]
			out.rows = append(out.rows, []string{
				"restart/" + r.Namespace + "/" + strings.ToLower(r.Kind) + "/" + r.Name, strconv.Itoa(r.Pods), proxy(r.From), proxy(r.To),
				string(r.Reason), r.Wait, r.Why,
			})
		}
		return out
	}
	out := statusTable{header: []string{"NAME", "WORKLOADS", "PODS", "FROM", "TO", "REASON"}}
	for _, g := range restartGroups(t.report.Restarts) {
		reason := string(g.Reason)
		if g.Wait != "" {
			reason += ", once " + g.To.Revision + " runs"
		}
		out.rows = append(out.rows, []string{
			"restart/" + g.Namespace, strconv.Itoa(g.Workloads), strconv.Itoa(g.Pods), proxy(g.From), proxy(g.To), reason,
		})
	}
	return out
}

func proxy(p status.Proxy) string {
	return strings.TrimSpace(p.Revision + " " + p.Version)
}

// restartGroup is workloads of one namespace that go the same way.
type restartGroup struct {
	status.Restart
	Workloads int
	Names     []string
}

func restartGroups(all []status.Restart) []restartGroup {
	var groups []restartGroup
	at := map[status.Restart]int{}
	for _, r := range all {
		key := status.Restart{Namespace: r.Namespace, From: r.From, To: r.To, Reason: r.Reason, Wait: r.Wait, Tag: r.Tag}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, restartGroup{Restart: key})
			groups[i].Why = r.Why
		}
		groups[i].Pods += r.Pods
		if name := r.Kind + " " + r.Name; !slices.Contains(groups[i].Names, name) {
			groups[i].Names = append(groups[i].Names, name)
			groups[i].Workloads++
		}
	}
	return groups
}

// asking is for the wide form: the problems say it for each namespace.
func (t *statusTables) asking() statusTable {
	out := statusTable{header: []string{"NAME", "PODS", "SIDECARS", "WANTED", "REASON", "NEXT"}}
	if !t.wide {
		return out
	}
	for _, group := range []struct {
		name string
		list []status.Asking
	}{{"nosidecar/", t.report.WithoutSidecar}, {"unresolvable/", t.report.Unresolvable}} {
		for _, a := range group.list {
			out.rows = append(out.rows, []string{
				group.name + a.Namespace + "/" + strings.ToLower(a.Kind) + "/" + a.Name, strconv.Itoa(a.Pods),
				strconv.Itoa(a.WithSidecar), a.Wanted, string(a.Reason), a.Next,
			})
		}
	}
	return out
}
