package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// plan searches and puts what was found into words.
func (s *sim) plan() *Plan {
	p := &Plan{Istio: s.istio, From: s.from, To: s.to, Strategy: s.strategy}
	if reason := s.hopeless(); reason != "" {
		p.Reason = reason
		return p
	}
	settled := s.settle(s.start)
	f := s.search(settled)
	if f.end == nil {
		p.Assumptions = s.assumptions(s.aliases)
		s.explain(p, f)
		return p
	}
	p.Possible = true
	if !s.declaredOnly {
		p.Before = s.waits(s.start, settled)
	}
	p.Steps = s.steps(settled, f.end.done)
	p.Assumptions = s.assumptions(slices.DeleteFunc(slices.Clone(s.aliases), func(alias string) bool {
		return !slices.ContainsFunc(f.end.done, func(a action) bool { return a.version == alias })
	}))
	return p
}

// steps puts actions into words.
func (s *sim) steps(m *skew.Mesh, done []action) []Step {
	var list []Step
	var was *skew.Istio
	for i, a := range done {
		after, changes, findings := s.do(m, a)
		if a.verb == patchIstio {
			was = new(s.ours(m))
		}
		step := s.step(m, after, a)
		step.Order, step.Writes, step.WaitFor = i+1, s.allWrites(m, a, changes), s.allWaits(m, after, a)
		step.Undo = s.undo(m, after, a, was)
		for _, f := range findings {
			if !slices.Contains(step.Warnings, f.Message) {
				step.Warnings = append(step.Warnings, f.Message)
			}
		}
		list = append(list, step)
		m = after
	}
	return list
}

// hopeless says what no step of a plan changes.
func (s *sim) hopeless() string {
	for _, t := range s.request.Mesh.Tags {
		if s.request.Tag == "" || t.Name != s.request.Tag || t.TargetName == "" {
			continue
		}
		of := t.TargetName
		if t.TargetKind == string(skew.KindRevision) {
			of = s.owner(t.TargetName)
		}
		if of != s.istio {
			return fmt.Sprintf("tag %s points at %s %s, which is none of Istio %s: choose another tag, or point it there first",
				t.Name, t.TargetKind, t.TargetName, s.istio)
		}
	}
	return ""
}

func (s *sim) owner(revision string) string {
	for _, r := range s.start.Revisions {
		if r.Name == revision {
			return r.Istio
		}
	}
	return ""
}

// assumptions are what the plan takes for granted. aliases are those that stand for versions that nobody knows.
func (s *sim) assumptions(aliases []string) []string {
	var list []string
	if len(aliases) > 0 {
		list = append(list, "which versions the operator offers is not known: "+strings.Join(aliases, ", ")+
			verbFor(len(aliases), " stands", " stand")+" for the newest patch of the minor; --available names the versions")
	}
	if s.declaredOnly {
		list = append(list, "nothing tells what runs: what is declared is taken for it")
	}
	if s.unread > 0 {
		list = append(list, count(s.unread, "pod")+" "+verbFor(s.unread, "tells", "tell")+
			" no version of the proxy: taken to run that of their revision")
	}
	if len(s.start.Workloads) == 0 {
		list = append(list, "no pod of the mesh was seen: restarts are planned for those that were")
	}
	if s.heldBack(s.start) && (s.start.CNI != nil || s.start.ZTunnel != nil) {
		list = append(list, "another Istio is not as far: IstioCNI and ZTunnel, which serve both, go no further than they have to")
	}
	return list
}

// explain says why there is no way.
func (s *sim) explain(p *Plan, f found) {
	if f.gaveUp {
		p.Reason = fmt.Sprintf("the search gave up after %d states", MaxStates)
		p.Advice = []string{"Plan a part of the way: a version in between with --to"}
		return
	}
	var reasons []string
	for _, r := range f.refused {
		if !slices.Contains(reasons, r.Message) {
			reasons = append(reasons, r.Message)
		}
		for _, step := range r.NextSteps {
			if !slices.Contains(p.Advice, step) && len(p.Advice) < named && len(s.unselected(f.closest.mesh)) == 0 {
				p.Advice = append(p.Advice, step)
			}
		}
	}
	if at := s.unselected(f.closest.mesh); len(at) > 0 {
		p.Advice = append([]string{"# Label the namespace, or take the workload out of the mesh:"}, restarts(s.members(at))...)
	}
	// What is refused matters only where something is left to write; what nothing mends is said first.
	reasons = append(s.missing(f.closest.mesh), reasons...)
	if len(reasons) == 0 {
		reasons = []string{"nothing that can be written leads there"}
	}
	p.Reason = strings.Join(reasons[:min(len(reasons), named)], "\n")
}

