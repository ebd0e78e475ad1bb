package skew_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// The exhaustive tests state the policy a second time, as a table over small numbers: minor 0 is v1.24. Nothing in
// it is taken from the package.

// none stands for a component that does not exist.
const none = -1

// longWalk also tries what the usual run only samples.
func longWalk() bool { return os.Getenv("SKEW_LONG_WALK") != "" }

func minor(n int) string { return fmt.Sprintf("v1.%d.3", 24+n) }

// outside says how far a component is outside of what a control plane allows, by how many minors it is ahead.
type outside struct{ behind, ahead int }

// strict is cp-1 <= x <= cp, the rule of the update guide. roomy is the one of cni.maxAhead: 1.
var (
	strict = map[int]outside{
		-5: {behind: 4}, -4: {behind: 3}, -3: {behind: 2}, -2: {behind: 1}, -1: {}, 0: {},
		1: {ahead: 1}, 2: {ahead: 2}, 3: {ahead: 3}, 4: {ahead: 4}, 5: {ahead: 5},
	}
	roomy = map[int]outside{
		-5: {behind: 4}, -4: {behind: 3}, -3: {behind: 2}, -2: {behind: 1}, -1: {}, 0: {}, 1: {},
		2: {ahead: 1}, 3: {ahead: 2}, 4: {ahead: 3}, 5: {ahead: 4},
	}
)

func (o outside) worseThan(before outside) bool {
	return o.behind > before.behind || o.ahead > before.ahead
}

func (o outside) fits() bool { return o == outside{} }

// worst joins what several control planes say.
func worst(list ...outside) outside {
	var w outside
	for _, o := range list {
		w.behind, w.ahead = max(w.behind, o.behind), max(w.ahead, o.ahead)
	}
	return w
}

// single is an IstioCNI or ZTunnel: what it declares and what its pods run.
type single struct{ spec, run int }

func (s single) exists() bool { return s.spec != none }

// apart is by how much what one singleton declares is too far from anything that the other has: ZTunnel may be a minor
// behind IstioCNI, and not ahead of it.
func apart(kind skew.Kind, spec int, other single) int {
	ahead, behind := 1, 0
	if kind == skew.KindZTunnel {
		ahead, behind = 0, 1
	}
	return max(0, spec-min(other.spec, other.run)-ahead, max(other.spec, other.run)-spec-behind)
}

// singles lists the states of a singleton: absent, and every pair of declared and running.
func singles(versions int) []single {
	list := []single{{none, none}}
	for spec := range versions {
		for run := range versions {
			list = append(list, single{spec, run})
		}
	}
	return list
}

func (s single) cni() *skew.CNI {
	if !s.exists() {
		return nil
	}
	c := cni(minor(s.spec))
	c.DaemonSet.PodVersions = []string{minor(s.run)}
	return &c
}

func (s single) ztunnel() *skew.ZTunnel {
	if !s.exists() {
		return nil
	}
	z := ztunnel(minor(s.spec))
	z.TargetKind, z.TargetName = "Istio", "default"
	z.DaemonSet.PodVersions = []string{minor(s.run)}
	return &z
}

// step is one change of a model: what the engine is asked, where it leads, and whether the table admits it.
type step[S comparable] struct {
	name   string
	change skew.Change
	to     S
	admit  bool
}

// model is a mesh in small numbers.
type model[S comparable] struct {
	states []S
	mesh   func(S) skew.Mesh
	steps  func(S) []step[S]
	// drift lists what may happen without an admitted write: rollouts that finish, restarts, pruning.
	drift func(S) []S
	// good reports whether the state satisfies the policy.
	good   func(S) bool
	policy skew.Policy
}

func (m model[S]) admits(s S, st step[S]) bool {
	mesh := m.mesh(s)
	return !skew.Denied(skew.Check(&mesh, st.change, m.policy))
}

// compare asks the engine about every change of every n-th state.
func (m model[S]) compare(t *testing.T, n int) (states, changes int) {
	t.Helper()
	for i := 0; i < len(m.states); i += n {
		states++
		for _, st := range m.steps(m.states[i]) {
			changes++
			if got := m.admits(m.states[i], st); got != st.admit {
				mesh := m.mesh(m.states[i])
				t.Fatalf("%+v, %s: admitted %v, the table says %v\n%+v", m.states[i], st.name, got, st.admit,
					skew.Check(&mesh, st.change, m.policy))
			}
		}
	}
	return states, changes
}

// next lists where an admitted change or a drift leads, by what the engine says.
func (m model[S]) next(s S, memo map[S][]S) []S {
	if list, ok := memo[s]; ok {
		return list
	}
	var list []S
	for _, st := range m.steps(s) {
		if m.admits(s, st) {
			list = append(list, st.to)
		}
	}
	list = append(list, m.drift(s)...)
	memo[s] = list
	return list
}

// closed proves that the policy holds for ever: every admitted change and every drift of a state that satisfies it
// leads to one that does, for all such states and all that can be reached from them. By induction no sequence of any
// length leaves them. It then counts the sequences of up to depth steps that this covers, and walks those from the
// given states one by one.
func (m model[S]) closed(t *testing.T, depth int, from ...S) {
	t.Helper()
	memo := map[S][]S{}
	var todo []S
	for _, s := range m.states {
		if m.good(s) {
			todo = append(todo, s)
		}
	}
	edges := 0
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, done := memo[s]; done {
			continue
		}
		for _, to := range m.next(s, memo) {
			edges++
			if !m.good(to) {
				t.Fatalf("from %+v, which satisfies the policy, an admitted change leads to %+v, which does not", s, to)
			}
			todo = append(todo, to)
		}
	}
	covered := 0.0
	length := map[S]float64{}
	for s := range memo {
		length[s] = 1
	}
	for range depth {
		longer := map[S]float64{}
		for s, list := range memo {
			for _, to := range list {
				longer[s] += length[to]
			}
			covered += longer[s]
		}
		length = longer
	}
	walked := 0
	var walk func(S, int)
	walk = func(s S, left int) {
		if !m.good(s) {
			t.Fatalf("the walk reached %+v", s)
		}
		if left == 0 {
			return
		}
		for _, to := range m.next(s, memo) {
			walked++
			walk(to, left-1)
		}
	}
	for _, s := range from {
		walk(s, depth)
	}
	t.Logf("%d states satisfy the policy, %d admitted changes and drifts between them; %.3g sequences of up to %d steps "+
		"are covered, %d of them walked one by one", len(memo), edges, covered, depth, walked)
}
