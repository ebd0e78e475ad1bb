package events

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/revision-router/revision-router/routing"
)

// watch is what is told of tags while the mesh changes under a clock.
type watch struct {
	tags  Tags
	clock *clocktesting.FakeClock
	mesh  *routing.Mesh
	told  []Event
}

func newWatch() *watch {
	w := &watch{clock: clocktesting.NewFakeClock(time.Unix(1000, 0))}
	w.tags = Tags{Mesh: func() *routing.Mesh { return w.mesh }, Tell: func(e Event) { w.told = append(w.told, e) }, Clock: w.clock}
	return w
}

// pass lets time pass, with looks in between, and returns the reasons that were told.
func (w *watch) pass(d time.Duration) string {
	w.told = nil
	for range int(d / lookEvery) {
		w.tags.look()
		w.clock.Step(lookEvery)
	}
	w.tags.look()
	var reasons []string
	for _, e := range w.told {
		reasons = append(reasons, e.Reason)
	}
	return strings.Join(reasons, " ")
}

func meshWith(mode routing.Mode, tag routing.Tag, revisions ...routing.Revision) *routing.Mesh {
	return routing.NewMesh(routing.Objects{Mode: mode, Tags: []routing.Tag{tag}, Revisions: revisions})
}

func TestTagsThatLeadElsewhereAreTold(t *testing.T) {
	old := routing.Revision{Name: "old", Version: "v1.29.6", Origin: routing.Sail}
	next := routing.Revision{Name: "next", Version: "v1.30.3", Origin: routing.Sail, Unroutable: routing.NoEndpoints}
	prod := routing.Tag{Name: "prod", UID: "u1", Origin: routing.Sail, Target: "next", TargetKind: "IstioRevision", TargetName: "next", Revision: "old"}
	lost, garbled, foreign, leaving := prod, prod, prod, prod
	lost.Revision, lost.Target = "gone", ""
	garbled.RolloutProblem = `read rollout "next=150": want a percentage`
	foreign.Revision, foreign.Origin = "gone", routing.Webhook
	leaving.Revision, leaving.Deleting = "gone", true
	for name, tc := range map[string]struct {
		mesh *routing.Mesh
		want string
		says string
	}{
		"where it should lead": {mesh: meshWith(routing.Guard, prod, old, next)},
		"nowhere":              {meshWith(routing.Guard, lost, old), "DanglingTag", "points at the revision gone that does not exist"},
		"held back":            {meshWith(routing.Forward, prod, old, next), TagHeldBack, "its injector has no ready endpoint"},
		"to nothing that takes pods": {
			meshWith(routing.Forward, prod, next), "NotRoutable", "no earlier revision of it does",
		},
		"with a rollout that cannot be read": {meshWith(routing.Guard, garbled, old), RolloutUnreadable, "next=150"},
		"of istioctl, nowhere":               {mesh: meshWith(routing.Guard, foreign, old)},
		"nowhere, but it is being deleted":   {mesh: meshWith(routing.Guard, leaving, old)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch()
			w.mesh = tc.mesh
			if got := w.pass(grace - lookEvery); got != "" {
				t.Errorf("told %q of what may be over in a moment", got)
			}
			if got := w.pass(repeat - lookEvery); got != tc.want {
				t.Fatalf("told %q, want %q", got, tc.want)
			}
			if tc.want == "" {
				return
			}
			e := w.told[0]
			if !e.Warning || !e.State || e.Object != (Object{APIVersion: "sailoperator.io/v1", Kind: "IstioRevisionTag", Name: "prod", UID: "u1"}) {
				t.Errorf("told %+v", e)
			}
			if !strings.HasPrefix(e.Message, tc.want+": ") || !strings.Contains(e.Message, tc.says) || !strings.Contains(e.Message, "Next: ") {
				t.Errorf("message %s\nwant in it: %s", e.Message, tc.says)
			}
			if got := w.pass(repeat); got != tc.want {
				t.Errorf("half an hour later told %q, want it once more", got)
			}
			w.mesh = meshWith(routing.Guard, prod, old)
			if got := w.pass(repeat); got != TagRecovered || w.told[0].Warning {
				t.Errorf("when it is over told %q", got)
			}
			if got := w.pass(repeat); got != "" {
				t.Errorf("and then %q", got)
			}
		})
	}
}

func TestATagThatIsGoneIsNotTold(t *testing.T) {
	w := newWatch()
	w.mesh = meshWith(routing.Guard, routing.Tag{Name: "prod", UID: "u1", Origin: routing.Sail, Revision: "gone"})
	if got := w.pass(grace); got != "DanglingTag" {
		t.Fatalf("told %q", got)
	}
	w.mesh = routing.NewMesh(routing.Objects{})
	if got := w.pass(time.Minute); got != "" {
		t.Errorf("told %q", got)
	}
	w.mesh = nil // no snapshot
	if got := w.pass(time.Minute); got != "" {
		t.Errorf("told %q", got)
	}
}
