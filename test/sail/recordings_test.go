package sail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// step is what a test does where the recording says that something was done.
type step struct {
	name string
	do   func(*world) error
	// more: the recorder did the next step before the operator had seen this one.
	more bool
	// races is how chance went for the real operator after this step.
	races *Races
}

func recordings() map[string][]step {
	return map[string][]step{
		"inplace": {
			{name: "apply IstioCNI default v1.29.6", do: applyCNI(""), more: true},
			{name: "apply Istio default v1.29.6 InPlace", do: applyIstio("InPlace", ""), races: &Races{PodsFirst: true}},
			{name: "label ns bookinfo istio-injection=enabled; injected pod appears", do: labelAndDeploy("istio-injection", "enabled", "default")},
			{name: "patch Istio default v1.30.3", do: patchVersion(istios, "v1.30.3")},
			{name: "patch IstioCNI default v1.30.3", do: patchVersion(cnis, "v1.30.3")},
			{name: "done"},
		},
		"revisionbased": {
			{name: "apply IstioCNI default v1.29.6", do: applyCNI(""), more: true},
			{
				name: "apply Istio default v1.29.6 RevisionBased", do: applyIstio("RevisionBased", ""),
				races: &Races{PodsFirst: true, RevisionUnseen: true},
			},
			{
				name: "label ns bookinfo istio.io/rev=default-v1-29-6; pod injected by it",
				do:   labelAndDeploy("istio.io/rev", "default-v1-29-6", "default-v1-29-6"),
			},
			{name: "patch Istio default v1.30.3", do: patchVersion(istios, "v1.30.3"), races: &Races{PodsFirst: true}},
			{name: "relabel ns bookinfo istio.io/rev=default-v1-30-3", do: func(w *world) error {
				return w.label("istio.io/rev", "default-v1-30-3")
			}},
			{
				name: "restart: old pod deleted, new pod injected by default-v1-30-3",
				do:   func(w *world) error { return w.restart("default-v1-30-3") },
			},
			{name: "done"},
		},
		"revisionbased-tag": {
			{name: "apply Istio default v1.29.6 RevisionBased", do: applyIstio("RevisionBased", ""), more: true},
			{name: "apply IstioRevisionTag default -> Istio default", do: applyTag("default", "default"), races: &Races{}},
			{name: "apply IstioCNI default", do: applyCNI("")},
			{
				name: "label ns bookinfo istio-injection=enabled; pod injected",
				do:   labelAndDeploy("istio-injection", "enabled", "default-v1-29-6"),
			},
			{
				name: "patch Istio default v1.30.3", do: patchVersion(istios, "v1.30.3"),
				races: &Races{PodsFirst: true, TagsLast: true, RevisionUnseen: true, Conflict: true},
			},
			{name: "restart: old pod deleted, new pod injected by default-v1-30-3", do: func(w *world) error {
				return w.restart("default-v1-30-3")
			}},
			{name: "apply IstioRevisionTag broken -> Istio missing", do: applyTag("broken", "missing")},
			{name: "apply IstioRevisionTag default-v1-30-3 (name taken by an IstioRevision)", do: applyTag("default-v1-30-3", "default")},
			{name: "done"},
		},
		"ambient-inplace": {
			{name: "apply Istio default v1.29.6 profile ambient InPlace", do: applyIstio("InPlace", "ambient"), more: true},
			{name: "apply IstioCNI default v1.29.6 profile ambient", do: applyCNI("ambient"), more: true},
			{
				name: "apply ZTunnel default v1.29.6", races: &Races{PodsFirst: true},
				do: func(w *world) error {
					return w.create(ztunnels, "ZTunnel", "default", map[string]any{"namespace": "ztunnel", "version": "v1.29.6"})
				},
			},
			{name: "label ns bookinfo istio.io/dataplane-mode=ambient", do: func(w *world) error {
				return w.label("istio.io/dataplane-mode", "ambient")
			}},
			{name: "patch istio default v1.30.3", do: patchVersion(istios, "v1.30.3")},
			{name: "patch istiocni default v1.30.3", do: patchVersion(cnis, "v1.30.3")},
			{name: "patch ztunnel default v1.30.3", do: patchVersion(ztunnels, "v1.30.3")},
			{name: "done"},
		},
	}
}

func applyCNI(profile string) func(*world) error {
	spec := map[string]any{"namespace": "istio-cni", "version": "v1.29.6"}
	if profile != "" {
		spec["profile"] = profile
	}
	return func(w *world) error { return w.create(cnis, "IstioCNI", "default", spec) }
}

func applyIstio(strategy, profile string) func(*world) error {
	spec := map[string]any{
		"namespace": "istio-system", "version": "v1.29.6",
		"updateStrategy": map[string]any{"type": strategy, "inactiveRevisionDeletionGracePeriodSeconds": int64(2)},
	}
	if profile != "" {
		spec["profile"] = profile
	}
	return func(w *world) error { return w.create(istios, "Istio", "default", spec) }
}

func applyTag(name, istio string) func(*world) error {
	return func(w *world) error {
		return w.create(tags, "IstioRevisionTag", name, map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": istio}})
	}
}

func patchVersion(kind resource, version string) func(*world) error {
	return func(w *world) error { return w.patch(kind, "default", fmt.Sprintf(`{"spec":{"version":%q}}`, version)) }
}

func labelAndDeploy(key, value, revision string) func(*world) error {
	return func(w *world) error { return errors.Join(w.label(key, value), w.deploy(revision)) }
}

// TestRecordingsAreReplayed does what was done while a real operator was recorded, and wants every object to go
// through the states that it went through, in their order, after the same step.
func TestRecordingsAreReplayed(t *testing.T) {
	for name, steps := range recordings() {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			recorded := expand(t, raw)
			if len(recorded) != len(steps) {
				t.Fatalf("%d steps, %d are recorded", len(steps), len(recorded))
			}
			if differences := replay(t, steps, recorded); differences != "" {
				t.Error(differences)
			}
		})
	}
}

