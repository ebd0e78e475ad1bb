package plan

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// undo takes a step back, in the state that it leads to. Where the rules would refuse that, the override is part of it;
// where what it led away from is gone, the way back is longer. was is the Istio before its last step, if it had one.
func (s *sim) undo(m, after *skew.Mesh, a action, was *skew.Istio) []string {
	if a.verb == restart || lost(m, after, a) {
		return s.wayBack(m, after, a, was)
	}
	switch a.verb {
	case patchIstio:
		return s.undoIstio(s.ours(m), after)
	case createTag:
		return []string{"kubectl delete istiorevisiontag " + a.name}
	case pointTag:
		return []string{merge("istiorevisiontag", a.name, `{"spec":{"targetRef":{"kind":"IstioRevision","name":"`+a.from+`"}}}`)}
	case unshareTag:
		return []string{"kubectl annotate istiorevisiontag " + a.name + " " + routing.AnnotationRollout + "=" + a.from}
	case relabelNamespaces:
		return forEach("kubectl label namespace", s.namespaceNames(m, a.in), a.in.restore())
	case relabelGateways:
		return s.gatewayCommands(a, "label", "istio.io/rev="+a.from+" --overwrite")
	case unpinGateways:
		return s.gatewayCommands(a, "annotate", skew.AnnotationProxyImage+"="+m.Gateways[a.at].ProxyImage)
	case relabelPods:
		return templates(s.members(s.asking(m, a)), a.from)
	case patchCNI:
		return s.overridden(after, *m.CNI, merge("istiocni", m.CNI.Name, specVersion(m.CNI.Version)))
	case patchZTunnel:
		return s.overridden(after, *m.ZTunnel, merge("ztunnel", m.ZTunnel.Name, specVersion(m.ZTunnel.Version)))
	case connectZTunnel:
		body := connectBody(m.ZTunnel, a.from)
		if m.ZTunnel.TargetName == "" && m.ZTunnel.Revision == "" {
			body = connectBody(m.ZTunnel, routing.DefaultRevision)
		}
		return []string{merge("ztunnel", m.ZTunnel.Name, body)}
	case drainZTunnel:
		return []string{merge("ztunnel", m.ZTunnel.Name, drainBody(m.ZTunnel))}
	case replaceZTunnel:
		was := *m.ZTunnel
		was.Version = replacedFrom(m.ZTunnel)
		lines := append([]string{ztunnelBackText}, s.overridden(after, was, merge("ztunnel", was.Name, specVersion(was.Version)))...)
		lines = append(lines, rollsOut("daemonset/ztunnel", was.Namespace, was.Version)[0])
		return append(lines, drainNodes(was.Namespace))
	case restart:
	}
	return nil
}

// replacedFrom is the version of the pods of a ZTunnel that a step replaces.
func replacedFrom(z *skew.ZTunnel) string {
	for _, v := range append(slices.Clone(z.DaemonSet.PodVersions), z.DaemonSet.Version) {
		if parsed := skew.Parse(v); parsed.Known() && !same(v, z.Version) {
			return parsed.String()
		}
	}
	return z.Version
}

// restore gives a namespace the labels back that it had.
func (l labels) restore() string {
	var how []string
	if l.injection.Present {
		how = append(how, routing.LabelInjection+"="+l.injection.Value)
	}
	if l.revision.Present {
		how = append(how, routing.LabelRevision+"="+l.revision.Value)
	} else {
		how = append(how, routing.LabelRevision+"-")
	}
	return strings.Join(append(how, "--overwrite"), " ")
}

func (s *sim) undoIstio(was skew.Istio, after *skew.Mesh) []string {
	body := specVersion(was.Version)
	if strategyOf(was) != strategyOf(s.ours(after)) {
		body = `{"spec":{"version":"` + was.Version + `","updateStrategy":{"type":"` + string(strategyOf(was)) + `"}}}`
	}
	return s.overridden(after, was, merge("istio", s.istio, body))
}

// overridden puts the override before a command that would be refused, and takes it away again: the rules do not know
// that what is ahead for a moment, as the proxies that istiod itself replaces, follows back.
func (s *sim) overridden(after *skew.Mesh, to skew.Object, command string) []string {
	change := skew.Change{Operation: skew.Update, Old: find(after, to), New: to}
	if !skew.Denied(skew.Check(after, change, s.request.Policy)) {
		return []string{command}
	}
	ref := to.Ref()
	object := strings.ToLower(string(ref.Kind)) + " " + ref.Name
	return []string{
		"kubectl annotate " + object + " " + skew.AnnotationOverride + "='undo a step of an update'",
		command,
		"kubectl annotate " + object + " " + skew.AnnotationOverride + "-",
	}
}
