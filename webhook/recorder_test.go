package webhook

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// The metrics start at zero for these, and drop what is not among them.
func TestVerdictsAreAllThatThePolicyGives(t *testing.T) {
	given := map[routing.Verdict]bool{}
	for _, policy := range []routing.Policy{{}, routing.DefaultPolicy(), {Unresolved: routing.Warn, NoMesh: routing.Deny}} {
		for _, r := range routing.Reasons() {
			for _, auto := range []bool{false, true} {
				given[policy.Judge(routing.Decision{Action: r.Action, Reason: r.Reason}, routing.Pod{ImageAuto: auto})] = true
			}
		}
	}
	for _, v := range Verdicts() {
		if !given[v] {
			t.Errorf("no decision gives %s", v)
		}
		delete(given, v)
	}
	for v := range given {
		t.Errorf("%s is not listed", v)
	}
}

func TestWarningsAreListedOnce(t *testing.T) {
	var all routing.WarningSet
	for _, w := range Warnings() {
		if w == "" || all.Has(w) {
			t.Errorf("%q is empty or listed twice", w)
		}
		all = all.With(w)
	}
	if got := len(all.List()); got != len(Warnings()) || got == 0 {
		t.Errorf("%d warnings, %d of them in a set", len(Warnings()), got)
	}
}
