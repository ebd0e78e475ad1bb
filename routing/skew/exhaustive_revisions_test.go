package skew_test

import (
	"fmt"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// revisionTable is the policy for a RevisionBased Istio.
type revisionTable struct{ inPlaceTable }

func (p revisionTable) steps(s revisionState) []step[revisionState] {
	var list []step[revisionState]
	add := func(name string, c skew.Change, to revisionState, admit bool) {
		list = append(list, step[revisionState]{name, c, to, admit})
	}
	for n := range p.versions {
		if n != s.want {
			to := s
			to.want = n
			add(fmt.Sprint("Istio to ", n), toVersion(s.istio(), minor(n)), to, p.admitsLive(s, to))
		}
		if n != s.cni.spec {
			to := s
			to.cni = single{n, n}
			add(fmt.Sprint("IstioCNI to ", n), singleChange(s.cni.cni(), to.cni.cni()), to, p.admitsSingle(s, n, turn{skew.KindCNI, s.cni, s.ztunnel, p.cniTable(s.ztunnel)}))
		}
		if n != s.ztunnel.spec {
			to := s
			to.ztunnel = single{n, n}
			admit := p.admitsSingle(s, n, turn{skew.KindZTunnel, s.ztunnel, s.cni, strict}) && p.admitsLive(s, revisionState{
				s.exist, s.running, s.want, s.active, s.ns, s.pods, s.cni, single{none, n}, // ambient takes the room away
			})
			add(fmt.Sprint("ZTunnel to ", n), singleChange(s.ztunnel.ztunnel(), to.ztunnel.ztunnel()), to, admit)
		}
		if s.exist.has(n) {
			to := s
			to.ns = n
			add(fmt.Sprint("namespace to ", n), update(s.namespace(), to.namespace()), to, p.admitsLive(s, to))
			gone := s
			gone.exist, gone.running = s.exist&^(1<<n), s.running&^(1<<n)
			used := s.ns == n || s.pods == n || s.ztunnel.exists() && (s.active == n || s.want == n)
			add(fmt.Sprint("revision ", n, " away"), remove(s.revision(n)), gone, !used)
		}
	}
	to := s
	to.ns = none
	add("namespace to nothing", update(s.namespace(), to.namespace()), to, true)
	return list
}

// admitsLive judges a change of what is live, or of whether anything is ambient. A revision that becomes live may
// be as wrong for a singleton as the worst live one is already, and the gap between two may not grow.
func (p revisionTable) admitsLive(s, to revisionState) bool {
	before, after := p.cniTable(s.ztunnel), p.cniTable(ambientIf(to.ztunnel))
	return p.admitsLiveFor(s, to, s.cni.spec, [2]map[int]outside{before, after}) &&
		p.admitsLiveFor(s, to, s.ztunnel.spec, [2]map[int]outside{strict, strict})
}

// ambientIf tells tables that a ZTunnel is there, also while it is being created.
func ambientIf(z single) single {
	if z.run != none {
		return single{z.run, z.run}
	}
	return z
}

func (p revisionTable) admitsLiveFor(s, to revisionState, x int, tables [2]map[int]outside) bool {
	if x == none {
		return true
	}
	var so []outside
	for n := range p.versions {
		if s.live().has(n) {
			so = append(so, tables[0][x-n])
		}
	}
	for n := range p.versions {
		before := worst(so...)
		if s.live().has(n) {
			before = tables[0][x-n]
		}
		if to.live().has(n) && tables[1][x-n].worseThan(before) {
			return false
		}
	}
	return gap(to.live(), tables[1]) <= gap(s.live(), tables[0])
}

// gap is by how much the live revisions are too far apart for a singleton, from the table: what the lowest one
// allows at most and the highest one at least.
func gap(live bits, table map[int]outside) int {
	most, least := 9, -9
	for n := range 8 {
		if !live.has(n) {
			continue
		}
		for lead := -5; lead <= 5; lead++ {
			if table[lead].fits() && !table[lead+1].fits() {
				most = min(most, n+lead)
			}
			if table[lead].fits() && !table[lead-1].fits() {
				least = max(least, n+lead)
			}
		}
	}
	return max(0, least-most)
}

// turn is a singleton that changes, beside the other one.
type turn struct {
	kind       skew.Kind
	own, other single
	table      map[int]outside
}

func (p revisionTable) admitsSingle(s revisionState, to int, turn turn) bool {
	own, table := turn.own, turn.table
	if !own.exists() && gap(s.live(), table) > 0 {
		return false // nothing fits, whichever version it is
	}
	for n := range p.versions {
		if !s.live().has(n) {
			continue
		}
		planes := []int{n}
		if observed := s.exist != 0; observed && own.exists() && !p.declared && !s.running.has(n) {
			planes = append(planes, n-1) // what does not run yet cannot be followed
		}
		for _, plane := range planes {
			var before outside
			if own.exists() {
				before = table[own.spec-plane]
			}
			if table[to-plane].worseThan(before) {
				return false
			}
		}
	}
	return admitsPair(turn.kind, own, to, turn.other)
}

// good: what declares or runs as IstioCNI or ZTunnel fits every live revision.
func (p revisionTable) good(s revisionState) bool {
	for n := range p.versions {
		if s.live().has(n) && (s.cni.exists() && !p.cniTable(s.ztunnel)[s.cni.spec-n].fits() ||
			s.ztunnel.exists() && !strict[s.ztunnel.spec-n].fits()) {
			return false
		}
	}
	return true
}

// drift: the operator reconciles and prunes, istiod starts, pods restart into what their namespace asks for.
func (p revisionTable) drift(s revisionState) []revisionState {
	reconciled := s
	reconciled.exist |= 1 << s.want
	reconciled.active = s.want
	list := []revisionState{reconciled}
	for n := range p.versions {
		if s.exist.has(n) && !s.running.has(n) {
			started := s
			started.running |= 1 << n
			list = append(list, started)
		}
		if s.exist.has(n) && !s.live().has(n) {
			pruned := s
			pruned.exist, pruned.running = s.exist&^(1<<n), s.running&^(1<<n)
			list = append(list, pruned)
		}
	}
	if s.ns == none || s.running.has(s.ns) {
		restarted := s
		restarted.pods = s.ns
		list = append(list, restarted)
	}
	return list
}

func (p revisionTable) model() model[revisionState] {
	return model[revisionState]{
		states: revisionStates(p.versions), mesh: revisionState.mesh, steps: p.steps, drift: p.drift, good: p.good, policy: p.policy(),
	}
}

func revisionTables() []revisionTable {
	var list []revisionTable
	for _, p := range inPlaceTables() {
		p.versions = 3
		list = append(list, revisionTable{p})
	}
	return list
}

func TestEveryRevisionBasedMesh(t *testing.T) {
	t.Parallel()
	states, changes := 0, 0
	for i, p := range revisionTables() {
		n := 1
		if i > 0 && !longWalk() {
			n = 7 // the tables differ in few states; all of them are seen in the long walk
		}
		s, c := p.model().compare(t, n)
		states, changes = states+s, changes+c
	}
	t.Logf("compared %d changes in %d states", changes, states)
	if states < 10_000 || changes < 100_000 {
		t.Errorf("only %d states and %d changes", states, changes)
	}
}

func TestNoRevisionBasedMeshLeavesThePolicy(t *testing.T) {
	t.Parallel()
	for _, p := range revisionTables() {
		p.model().closed(t, 6,
			revisionState{1, 1, 0, 0, 0, 0, single{none, none}, single{none, none}},
			revisionState{1, 1, 0, 0, 0, 0, single{0, 0}, single{none, none}})
	}
}
