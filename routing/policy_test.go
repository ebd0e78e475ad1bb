package routing_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestJudge(t *testing.T) {
	deny := routing.DefaultPolicy()
	warn := routing.Policy{Unresolved: routing.Warn, NoMesh: routing.Warn}
	strict := routing.Policy{Unresolved: routing.Deny, NoMesh: routing.Deny}
	wrongLevel := routing.Policy{Unresolved: "warn"}
	auto := routing.Pod{ImageAuto: true}
	unknown := routing.Decision{Action: routing.Unresolvable, Reason: routing.UnknownRevision}
	noMesh := routing.Decision{Action: routing.Unresolvable, Reason: routing.NoMesh}
	skip := routing.Decision{Action: routing.Skip, Reason: routing.NotSelected}
	mirror := routing.Decision{Action: routing.Skip, Reason: routing.MirrorPod}
	inject := routing.Decision{Action: routing.Inject, Reason: routing.PodRevision}
	cases := map[string]struct {
		policy   routing.Policy
		decision routing.Decision
		pod      routing.Pod
		want     routing.Verdict
	}{
		"what can be resolved is admitted":                          {deny, inject, routing.Pod{}, routing.Admitted},
		"what asks for nothing is admitted":                         {deny, skip, routing.Pod{}, routing.Admitted},
		"what cannot be resolved is refused by default":             {deny, unknown, routing.Pod{}, routing.Refused},
		"what cannot be resolved is admitted under Warn":            {warn, unknown, routing.Pod{}, routing.AdmittedUnresolved},
		"without a mesh a pod is admitted by default":               {deny, noMesh, routing.Pod{}, routing.AdmittedUnresolved},
		"without a mesh a pod is refused where that is the rule":    {strict, noMesh, routing.Pod{}, routing.Refused},
		"the zero policy fails closed":                              {routing.Policy{}, unknown, routing.Pod{}, routing.Refused},
		"the zero policy fails closed without a mesh, too":          {routing.Policy{}, noMesh, routing.Pod{}, routing.Refused},
		"a level that is not known fails closed":                    {wrongLevel, unknown, routing.Pod{}, routing.Refused},
		"image auto is fine where it will be replaced":              {deny, inject, auto, routing.Admitted},
		"image auto is refused where nothing asks for a sidecar":    {deny, skip, auto, routing.RefusedImageAuto},
		"image auto is refused under Warn":                          {warn, unknown, auto, routing.RefusedImageAuto},
		"image auto is refused without a mesh":                      {warn, noMesh, auto, routing.RefusedImageAuto},
		"a mirror pod is admitted: its container runs all the same": {deny, mirror, auto, routing.Admitted},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.policy.Judge(tc.decision, tc.pod); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// No policy turns a decision into its opposite: Inject is admitted by all, and only Unresolvable depends on them.
func TestJudgeDependsOnThePolicyOnlyWhereNothingIsResolved(t *testing.T) {
	levels := []routing.Level{"", routing.Deny, routing.Warn, "off"}
	for _, known := range routing.Reasons() {
		for _, image := range []bool{false, true} {
			verdicts := map[routing.Verdict]bool{}
			for _, unresolved := range levels {
				for _, noMesh := range levels {
					p := routing.Policy{Unresolved: unresolved, NoMesh: noMesh}
					d := routing.Decision{Action: known.Action, Reason: known.Reason}
					verdicts[p.Judge(d, routing.Pod{ImageAuto: image})] = true
				}
			}
			if fixed := len(verdicts) == 1; fixed != (known.Action != routing.Unresolvable || image) {
				t.Errorf("%s, image auto %t: verdicts %v", known.Reason, image, verdicts)
			}
			if known.Action == routing.Inject && !verdicts[routing.Admitted] {
				t.Errorf("%s is not admitted", known.Reason)
			}
		}
	}
}

func TestVerdictAllowed(t *testing.T) {
	for verdict, want := range map[routing.Verdict]bool{
		routing.Admitted: true, routing.AdmittedUnresolved: true,
		routing.Refused: false, routing.RefusedImageAuto: false, "": false,
	} {
		if got := verdict.Allowed(); got != want {
			t.Errorf("%q: allowed %t, want %t", verdict, got, want)
		}
	}
}
