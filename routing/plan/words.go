package plan

import (
	"slices"
	"strconv"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func (s *sim) namespaceStep(m *skew.Mesh, a action) Step {
	names := s.namespaceNames(m, a.in)
	step := Step{
		Object: s.namespacesText(s.kindsWith(m, a.in)...), From: a.in.String(), To: routing.LabelRevision + "=" + a.to,
		Why: "their new pods get sidecars of " + a.to + "; those that run keep theirs until the restart",
	}
	if len(names) == 1 {
		step.Object = "Namespace " + names[0]
	}
	how := routing.LabelRevision + "=" + a.to + " --overwrite"
	if a.in.injection.Present {
		how = routing.LabelInjection + "- " + how
	}
	step.Commands = forEach("kubectl label namespace", names, how)
	return step
}

// String is the labels that choose a revision, as kubectl writes them.
func (l labels) String() string {
	text := ""
	if l.injection.Present {
		text = routing.LabelInjection + "=" + l.injection.Value
	}
	if l.revision.Present {
		if text != "" {
			text += ","
		}
		text += routing.LabelRevision + "=" + l.revision.Value
	}
	return text
}

// gatewayStep is about all Gateways of a kind.
func (s *sim) gatewayStep(a action, step Step) Step {
	all := s.gateways[a.at]
	step.Object = "Gateway " + all[0].Namespace + "/" + all[0].Name
	if len(all) > 1 {
		step.Object = strconv.Itoa(len(all)) + " Gateways"
	}
	return step
}

// gatewayCommands edit all Gateways of a kind, which are of many namespaces.
func (s *sim) gatewayCommands(a action, verb, how string) []string {
	var list []string
	for _, g := range s.gateways[a.at] {
		list = append(list, "kubectl "+verb+" gateway "+g.Name+" -n "+g.Namespace+" "+how)
	}
	return list
}

// asking are the indices of the workloads whose own label is to change.
func (s *sim) asking(m *skew.Mesh, a action) (at []int) {
	names := routingMesh(m)
	for i, w := range m.Workloads {
		if s.asksAlone(names, w, i) && w.Label == a.from {
			at = append(at, i)
		}
	}
	return at
}

func (s *sim) podStep(m *skew.Mesh, a action) Step {
	at := s.asking(m, a)
	return Step{
		Object: s.workloadsText(at...), From: "istio.io/rev=" + a.from, To: "istio.io/rev=" + a.to,
		Why:      "the label is on the pods themselves: a new one replaces them",
		Commands: templates(s.members(at), a.to),
	}
}

func (s *sim) restartStep(m *skew.Mesh) Step {
	at, from, to := s.restarts(m)
	return Step{
		Object: s.workloadsText(at...), From: some(from), To: some(to),
		Why:      "pods get their sidecar when they are created",
		Commands: restarts(s.members(at)),
	}
}

// restarts are the workloads to restart, with what they run and what they get.
func (s *sim) restarts(m *skew.Mesh) (at []int, from, to []string) {
	stale := s.stale(m)
	for i := range m.Workloads {
		d, ok := stale[i]
		if !ok {
			continue
		}
		at = append(at, i)
		w := m.Workloads[i]
		from, to = appendNew(from, w.Revision+" "+shown(w.Version)), appendNew(to, d.Revision+" "+shown(d.Version))
	}
	slices.Sort(from)
	slices.Sort(to)
	return at, from, to
}

func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func shown(version string) string {
	if v := skew.Parse(version).String(); v != "" {
		return v
	}
	return "of unknown version"
}

// singletonStep is about IstioCNI or ZTunnel.
func (s *sim) singletonStep(m, after *skew.Mesh, a action) Step {
	switch a.verb {
	case patchCNI:
		return Step{
			Object: "IstioCNI " + m.CNI.Name, From: m.CNI.Version, To: a.version, Why: s.followsWhy(m, a),
			Commands: []string{merge("istiocni", m.CNI.Name, specVersion(a.version))},
		}
	case patchZTunnel:
		step := Step{
			Object: "ZTunnel " + m.ZTunnel.Name, From: m.ZTunnel.Version, To: a.version, Why: s.followsWhy(m, a),
			Commands: []string{merge("ztunnel", m.ZTunnel.Name, specVersion(a.version))},
		}
		if m.ZTunnel.OnDelete {
			step.Why += "; its pods stay until they are deleted"
		}
		return step
	case connectZTunnel:
		return Step{
			Object: "ZTunnel " + m.ZTunnel.Name, From: a.from, To: a.to, Why: "it connects to a revision that is about to go",
			Commands: []string{merge("ztunnel", m.ZTunnel.Name, connectBody(m.ZTunnel, a.to))},
		}
	case replaceZTunnel:
		return Step{
			Object: "pods of ZTunnel " + m.ZTunnel.Name, From: shown(m.ZTunnel.DaemonSet.Version), To: m.ZTunnel.Version,
			Why:      "a node that is empty loses no connection when its ZTunnel is replaced",
			Commands: []string{drainNodes(m.ZTunnel.Namespace)},
		}
	default:
		step := Step{
			Object: "ZTunnel " + m.ZTunnel.Name, From: drainText(m.ZTunnel), To: drainText(after.ZTunnel),
			Why:      "connections get time to end when ZTunnel is replaced; to change it replaces the pods once, with the grace period so far",
			Commands: []string{merge("ztunnel", m.ZTunnel.Name, drainBody(after.ZTunnel))},
		}
		if after.ZTunnel.OnDelete {
			step.Why = "no pod of ZTunnel is replaced before its node was emptied"
		}
		return step
	}
}

func (s *sim) followsWhy(m *skew.Mesh, a action) string {
	if skew.Parse(a.version).MinorsAhead(skew.Parse(s.ours(m).Version)) < 0 {
		return "no live control plane may be behind it, nor more than one minor ahead"
	}
	return "it follows the control plane, which runs that version"
}

func drainText(z *skew.ZTunnel) string {
	if z.OnDelete {
		return "OnDelete"
	}
	if z.GraceSeconds == 0 {
		return "grace period 30s"
	}
	return "grace period " + strconv.FormatInt(z.GraceSeconds, 10) + "s"
}