// step words an action.
func (s *sim) step(m, after *skew.Mesh, a action) Step {
	switch a.verb {
	case patchIstio:
		return s.istioStep(m, a)
	case createTag:
		return Step{
			Object: "IstioRevisionTag " + a.name, To: "Istio " + s.istio, Why: "namespaces that name the tag need no new label at the next update",
			Commands: []string{applyTag(a.name, s.istio)},
		}
	case pointTag:
		return Step{
			Object: "IstioRevisionTag " + a.name, From: a.from, To: a.to, Why: "new pods of its namespaces get sidecars of the new revision",
			Commands: []string{merge("istiorevisiontag", a.name, `{"spec":{"targetRef":{"kind":"IstioRevision","name":"`+a.to+`"}}}`)},
		}
	case unshareTag:
		return Step{
			Object: "IstioRevisionTag " + a.name, From: a.from, Why: "its rollout goes to a revision that is about to go",
			Commands: []string{"kubectl annotate istiorevisiontag " + a.name + " " + routing.AnnotationRollout + "-"},
		}
	case relabelNamespaces:
		return s.namespaceStep(m, a)
	case relabelGateways:
		return s.gatewayStep(a, Step{
			From: "istio.io/rev=" + a.from, To: "istio.io/rev=" + a.to, Why: "istiod deploys the proxies of a Gateway for the revision that it names",
			Commands: s.gatewayCommands(a, "label", "istio.io/rev="+a.to+" --overwrite"),
		})
	case unpinGateways:
		return s.gatewayStep(a, Step{
			From: m.Gateways[a.at].ProxyImage, Why: "a pinned image does not follow its control plane",
			Commands: s.gatewayCommands(a, "annotate", skew.AnnotationProxyImage+"-"),
		})
	case relabelPods:
		return s.podStep(m, a)
	case restart:
		return s.restartStep(m)
	default:
		return s.singletonStep(m, after, a)
	}
}

func (s *sim) istioStep(m *skew.Mesh, a action) Step {
	own := s.ours(m)
	step := Step{Object: "Istio " + s.istio, From: own.Version, To: a.version, Why: "the operator updates the control plane in place"}
	if s.strategy == skew.RevisionBased {
		o := own
		o.Version, o.Strategy = a.version, s.strategy
		step.Why = "the operator runs revision " + TargetName(o) + " beside the one so far"
	}
	body := `{"spec":{"version":"` + a.version + `"}}`
	if !s.hasStrategy(own) {
		step.From, step.To = own.Version+" "+string(strategyOf(own)), a.version+" "+string(s.strategy)
		body = `{"spec":{"version":"` + a.version + `","updateStrategy":{"type":"` + string(s.strategy) + `"}}}`
	}
	if a.version != s.to {
		step.Why += ", on the way to " + s.to
	}
	step.Commands = []string{merge("istio", s.istio, body)}
	return step
}

func strategyOf(o skew.Istio) skew.Strategy {
	if o.Strategy == skew.RevisionBased {
		return o.Strategy
	}
	return skew.InPlace
}

// kindsWith are the indices of the namespaces with the labels that stand for others.
func (s *sim) kindsWith(m *skew.Mesh, l labels) (at []int) {
	for i, n := range m.Namespaces {
		if labelsOf(n) == l && s.namespaces[i] != nil {
			at = append(at, i)
		}
	}
	return at
}

// allWrites is what the webhooks will be asked about: the writes of the search, and those of the objects that one of
// them stands for.
func (s *sim) allWrites(m *skew.Mesh, a action, changes []skew.Change) []skew.Change {
	var all []skew.Change
	switch a.verb {
	case relabelNamespaces:
		for _, name := range s.namespaceNames(m, a.in) {
			was := a.in.namespace(name)
			is := labels{revision: routing.Label{Value: a.to, Present: true}, dataplane: a.in.dataplane}
			all = append(all, skew.Change{Operation: skew.Update, Old: was, New: is.namespace(name)})
		}
	case relabelGateways, unpinGateways:
		for _, g := range s.gateways[a.at] {
			was, is := m.Gateways[a.at], s.writes(m, a)[0]
			to, ok := is.(skew.Gateway)
			if !ok {
				continue
			}
			old, next := g, g
			old.Revision, old.ProxyImage = was.Revision, was.ProxyImage
			next.Revision, next.ProxyImage = to.Revision, to.ProxyImage
			all = append(all, skew.Change{Operation: skew.Update, Old: old, New: next})
		}
	default:
		return changes
	}
	return all
}

func (s *sim) namespaceNames(m *skew.Mesh, l labels) []string {
	var names []string
	for _, i := range s.kindsWith(m, l) {
		names = append(names, s.namespaces[i]...)
	}
	slices.Sort(names)
	return names
}
