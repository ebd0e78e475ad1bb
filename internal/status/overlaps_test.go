package status_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

const (
	patchIt = `kubectl patch istio default --type=merge -p '{"spec":{"values":{"global":{"operatorManageWebhooks":true}}}}'`
	showIt  = "kubectl get mutatingwebhookconfiguration c --show-labels"
)

func TestAWebhookInTheWayIsAnErrorWithWhatEndsIt(t *testing.T) {
	t.Parallel()
	patched := status.Problem{
		Advice: "Let the operator manage the webhooks; where this one stays after that, the second command shows whose it is",
		Next:   []string{patchIt, showIt},
	}
	for name, tc := range map[string]struct {
		wanted string
		change func(*world)
		want   status.Problem
	}{
		"of a revision":                    {newRevision, func(*world) {}, patched},
		"of a tag":                         {"prod", func(*world) {}, patched},
		"of a tag that is held back":       {"prod", func(w *world) { w.revisions[1].Unroutable = routing.NoEndpoints }, patched},
		"while one namespace is asked for": {"prod", func(w *world) { w.only = "shop" }, patched},
		"of a revision that is too old": {newRevision, func(w *world) { w.revisions[1].Unroutable = routing.TooOld }, status.Problem{
			Advice: "Update istio default to 1.28 or later, before which tags have webhooks of their own whatever the values say; " +
				"until then run the router with --mode=guard", Next: []string{},
		}},
		"of a revision that is gone by now": {"default-v1-28-0", func(*world) {}, status.Problem{
			Advice: "See whose it is", Next: []string{showIt},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(routing.Forward, skew.RevisionBased, oldVersion, newVersion).tag("prod", newRevision, oldRevision, routing.Rollout{})
			w.overlaps = []sail.Overlap{{Configuration: "c", Webhook: "w", Wanted: tc.wanted}}
			tc.change(w)
			want := tc.want
			want.Severity, want.Name, want.Objects = status.Error, status.InjectorOverlap, []string{"MutatingWebhookConfiguration c"}
			want.Message = "Webhook w of MutatingWebhookConfiguration c (pods that ask for " + tc.wanted + ") injects pods that the router " +
				"injects as well, and two injectors can break a pod."
			r := w.report()
			if diff := cmp.Diff([]status.Problem{want}, r.Problems, cmpopts.IgnoreUnexported(status.Problem{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.Summary.Healthy || r.Summary.Errors != 1 {
				t.Errorf("got %+v, want one error", r.Summary)
			}
		})
	}
}

func TestEachWebhookInTheWayIsToldInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(routing.Forward, skew.RevisionBased, oldVersion, newVersion)
	var want []string
	for _, name := range []string{"a", "b", "c"} {
		w.overlaps = append(w.overlaps, sail.Overlap{Configuration: name, Webhook: "w", Wanted: newRevision})
		want = append(want, "MutatingWebhookConfiguration "+name)
	}
	var got []string
	for _, p := range w.report().Problems {
		got = append(got, p.Objects...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
