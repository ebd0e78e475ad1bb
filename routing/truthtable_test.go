package routing_test

import (
	"fmt"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// world is a mesh for the truth table, and what each name in it leads to.
type world struct {
	mesh  *routing.Mesh
	names map[string]string
	auto  bool
}

func worlds() map[string]world {
	all := map[string]world{}
	for _, auto := range []bool{false, true} {
		suffix := ""
		if auto {
			suffix = ", namespaces by default"
		}
		x, y, d := revision("x"), revision("y"), revision("default")
		for _, r := range []*routing.Revision{&x, &y, &d} {
			r.Injection.EnableNamespacesByDefault = auto
		}
		all["D is the revision default"+suffix] = world{
			mesh:  meshOf(routing.Objects{Revisions: []routing.Revision{d, x}, Tags: []routing.Tag{tag("t", "x")}}),
			names: map[string]string{"default": "default", "x": "x", "t": "x"},
			auto:  auto,
		}
		all["D is the tag default"+suffix] = world{
			mesh: meshOf(routing.Objects{
				Revisions: []routing.Revision{x, y},
				Tags:      []routing.Tag{tag("default", "x"), tag("t", "y")},
			}),
			names: map[string]string{"default": "x", "x": "x", "y": "y", "t": "y"},
			auto:  auto,
		}
		all["there is no D"+suffix] = world{
			mesh:  meshOf(routing.Objects{Revisions: []routing.Revision{x, y}}),
			names: map[string]string{"x": "x", "y": "y"},
		}
	}
	return all
}

// cell is what a row of the truth table says about one label.
type cell func(world, routing.Label) bool

func anything(world, routing.Label) bool     { return true }
func absent(_ world, l routing.Label) bool   { return !l.Present }
func notFalse(_ world, l routing.Label) bool { return !l.Is("false") }
func empty(_ world, l routing.Label) bool    { return l.Is("") }
func known(w world, l routing.Label) bool    { return l.Present && w.names[l.Value] != "" }
func unknown(w world, l routing.Label) bool {
	return l.Present && l.Value != "" && w.names[l.Value] == ""
}
func unusable(w world, l routing.Label) bool { return l.Present && w.names[l.Value] == "" }
func is(value string) cell                   { return func(_ world, l routing.Label) bool { return l.Is(value) } }

func otherWord(_ world, l routing.Label) bool {
	return l.Present && l.Value != "true" && l.Value != "false"
}

func unknownSetting(_ world, l routing.Label) bool {
	return l.Present && l.Value != "enabled" && l.Value != "disabled"
}

// row is one row of the table of the four labels: which pods it is about, and what Istio does with them.
type row struct {
	nsInjection, nsRevision, inject, podRevision cell
	// name is what the row asks for: of the default revision, of the namespace's label or of the pod's. Nil where
	// no webhook matches.
	name func(labels) string
	// byDefault: the row asks for its name only with enableNamespacesByDefault.
	byDefault bool
	// none is why no webhook matches, on a pod that does not opt out.
	none routing.Reason
}

type labels struct{ nsInjection, nsRevision, inject, podRevision routing.Label }

func theDefault(labels) string    { return "default" }
func ofNamespace(l labels) string { return l.nsRevision.Value }
func ofPod(l labels) string       { return l.podRevision.Value }

// truthTable is Istio's, from the selectors of charts istio-discovery and revision-tags: D stands for the revision
// or tag default, x for any other that exists.
func truthTable() map[string]row {
	return map[string]row{
		"row 1: istio-injection=enabled gives D, whatever istio.io/rev says on namespace and pod": {
			is("enabled"), anything, notFalse, anything, theDefault, false, "",
		},
		"row 2: istio-injection=enabled and inject=false gives none": {
			is("enabled"), anything, is("false"), anything, nil, false, routing.PodOptOut,
		},
		"row 3: istio-injection=disabled gives none, even with inject=true or istio.io/rev on the pod": {
			is("disabled"), anything, anything, anything, nil, false, routing.NamespaceDisabled,
		},
		"row 4: any other value of istio-injection gives none": {
			unknownSetting, anything, anything, anything, nil, false, routing.NamespaceDisabled,
		},
		"row 5: istio.io/rev=x on the namespace gives X, whatever istio.io/rev says on the pod": {
			absent, known, notFalse, anything, ofNamespace, false, "",
		},
		"row 6: istio.io/rev=x on the namespace and inject=false gives none": {
			absent, known, is("false"), anything, nil, false, routing.PodOptOut,
		},
		"row 7: istio.io/rev of nothing on the namespace gives none, and the pod's labels cannot rescue it": {
			absent, unknown, anything, anything, nil, false, routing.UnknownRevision,
		},
		"row 8: an empty istio.io/rev on the namespace gives none": {
			absent, empty, anything, anything, nil, false, routing.EmptyRevision,
		},
		"row 9: istio.io/rev=default on the namespace gives D where there is one": {
			absent, is("default"), notFalse, anything, theDefault, false, "",
		},
		"row 10: istio.io/rev=x on the pod gives X, with inject=true as well": {
			absent, absent, notFalse, known, ofPod, false, "",
		},
		"row 11: istio.io/rev of nothing on the pod gives none, inject=true does not fall back to D": {
			absent, absent, notFalse, unusable, nil, false, routing.UnknownRevision,
		},
		"row 12: inject=true without istio.io/rev gives D": {
			absent, absent, is("true"), absent, theDefault, false, "",
		},
		"row 13: inject=false gives none": {
			absent, absent, is("false"), anything, nil, false, routing.PodOptOut,
		},
		"row 14: no label at all gives D with enableNamespacesByDefault, else none": {
			absent, absent, absent, absent, theDefault, true, routing.NotSelected,
		},
		"row 15: another value of inject, without istio.io/rev, gives none": {
			absent, absent, otherWord, absent, nil, false, routing.NotSelected,
		},
		"row 16 as row 1: another value of inject does not count": {
			is("enabled"), anything, otherWord, anything, theDefault, false, "",
		},
		"row 16 as row 5: another value of inject does not count": {
			absent, known, otherWord, anything, ofNamespace, false, "",
		},
		"row 16 as row 10: another value of inject does not count": {
			absent, absent, otherWord, known, ofPod, false, "",
		},
	}
}

func (r row) covers(w world, l labels) bool {
	return r.nsInjection(w, l.nsInjection) && r.nsRevision(w, l.nsRevision) &&
		r.inject(w, l.inject) && r.podRevision(w, l.podRevision)
}

// want is the revision that the row gives, or else why there is none.
func (r row) want(w world, l labels) (string, routing.Reason) {
	switch {
	case l.inject.Is("false"):
		return "", routing.PodOptOut
	case r.name == nil && r.none == routing.UnknownRevision:
		return "", unresolved(l)
	case r.name == nil, r.byDefault && !w.auto:
		return "", r.none
	}
	if revision := w.names[r.name(l)]; revision != "" {
		return revision, ""
	}
	return "", routing.NoDefaultRevision
}

func unresolved(l labels) routing.Reason {
	name := l.podRevision
	if l.nsRevision.Present {
		name = l.nsRevision
	}
	switch name.Value {
	case "":
		return routing.EmptyRevision
	case "default":
		return routing.NoDefaultRevision
	}
	return routing.UnknownRevision
}

func TestTruthTable(t *testing.T) {
	all, every := worlds(), everyLabels()
	for name, r := range truthTable() {
		t.Run(name, func(t *testing.T) {
			covered := 0
			for in, w := range all {
				for _, l := range every {
					if !r.covers(w, l) {
						continue
					}
					covered++
					revision, reason := r.want(w, l)
					got := routing.Decide(l.on(w.mesh, "bookinfo"))
					if got.Revision != revision || reason != "" && got.Reason != reason {
						t.Errorf("%s, %v: revision %q by %s, want %q by %s", in, l, got.Revision, got.Reason, revision, reason)
					}
				}
			}
			if covered == 0 {
				t.Error("the row covers no combination")
			}
		})
	}
}

// Every combination is in some row: the table leaves nothing open.
func TestTruthTableIsComplete(t *testing.T) {
	table := truthTable()
	for in, w := range worlds() {
		for _, l := range everyLabels() {
			covered := false
			for _, r := range table {
				covered = covered || r.covers(w, l)
			}
			if !covered {
				t.Errorf("%s: no row covers %v", in, l)
			}
		}
	}
}

// In a system namespace no row gives a sidecar, and nothing refuses a pod over its labels.
func TestTruthTableInSystemNamespaces(t *testing.T) {
	for _, namespace := range systemNamespaces() {
		for in, w := range worlds() {
			for _, l := range everyLabels() {
				if got := routing.Decide(l.on(w.mesh, namespace)); got.Action != routing.Skip {
					t.Errorf("%s, %s, %v: %s by %s, want Skip", in, namespace, l, got.Action, got.Reason)
				}
			}
		}
	}
}

// everyLabels are all combinations of the four labels over the words that mean something to some rule or nearly do.
func everyLabels() []labels {
	values := []routing.Label{{}}
	for _, word := range []string{"", "enabled", "disabled", "true", "false", "yes", "default", "x", "y", "t", "gone"} {
		values = append(values, present(word))
	}
	var all []labels
	for _, nsInjection := range values {
		for _, nsRevision := range values {
			for _, inject := range values {
				for _, podRevision := range values {
					all = append(all, labels{nsInjection, nsRevision, inject, podRevision})
				}
			}
		}
	}
	return all
}

func (l labels) on(m *routing.Mesh, namespace string) routing.Input {
	return routing.Input{
		Mesh:      m,
		Namespace: routing.Namespace{Name: namespace, Injection: l.nsInjection, Revision: l.nsRevision},
		Pod:       routing.Pod{Inject: l.inject, Revision: l.podRevision},
	}
}

func (l labels) String() string {
	return fmt.Sprintf("namespace istio-injection%s istio.io/rev%s, pod inject%s istio.io/rev%s",
		show(l.nsInjection), show(l.nsRevision), show(l.inject), show(l.podRevision))
}

func show(l routing.Label) string {
	if !l.Present {
		return " absent"
	}
	return fmt.Sprintf("=%q", l.Value)
}
