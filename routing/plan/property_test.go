package plan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

func minor(n int) string { return fmt.Sprintf("v1.%d.3", 24+n) }

// shapeOf is how a random mesh is made.
type dice struct{ *rand.Rand }

func (d dice) one(list ...string) string { return list[d.IntN(len(list))] }

// mesh throws a mesh over minors 0 to 3, skewed as often as not. copies is how many namespaces of each kind it has.
func (d dice) mesh(strategy skew.Strategy, copies int) *world {
	at := d.IntN(4)
	w := meshOf(minor(at), strategy)
	near := func() string { return minor(max(0, at-d.IntN(3))) }
	revisions := []string{w.mesh.Istios[0].Active}
	if strategy == skew.RevisionBased && d.IntN(2) == 0 {
		old := max(0, at-1-d.IntN(2))
		if name := "default-v1-" + strconv.Itoa(24+old) + "-3"; name != revisions[0] {
			w.revision(name, minor(old))
			revisions = append(revisions, name)
		}
	}
	if d.IntN(2) == 0 {
		target := d.one(append(revisions, "default")...)
		if target == "default" {
			w.tag("prod", "Istio", "default", revisions[0])
		} else {
			w.tag("prod", "IstioRevision", target, target)
		}
	}
	for kind := range 1 + d.IntN(2) {
		label := d.one(revisions...)
		if len(w.mesh.Tags) > 0 && d.IntN(2) == 0 {
			label = "prod"
		}
		for i := range copies {
			name := "ns" + strconv.Itoa(kind) + "-" + strconv.Itoa(i)
			w.namespace(name, "istio.io/rev="+label)
			if i > 0 && d.IntN(2) == 0 {
				continue
			}
			revision := d.one(revisions...)
			version := near()
			w.workload(name, "app", revision, version)
		}
	}
	switch d.IntN(3) {
	case 0:
		w.cni(near())
	case 1:
		w.ambient(near())
		w.mesh.ZTunnel.Version = w.mesh.CNI.Version
		w.mesh.ZTunnel.DaemonSet = runs(w.mesh.CNI.Version)
		if d.IntN(2) == 0 {
			w.waypoint("ns0-0", d.one("", revisions[0]), revisions[0], minor(at))
		}
	}
	return w
}

// replay carries a plan out in the model, on the whole mesh, and fails where the rules refuse a write.
func replay(t *testing.T, b model, from *skew.Mesh, p *plan.Plan) *skew.Mesh {
	t.Helper()
	m := happens(from)
	for _, step := range p.Steps {
		for _, c := range step.Writes {
			c.Old = nil // what is there counts
			if found := skew.Check(m, c, b.policy); skew.Denied(found) {
				t.Fatalf("step %d (%s) is refused: %+v", step.Order, step.Object, found)
			}
			m = written(m, c.New)
		}
		if strings.HasPrefix(step.Commands[0], "kubectl rollout restart") {
			m = restartAll(m)
		}
		m = happens(m)
	}
	return m
}

// long runs more of what chance decides.
func long(n int) int {
	if os.Getenv("PLAN_LONG") != "" {
		return 20 * n
	}
	return n
}

// Every step of a plan is admitted, it ends where it was asked to, and no admitted order is shorter; where there is no
// plan, there is no order at all.
func TestPlansAreAdmittedAndShortest(t *testing.T) {
	t.Parallel()
	possible, steps, states := 0, 0, 0
	runs := long(80)
	for seed := range runs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 7))}
		strategy := skew.Strategy(d.one(string(skew.InPlace), string(skew.RevisionBased)))
		w := d.mesh(strategy, 1)
		b := model{to: minor(d.IntN(4)), strategy: strategy, policy: skew.DefaultPolicy()}
		for n := range 4 {
			b.versions = append(b.versions, minor(n))
		}
		if d.IntN(4) == 0 {
			b.strategy = skew.RevisionBased
		}
		r := w.request(b.to)
		r.Available, r.Strategy = b.versions, b.strategy
		p, err := plan.New(r)
		if err != nil {
			t.Fatal(err)
		}
		want, seen := b.shortest(w.mesh)
		states += seen
		if p.Possible != (want >= 0) || p.Possible && len(p.Steps) != want {
			t.Fatalf("seed %d: the plan has %d steps (possible: %v, %s), the shortest order has %d\n%+v\n%s", seed, len(p.Steps), p.Possible,
				p.Reason, want, w.mesh, strings.Join(short(p), "\n"))
		}
		if !p.Possible {
			if p.Reason == "" {
				t.Errorf("seed %d: there is no plan and no reason", seed)
			}
			continue
		}
		possible++
		steps += len(p.Steps)
		if end := replay(t, b, w.mesh, p); !b.good(end) {
			t.Fatalf("seed %d: the plan ends in %+v", seed, end)
		}
	}
	t.Logf("%d meshes: %d plans with %d steps, %d without one; %d states tried one by one", runs, possible, steps, runs-possible, states)
	if possible < runs/2 || possible == runs {
		t.Errorf("%d of %d meshes have a plan: the meshes are not varied enough to prove anything", possible, runs)
	}
}

// What holds for one namespace of a kind holds for many of them: the writes of all are admitted one after the other.
func TestPlansHoldForEveryNamespace(t *testing.T) {
	t.Parallel()
	possible, writes := 0, 0
	runs := long(60)
	for seed := range runs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 11))}
		strategy := skew.Strategy(d.one(string(skew.InPlace), string(skew.RevisionBased)))
		w := d.mesh(strategy, 5)
		b := model{to: minor(d.IntN(4)), strategy: strategy, policy: skew.DefaultPolicy()}
		r := w.request(b.to)
		r.Available = []string{minor(0), minor(1), minor(2), minor(3)}
		p, err := plan.New(r)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Possible {
			continue
		}
		possible++
		for _, s := range p.Steps {
			writes += len(s.Writes)
		}
		if end := replay(t, b, w.mesh, p); !b.good(end) {
			t.Fatalf("seed %d: the plan ends in %+v", seed, end)
		}
	}
	t.Logf("%d meshes: %d plans, %d writes replayed", runs, possible, writes)
	if possible < runs/3 {
		t.Errorf("%d of %d meshes have a plan", possible, runs)
	}
}
