package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

func minor(n int) string { return fmt.Sprintf("v1.%d.3", 24+n) }

// shapeOf is how a random mesh is made.
type dice struct {
	*rand.Rand
	// rich meshes hold more kinds of things, and are not to go as far: all orders are tried.
	rich bool
}

// target is the minor to go to from a mesh.
func (d dice) target(w *world) string {
	if !d.rich && w.mesh.ZTunnel == nil {
		return minor(d.IntN(4))
	}
	at := 0
	for w.mesh.Istios[0].Version != minor(at) {
		at++
	}
	return minor(min(3, max(0, at+[]int{-1, 1, 1, 1, 0}[d.IntN(5)])))
}

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
		label := d.label(w, revisions)
		for i := range copies {
			name := "ns" + strconv.Itoa(kind) + "-" + strconv.Itoa(i)
			w.namespace(name, label)
			if i > 0 && d.IntN(2) == 0 {
				continue
			}
			w.workload(name, "app", d.one(revisions...), near())
		}
	}
	if d.rich && d.IntN(2) == 0 {
		revision := d.one(revisions...)
		w.add(skew.Workload{
			Namespace: "plain", Kind: "Deployment", Name: "own", Role: skew.Sidecar, Revision: revision, Version: near(), Label: revision, Pods: 1,
		})
	}
	if d.rich && d.IntN(2) == 0 {
		w.ingress("edge", d.one(revisions...), revisions[0], minor(at))
	}
	switch d.IntN(5) {
	case 0:
		w.cni(near())
	case 1, 2:
		w.ambient(near())
		if d.rich {
			d.ztunnel(w.mesh.ZTunnel, revisions)
		}
		if d.IntN(2) == 0 {
			w.waypoint("ns0-0", d.one("", revisions[0]), revisions[0], minor(at))
		}
	}
	return w
}

// label is how a namespace asks.
func (d dice) label(w *world, revisions []string) string {
	switch n := d.IntN(4); {
	case n < 2 && len(w.mesh.Tags) > 0:
		return "istio.io/rev=prod"
	case n == 3 && revisions[0] == "default":
		return "istio-injection=enabled"
	}
	return "istio.io/rev=" + d.one(revisions...)
}

// ztunnel has the ways to be connected, and what was chosen about its connections before.
func (d dice) ztunnel(z *skew.ZTunnel, revisions []string) {
	switch d.IntN(4) {
	case 0:
		z.TargetKind, z.TargetName = "IstioRevision", revisions[0]
	case 1:
		z.TargetKind, z.TargetName = "", ""
		if revisions[0] != "default" {
			z.Revision = revisions[0]
		}
	}
	switch d.IntN(4) {
	case 0:
		z.OnDelete = true
	case 1:
		z.GraceSeconds = 300
	}
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
		switch {
		case strings.HasPrefix(step.Commands[0], "kubectl rollout restart"):
			m = restartAll(m)
		case strings.HasPrefix(step.Object, "pods of ZTunnel"):
			m = emptied(m)
		case strings.HasPrefix(step.Commands[0], "kubectl patch deployment own"):
			after := copyOf(m)
			for i := range after.Workloads {
				if w := &after.Workloads[i]; w.Name == "own" {
					w.Label = strings.TrimPrefix(step.To, "istio.io/rev=")
				}
			}
			m = replacedIn(after, m)
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
	holds := map[string]int{}
	runs := long(100)
	for seed := range runs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 7)), seed%2 == 1}
		strategy := skew.Strategy(d.one(string(skew.InPlace), string(skew.RevisionBased)))
		w := d.mesh(strategy, 1)
		b := model{to: d.target(w), strategy: strategy, policy: skew.DefaultPolicy()}
		for n := range 4 {
			b.versions = append(b.versions, minor(n))
		}
		if d.IntN(4) == 0 {
			b.strategy = skew.RevisionBased
		}
		if d.rich {
			b.drain = plan.Drain(d.one("", string(plan.DrainGrace), string(plan.DrainOnDelete)))
		}
		if d.rich && d.IntN(3) == 0 && b.strategy == skew.RevisionBased {
			b.tag = "stable"
		}
		r := w.request(b.to)
		r.Available, r.Strategy, r.Tag, r.Drain = b.versions, b.strategy, b.tag, b.drain
		p, err := plan.New(r)
		if err != nil {
			t.Fatal(err)
		}
		limit := math.MaxInt
		if p.Possible {
			limit = len(p.Steps) // that these lead there is replayed below
		}
		want, seen := b.shorter(w.mesh, limit)
		states += seen
		if want >= 0 {
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
		b.tally(holds, w.mesh)
		if end := replay(t, b, w.mesh, p); !b.good(end) {
			t.Fatalf("seed %d: the plan ends in %+v", seed, end)
		}
	}
	t.Logf("%d meshes: %d plans with %d steps, %d without one; %d states tried one by one", runs, possible, steps, runs-possible, states)
	t.Logf("the plans were for %v", holds)
	for _, what := range []string{"ambient", "drain grace", "drain ondelete", "OnDelete so far", "tag", "--tag", "waypoint", "gateway", "revisions", "own label", "in place"} {
		if holds[what] < 3 {
			t.Errorf("%d plans are of meshes with %s: that proves nothing", holds[what], what)
		}
	}
	if possible < runs/2 || possible == runs {
		t.Errorf("%d of %d meshes have a plan: the meshes are not varied enough to prove anything", possible, runs)
	}
}

// tally counts what the meshes with a plan hold.
func (b model) tally(holds map[string]int, m *skew.Mesh) {
	for what, is := range map[string]bool{
		"ambient": m.ZTunnel != nil, "drain grace": m.ZTunnel != nil && b.drain == plan.DrainGrace,
		"drain ondelete": m.ZTunnel != nil && b.drain == plan.DrainOnDelete, "OnDelete so far": m.ZTunnel != nil && m.ZTunnel.OnDelete,
		"tag": len(m.Tags) > 0, "--tag": b.tag != "", "revisions": len(m.Revisions) > 1, "in place": b.strategy == skew.InPlace,
		"waypoint":  slices.ContainsFunc(m.Workloads, func(w skew.Workload) bool { return w.Role == skew.WaypointProxy }),
		"gateway":   slices.ContainsFunc(m.Workloads, func(w skew.Workload) bool { return w.Role == skew.GatewayProxy }),
		"own label": slices.ContainsFunc(m.Workloads, func(w skew.Workload) bool { return w.Label != "" }),
	} {
		if is {
			holds[what]++
		}
	}
}

// What holds for one namespace of a kind holds for many of them: the writes of all are admitted one after the other.
func TestPlansHoldForEveryNamespace(t *testing.T) {
	t.Parallel()
	possible, writes := 0, 0
	runs := long(60)
	for seed := range runs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 11)), seed%2 == 1}
		strategy := skew.Strategy(d.one(string(skew.InPlace), string(skew.RevisionBased)))
		w := d.mesh(strategy, 5)
		b := model{to: d.target(w), strategy: strategy, policy: skew.DefaultPolicy()}
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