// replay returns what differed after the first step that differed.
func replay(t *testing.T, steps []step, recorded []recordedStep) string {
	t.Helper()
	w := newWorld(t, Races{})
	for first := 0; first < len(steps); {
		// Steps that ran into each other are one.
		var names []string
		var want []event
		from, last := len(w.since(0)), first
		for steps[last].more {
			last++
		}
		if races := steps[last].races; races != nil {
			w.operator.SetRaces(*races)
		}
		do := func() error {
			for i := first; i <= last; i++ {
				if steps[i].name != recorded[i].name {
					t.Fatalf("step %d is %q, recorded as %q", i, steps[i].name, recorded[i].name)
				}
				names, want = append(names, steps[i].name), append(want, recorded[i].events...)
				if steps[i].do == nil {
					continue
				}
				if err := steps[i].do(w); err != nil {
					return fmt.Errorf("%s: %w", steps[i].name, err)
				}
			}
			return nil
		}
		run := do
		if first != last {
			run = func() error { return w.operator.Hold(do) }
		}
		if err := run(); err != nil {
			t.Fatal(err)
		}
		settled(w, from, want)
		if diff := cmp.Diff(withoutMissed(want, w.since(from)), withoutDifferences(want, w.since(from))); diff != "" {
			return fmt.Sprintf("after %s (-recorded +stand-in):\n%s", strings.Join(names, " and "), diff)
		}
		if diff := cmp.Diff(milestones(want), milestones(w.since(from))); diff != "" {
			return fmt.Sprintf("order after %s (-recorded +stand-in):\n%s", strings.Join(names, " and "), diff)
		}
		first = last + 1
	}
	return ""
}

// milestones are what happened to revisions, across objects: the order that the router relies on. A revision is active
// before it is ready, and a tag may lead to it before or after.
func milestones(events []event) []string {
	var found []string
	reach := func(milestone string) {
		if !slices.Contains(found, milestone) {
			found = append(found, milestone)
		}
	}
	for _, e := range events {
		kind, name, _ := strings.Cut(e.who, "/")
		for word := range strings.FieldsSeq(e.state) {
			switch {
			case kind == "Istio" && strings.HasPrefix(word, "active="):
				reach(name + ": " + word)
			case kind == "IstioRevisionTag" && strings.HasPrefix(word, "leads-to="):
				reach("tag " + name + ": " + word)
			case kind == "IstioRevision" && (strings.HasPrefix(word, "Ready=True") || word == "deleted" || word == "gone"):
				reach(name + ": " + word)
			}
		}
	}
	return found
}

// settled waits until every object has reached the last state that was recorded, and nothing changes any more.
func settled(w *world, from int, want []event) {
	w.t.Helper()
	goals := byObject(want)
	w.eventually("the recorded states are reached", func(context.Context) error {
		got := byObject(w.since(from))
		for who, states := range goals {
			goal := states[len(states)-1]
			if !slices.Contains(got[who], goal) {
				return fmt.Errorf("%s is not %s; it was\n%s", who, goal, strings.Join(got[who], "\n"))
			}
		}
		return nil
	})
	w.eventually("everything is rolled out", w.rolledOut)
	// What the operator reports may depend on what it reported before.
	for range 2 {
		if _, err := w.operator.pass(w.t.Context()); err != nil {
			w.t.Logf("a reconciliation fails, which the conditions show: %v", err)
		}
	}
	w.eventually("every change was seen", w.caughtUp)
}

func byObject(events []event) map[string][]string {
	states := map[string][]string{}
	for _, e := range events {
		states[e.who] = append(states[e.who], e.state)
	}
	return states
}

// differences are the states that the stand-in goes through and that were not recorded, with the reason.
func differences() []difference {
	return []difference{
		{
			kinds: []string{"IstioCNI", "ZTunnel"}, state: "state=" + daemonSetNotReady,
			reason: "The pods of a changed DaemonSet are really replaced here, one after the other, and the operator may look " +
				"while one is gone. In the recorded cluster nothing ran pods: the numbers in the DaemonSet's status stayed as they were.",
		},
	}
}

type difference struct {
	kinds         []string
	state, reason string
}

// withoutDifferences leaves states out that only the stand-in goes through, where they are deliberate.
func withoutDifferences(want, got []event) map[string][]string {
	recorded, kept := byObject(want), map[string][]string{}
	for _, e := range got {
		kind, _, _ := strings.Cut(e.who, "/")
		deliberate := slices.ContainsFunc(differences(), func(d difference) bool {
			return slices.Contains(d.kinds, kind) && strings.Contains(e.state, d.state)
		})
		before := kept[e.who]
		switch {
		case deliberate && !slices.Contains(recorded[e.who], e.state):
		case len(before) > 0 && before[len(before)-1] == e.state: // again, after one that was left out
		default:
			kept[e.who] = append(before, e.state)
		}
	}
	return kept
}

// withoutMissed leaves out of what was recorded that an istiod was not ready yet, where the stand-in never saw it so: here
// a pod is ready at once, and on a busy machine before the operator looks.
func withoutMissed(want, got []event) map[string][]string {
	recorded, seen := byObject(want), byObject(got)
	for who, states := range recorded {
		recorded[who] = slices.DeleteFunc(states, func(state string) bool {
			return strings.Contains(state, "state=IstiodNotReady") && !slices.Contains(seen[who], state)
		})
	}
	return recorded
}
