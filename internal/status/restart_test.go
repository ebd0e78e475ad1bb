package status_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestRestarts(t *testing.T) {
	t.Parallel()
	none := routing.Rollout{}
	for name, tc := range map[string]struct {
		world *world
		want  []string
	}{
		"the tag leads to another revision now": {
			twoRevisions().tag("prod", newRevision, newRevision, none).namespace("shop", to("prod")).runs("shop/cart", older(), 2),
			[]string{"TagMoved cart 2 default-v1-29-6 v1.29.6 > default-v1-30-3 v1.30.3: kubectl rollout restart deployment -n shop cart"},
		},
		"a tag that the pods did not come through": {
			twoRevisions().tag("prod", newRevision, newRevision, none).namespace("shop", to("prod")).
				runs("shop/cart", older(), 1, func(p *inventory.Pod) { p.Annotations[routing.AnnotationTag] = "canary" }),
			[]string{"LabelsChanged cart 1 default-v1-29-6 v1.29.6 > default-v1-30-3 v1.30.3: kubectl rollout restart deployment -n shop cart"},
		},
		"the namespace names another revision now": {
			twoRevisions().namespace("shop", to(newRevision)).runs("shop/cart", older(), 1),
			[]string{"LabelsChanged cart 1 default-v1-29-6 v1.29.6 > default-v1-30-3 v1.30.3: kubectl rollout restart deployment -n shop cart"},
		},
		"the revision was updated in place": {
			newWorld(routing.Guard, skew.InPlace, newVersion).namespace("shop", to("default")).runs("shop/cart", status.Proxy{Revision: "default", Version: oldVersion}, 3),
			[]string{"RevisionUpdated cart 3 default v1.29.6 > default v1.30.3: kubectl rollout restart deployment -n shop cart"},
		},
		"another variant of the same release": {
			newWorld(routing.Guard, skew.InPlace, newVersion).namespace("shop", to("default")).runs("shop/cart", status.Proxy{Revision: "default", Version: "v1.30.3-distroless"}, 1), nil,
		},
		"a version that is not known": {
			newWorld(routing.Guard, skew.InPlace, newVersion).namespace("shop", to("default")).runs("shop/cart", status.Proxy{Revision: "default", Version: "sha"}, 1), nil,
		},
		"no label asks any more": {
			twoRevisions().namespace("shop", nil).runs("shop/cart", newer(), 1),
			[]string{"NoLongerSelected cart 1 default-v1-30-3 v1.30.3 > : "},
		},
		"a Job ends by itself": {
			twoRevisions().namespace("shop", to(newRevision)).runs("shop/batch", older(), 1, owned("Job")),
			[]string{"LabelsChanged batch 1 default-v1-29-6 v1.29.6 > default-v1-30-3 v1.30.3: "},
		},
		"everything is where it belongs": {
			twoRevisions().tag("prod", oldRevision, oldRevision, none).namespace("shop", to("prod")).runs("shop/cart", older(), 2), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range tc.world.report().Restarts {
				got = append(got, fmt.Sprintf("%s %s %d %s %s > %s: %s", r.Reason, r.Name, r.Pods, r.From.Revision, r.From.Version,
					strings.TrimSpace(r.To.Revision+" "+r.To.Version), r.Command))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestARestartWaitsForItsControlPlane(t *testing.T) {
	t.Parallel()
	w := newWorld(routing.Guard, skew.InPlace, newVersion).namespace("shop", to("default")).runs("shop/cart", status.Proxy{Revision: "default", Version: oldVersion}, 1)
	w.revisions[0].Istiod = rollout(oldVersion, newVersion)
	r := w.report()
	if len(r.Restarts) != 1 || r.Restarts[0].Wait != "kubectl rollout status deployment/istiod -n istio-system" || len(r.RestartCommands) != 0 {
		t.Errorf("got %+v and %q", r.Restarts, r.RestartCommands)
	}
	if c := r.ControlPlanes[0]; c.State != status.RollingOut || !slices.Equal(c.Running, []string{oldVersion, newVersion}) || !r.Summary.Upgrading {
		t.Errorf("got %+v", c)
	}
}

func TestRestartCommandsNameExactlyWhatWaits(t *testing.T) {
	t.Parallel()
	w := twoRevisions().namespace("all", to(newRevision)).namespace("some", to(newRevision)).namespace("many", to(newRevision))
	for _, name := range []string{"a", "b"} {
		w.runs("all/"+name, older(), 1).runs("some/"+name, older(), 1)
	}
	w.runs("some/outside", status.Proxy{}, 1, labelled(routing.LabelInject, "false"))
	for i := range 25 {
		w.runs(fmt.Sprintf("many/w%02d", i), older(), 1)
	}
	w.runs("many/new", newer(), 1)
	got := w.report().RestartCommands
	want := []string{"kubectl rollout restart deployment -n all"}
	if len(got) != 4 || got[0] != want[0] || got[3] != "kubectl rollout restart deployment -n some a b" ||
		len(strings.Fields(got[1])) != 26 || len(strings.Fields(got[2])) != 11 {
		t.Errorf("got %q", got)
	}
}
