package skew_test

import (
	"fmt"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// inPlaceState is a mesh with one control plane that is updated in place.
type inPlaceState struct {
	spec, run    int
	cni, ztunnel single
	// sidecars is the version of all its sidecars.
	sidecars int
}

func inPlaceStates(versions int) []inPlaceState {
	var list []inPlaceState
	for spec := range versions {
		for run := range versions {
			for _, c := range singles(versions) {
				for _, z := range singles(versions) {
					for sidecars := none; sidecars < versions; sidecars++ {
						list = append(list, inPlaceState{spec, run, c, z, sidecars})
					}
				}
			}
		}
	}
	return list
}

func (s inPlaceState) mesh() skew.Mesh {
	m := skew.Mesh{
		Istios: []skew.Istio{istio(minor(s.spec), skew.InPlace)}, Revisions: []skew.Revision{revision("default", minor(s.spec))},
		CNI: s.cni.cni(), ZTunnel: s.ztunnel.ztunnel(),
	}
	m.Revisions[0].Istiod = runs(minor(s.run))
	if s.sidecars != none {
		m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", minor(s.sidecars))}
	}
	return m
}

// inPlaceTable is the policy for one control plane, with cni.maxAhead and the source of the control plane's version.
type inPlaceTable struct {
	versions int
	room     bool
	declared bool
}

func (p inPlaceTable) policy() skew.Policy {
	policy := skew.DefaultPolicy()
	if p.room {
		policy.CNIMaxAhead = 1
	}
	if p.declared {
		policy.ControlPlaneVersion = skew.Declared
	}
	return policy
}

// cniTable: IstioCNI has room only where nothing is ambient.
func (p inPlaceTable) cniTable(ztunnel single) map[int]outside {
	if p.room && !ztunnel.exists() {
		return roomy
	}
	return strict
}

// planes are the versions that a component has to fit when it changes.
func (p inPlaceTable) planes(s inPlaceState) []int {
	if p.declared {
		return []int{s.spec}
	}
	return []int{s.spec, s.run}
}

func (p inPlaceTable) steps(s inPlaceState) []step[inPlaceState] {
	var list []step[inPlaceState]
	for to := range p.versions {
		if to != s.spec {
			after := s
			after.spec = to
			list = append(list,
				step[inPlaceState]{fmt.Sprint("Istio to ", to), toVersion(istio(minor(s.spec), skew.InPlace), minor(to)), after, p.admitsPlane(s, to)})
		}
		if to != s.cni.spec {
			after := s
			after.cni.spec = to
			if !s.cni.exists() {
				after.cni.run = to
			}
			list = append(list, step[inPlaceState]{fmt.Sprint("IstioCNI to ", to), singleChange(s.cni.cni(), after.cni.cni()), after, p.admitsCNI(s, to)})
		}
		if to != s.ztunnel.spec {
			after := s
			after.ztunnel.spec = to
			if !s.ztunnel.exists() {
				after.ztunnel.run = to
			}
			list = append(list, step[inPlaceState]{fmt.Sprint("ZTunnel to ", to), singleChange(s.ztunnel.ztunnel(), after.ztunnel.ztunnel()), after, p.admitsZTunnel(s, to)})
		}
	}
	if s.cni.exists() {
		after := s
		after.cni = single{none, none}
		list = append(list, step[inPlaceState]{"IstioCNI away", remove(*s.cni.cni()), after, false}) // the control plane needs it
	}
	if s.ztunnel.exists() {
		after := s
		after.ztunnel = single{none, none}
		list = append(list, step[inPlaceState]{"ZTunnel away", remove(*s.ztunnel.ztunnel()), after, true}) // nothing is ambient
	}
	return list
}

// singleChange is the creation or update of a singleton. What a creation writes has no pods yet.
func singleChange[T skew.Object](before, after *T) skew.Change {
	if before == nil {
		return create(withoutPods(*after))
	}
	return update(*before, *after)
}

func withoutPods(o skew.Object) skew.Object {
	switch o := o.(type) {
	case skew.CNI:
		o.DaemonSet = skew.Rollout{}
		return o
	case skew.ZTunnel:
		o.DaemonSet = skew.Rollout{}
		return o
	}
	return o
}

func (p inPlaceTable) admitsPlane(s inPlaceState, to int) bool {
	base := s.run
	if p.declared {
		base = s.spec
	}
	if to-base > 1 && to > s.spec {
		return false
	}
	fits := func(table map[int]outside, x int) bool { return x == none || !table[x-to].worseThan(table[x-s.spec]) }
	cniTable := p.cniTable(s.ztunnel)
	return fits(cniTable, s.cni.spec) && fits(cniTable, s.cni.run) &&
		fits(strict, s.ztunnel.spec) && fits(strict, s.ztunnel.run) && fits(strict, s.sidecars)
}

func (p inPlaceTable) admitsCNI(s inPlaceState, to int) bool {
	table := p.cniTable(s.ztunnel)
	for _, plane := range p.planes(s) {
		var before outside
		if s.cni.exists() {
			before = table[s.cni.spec-plane]
		}
		if table[to-plane].worseThan(before) {
			return false
		}
	}
	return admitsPair(skew.KindCNI, s.cni, to, s.ztunnel)
}

func (p inPlaceTable) admitsZTunnel(s inPlaceState, to int) bool {
	for _, plane := range p.planes(s) {
		var before outside
		if s.ztunnel.exists() {
			before = strict[s.ztunnel.spec-plane]
		}
		if strict[to-plane].worseThan(before) {
			return false
		}
		// The first ZTunnel takes IstioCNI's room away.
		for _, x := range []int{s.cni.spec, s.cni.run} {
			if !s.ztunnel.exists() && x != none && strict[x-plane].worseThan(p.cniTable(s.ztunnel)[x-plane]) {
				return false
			}
		}
	}
	return admitsPair(skew.KindZTunnel, s.ztunnel, to, s.cni)
}

func admitsPair(kind skew.Kind, own single, to int, other single) bool {
	if !other.exists() || apart(kind, to, other) == 0 {
		return true
	}
	return own.exists() && apart(kind, to, other) <= apart(kind, own.spec, other)
}

// good is the state that the policy wants: everything fits what is declared and what runs, and a rollout spans at
// most one minor upwards.
func (p inPlaceTable) good(s inPlaceState) bool {
	if !p.declared && s.spec-s.run > 1 {
		return false
	}
	for _, plane := range p.planes(s) {
		for _, x := range []int{s.cni.spec, s.cni.run} {
			if x != none && !p.cniTable(s.ztunnel)[x-plane].fits() {
				return false
			}
		}
		for _, x := range []int{s.ztunnel.spec, s.ztunnel.run, s.sidecars} {
			if x != none && !strict[x-plane].fits() {
				return false
			}
		}
	}
	return true
}

func (p inPlaceTable) drift(s inPlaceState) []inPlaceState {
	plane, c, z, restarted, first := s, s, s, s, s
	plane.run = s.spec
	c.cni.run = s.cni.spec
	z.ztunnel.run = s.ztunnel.spec
	list := []inPlaceState{plane, c, z}
	// A pod that is created while the control plane rolls gets the version of either; that is no write that any
	// rule could judge, so restarts wait for the rollout here, as the update guide has it.
	if s.spec == s.run {
		restarted.sidecars, first.sidecars = s.run, none
		list = append(list, restarted, first)
	}
	return list
}

func (p inPlaceTable) model() model[inPlaceState] {
	return model[inPlaceState]{
		states: inPlaceStates(p.versions), mesh: inPlaceState.mesh, steps: p.steps, drift: p.drift, good: p.good, policy: p.policy(),
	}
}

func TestEveryInPlaceMesh(t *testing.T) {
	t.Parallel()
	states, changes := 0, 0
	for i, p := range inPlaceTables() {
		if i > 0 && !longWalk() {
			p.versions = 3 // still every state, of a smaller range
		}
		s, c := p.model().compare(t, 1)
		states, changes = states+s, changes+c
	}
	t.Logf("compared %d changes in %d states", changes, states)
	if states < 10_000 || changes < 100_000 {
		t.Errorf("only %d states and %d changes", states, changes)
	}
}

func TestNoInPlaceMeshLeavesThePolicy(t *testing.T) {
	t.Parallel()
	for _, p := range inPlaceTables() {
		p.model().closed(t, 6,
			inPlaceState{0, 0, single{none, none}, single{none, none}, 0},
			inPlaceState{1, 1, single{1, 1}, single{none, none}, 1},
			inPlaceState{1, 1, single{1, 1}, single{1, 1}, none})
	}
}

func inPlaceTables() []inPlaceTable {
	return []inPlaceTable{
		{versions: 4}, {versions: 4, room: true}, {versions: 4, declared: true}, {versions: 4, room: true, declared: true},
	}
}
