package routing_test

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// outcome is what a name means to pods in a world, written down by hand.
type outcome struct {
	revision string
	followed routing.Followed
	// refused is why there is no revision.
	refused routing.Reason
}

// forwardWorld is a mesh in which the router injects, and what each name in it leads to.
type forwardWorld struct {
	mesh *routing.Mesh
	// tag is what the tags default and t mean, x and y what the names of the revisions do.
	tag, x, y outcome
	auto      bool
}

// forwardWorlds hold a tag in every state. x is the older revision, y the newer one.
func forwardWorlds() map[string]forwardWorld {
	none := routing.Unroutable("")
	x, y := outcome{revision: "x"}, outcome{revision: "y"}
	lastX := outcome{revision: "x", followed: routing.FollowedLastGood}
	movedY := outcome{revision: "y", followed: routing.FollowedRollout}
	closed := outcome{refused: routing.NotRoutable}
	states := map[string]struct {
		x, y routing.Unroutable
		// target and installed are of both tags, percent is that of a rollout to y.
		target, installed string
		percent           int
		want              forwardWorld
	}{
		"the target takes pods":                                  {none, none, "y", "x", 0, forwardWorld{tag: y, x: x, y: y}},
		"the target has no endpoint, the tag came from x":        {none, routing.NoEndpoints, "y", "x", 0, forwardWorld{tag: lastX, x: x, y: closed}},
		"the target is being deleted, an older revision is left": {none, routing.BeingDeleted, "y", "y", 0, forwardWorld{tag: lastX, x: x, y: closed}},
		"the target is too old, and the newer one no fall-back":  {routing.TooOld, none, "x", "x", 0, forwardWorld{tag: closed, x: closed, y: y}},
		"nothing takes pods":                                     {routing.NoCA, routing.NoInjector, "y", "x", 0, forwardWorld{tag: closed, x: closed, y: closed}},
		"everybody is rolled out":                                {none, none, "x", "x", 100, forwardWorld{tag: movedY, x: x, y: y}},
		"everybody would be, but y has no endpoint":              {none, routing.NoEndpoints, "x", "x", 100, forwardWorld{tag: lastX, x: x, y: closed}},
		"nobody is rolled out":                                   {none, none, "x", "x", 0, forwardWorld{tag: x, x: x, y: y}},
		"the target and what came before are gone":               {none, none, "gone", "lost", 0, forwardWorld{tag: outcome{refused: routing.DanglingTag}, x: x, y: y}},
	}
	all := map[string]forwardWorld{}
	for name, s := range states {
		for _, auto := range []bool{false, true} {
			rx, ry := away(minor("x", 29), s.x), away(minor("y", 30), s.y)
			rx.Injection.EnableNamespacesByDefault, ry.Injection.EnableNamespacesByDefault = auto, auto
			w := s.want
			w.mesh = forwardMesh([]routing.Revision{rx, ry},
				rolling(aimed("default", s.target, s.installed), "y", s.percent),
				rolling(aimed("t", s.target, s.installed), "y", s.percent))
			// Whose values would count if the tag leads to no object at all, nobody knows.
			w.auto = auto && w.tag.refused != routing.DanglingTag
			key := name
			if auto {
				key += ", namespaces by default"
			}
			all[key] = w
		}
	}
	return all
}

// asWorld lets the rows of the truth table say which name is asked for: each name leads to itself.
func (w forwardWorld) asWorld() world {
	return world{mesh: w.mesh, auto: w.auto, names: map[string]string{
		"default": "?default", "t": "?t", "x": "?x", "y": "?y",
	}}
}

func (w forwardWorld) means(name string) (want outcome, tag string) {
	switch name {
	case "x":
		return w.x, ""
	case "y":
		return w.y, ""
	}
	return w.tag, name
}

// TestTruthTableInForward holds every row of Istio's table against what the states of a tag make of the name that the
// row asks for.
func TestTruthTableInForward(t *testing.T) {
	worlds, every := forwardWorlds(), everyLabels()
	checked, seen := 0, map[outcome]int{}
	for name, r := range truthTable() {
		t.Run(name, func(t *testing.T) {
			covered := 0
			for in, w := range worlds {
				table := w.asWorld()
				for _, l := range every {
					if !r.covers(table, l) {
						continue
					}
					covered++
					asked, reason := r.want(table, l)
					input := l.on(w.mesh, "bookinfo")
					input.Pod.Workload = routing.Workload{Kind: "Deployment", Name: "web"}
					got := routing.Decide(input)
					want, tag := outcome{refused: reason}, ""
					if name, ok := strings.CutPrefix(asked, "?"); ok {
						want, tag = w.means(name)
						seen[want]++
					}
					if got.Revision != want.revision || got.Followed != want.followed ||
						want.revision == "" && got.Reason != want.refused ||
						got.Forward != (want.revision != "") || want.revision != "" && got.Tag != tag {
						t.Errorf("%s, %v: %+v, want %+v by tag %q", in, l, got, want, tag)
					}
				}
			}
			checked += covered
			if covered == 0 {
				t.Error("the row covers no combination")
			}
		})
	}
	if len(seen) != 6 {
		t.Errorf("%d different outcomes were met, want 6: %v", len(seen), seen)
	}
	t.Logf("%d combinations of %d worlds and %d rows; outcomes of names %v", checked, len(worlds), len(truthTable()), seen)
}

// TestForwardHoldsItsPromises: whatever the input, a pod is forwarded to nothing but a revision that takes pods, and
// a pod that guard mode would have injected is never passed over.
func TestForwardHoldsItsPromises(t *testing.T) {
	checked, refused := 0, 0
	for name, w := range forwardWorlds() {
		routable := map[string]bool{}
		for _, r := range w.mesh.Revisions() {
			routable[r.Name] = r.Routable()
		}
		guard := meshOf(routing.Objects{Revisions: w.mesh.Revisions(), Tags: w.mesh.Tags()})
		for _, l := range everyLabels() {
			checked++
			d := routing.Decide(l.on(w.mesh, "bookinfo"))
			if d.Action == routing.Inject && (!d.Forward || !routable[d.Revision]) {
				t.Errorf("%s, %v: %+v", name, l, d)
			}
			before := routing.Decide(l.on(guard, "bookinfo"))
			if before.Action == routing.Inject && d.Action == routing.Skip {
				t.Errorf("%s, %v: guard decides %+v, forward %+v", name, l, before, d)
			}
			if d.Reason == routing.NotRoutable {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the test would prove nothing")
	}
	t.Logf("%d inputs, %d of them refused because nothing takes pods", checked, refused)
}
