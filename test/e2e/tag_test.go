//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// The tag moves with the Istio, and pods follow when they are restarted.
func TestProcedureTag(t *testing.T) {
	run(t, procedure{name: "2.3.4 RevisionBased with a tag", mode: guard, versions: latest()}, func(w *world) {
		w.works("install", func(s *step) {
			s.do("tag/install")
			s.do("tag/workloads")
			s.do("tag/look")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("pods say their revision and version", func(s *step) { s.recorded("bookinfo", oldRevision, oldVersion) })
		w.router("a namespace before its tag", func(s *step) {
			s.sh("kubectl create namespace shop --dry-run=client -o yaml | kubectl apply -f -")
			s.refused("tag/label-first", skew.UnknownRevisionLabel)
		})
		w.router("a tag with the name of a revision", func(s *step) { s.refused("tag/same-name", skew.NameConflict) })
		w.works("the tag moves, and pods stay", func(s *step) {
			s.do("tag/update")
			s.do("tag/behind")
			s.sidecars("bookinfo", oldRevision, oldVersion)
			if got := len(s.status().Restarts); got != 6 {
				s.Errorf("%d workloads wait for their restart, want 6", got)
			}
		})
		w.router("the CNI plugin before the restart", func(s *step) { s.refused("tag/cni-first", skew.CNISkew) })
		w.router("the tag is deleted under its namespaces", func(s *step) { s.refused("tag/delete", skew.InUseDelete) })
		w.router("the Istio is deleted under both", func(s *step) { s.refused("tag/delete-istio", skew.InUseDelete) })
		w.router("a misspelt target", func(s *step) { s.refused("tag/typo", skew.TagTarget) })
		w.tagMoved()
	})
}

// tagMoved restarts, goes back, and forward again until the old revision is gone.
func (w *world) tagMoved() {
	w.works("interrupted: half of the workloads are restarted", func(s *step) {
		s.injects("bookinfo", newRevision, newVersion)
		s.sh("kubectl rollout restart deployment/details-v1 deployment/ratings-v1 deployment/reviews-v1 -n bookinfo")
		s.sh("kubectl rollout status deployment -n bookinfo --timeout=2m")
		if got := len(s.status().Restarts); got != 3 {
			s.Errorf("%d workloads wait for their restart, want 3 of 6", got)
		}
		s.staysFor(oldRevision, 35*time.Second) // longer than the grace period
	})
	w.works("rolled back", func(s *step) {
		s.pinned()
		s.do("tag/undo")
		s.sidecars("bookinfo", oldRevision, oldVersion)
	})
	w.works("resumed", func(s *step) {
		s.do("tag/redo")
		s.do("tag/update")
		s.injects("bookinfo", newRevision, newVersion)
		s.do("tag/restart")
		s.sidecars("bookinfo", newRevision, newVersion)
	})
	w.router("pods say tag, revision and version", func(s *step) { s.do("tag/pods") })
	w.works("the old revision is pruned", func(s *step) { s.do("tag/pruned") })
	w.router("rolled back too late", func(s *step) { s.refused("tag/back", skew.TagTarget) })
}

// pinned leads the tag to the old revision, and waits until the API server and the router know.
func (s *step) pinned() {
	s.Helper()
	s.sh(`kubectl patch istiorevisiontag default --type=merge -p '{"spec":{"targetRef":{"kind":"IstioRevision","name":"default-v1-29-6"}}}'`)
	s.injects("bookinfo", oldRevision, oldVersion)
}

// In forward mode the tag leads to the new revision only once that takes pods.
func TestProcedureTagForward(t *testing.T) {
	p := procedure{
		name: "2.3.4 RevisionBased with a tag", mode: forwarding, versions: latest(),
		forwardTo: map[string]string{oldRevision: oldVersion, newRevision: newVersion},
	}
	run(t, p, func(w *world) {
		w.works("install", func(s *step) {
			s.do("forward/install")
			s.do("tag/workloads")
			s.sidecars("bookinfo", oldRevision, oldVersion)
			s.recorded("bookinfo", oldRevision, oldVersion)
		})
		w.router("the new istiod does not start, and restarts keep the old revision", func(s *step) {
			w.breakDown(sail.Istiod, newVersion)
			s.sh(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`)
			s.sh("kubectl wait --for=jsonpath='{.status.istioRevision}'=default-v1-30-3 istiorevisiontag/default --timeout=1m")
			s.do("forward/held")
			s.do("forward/held-status")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("who names the new revision waits", func(s *step) {
			s.do("forward/named")
			s.podsRefused("shop", "cart")
			s.do("forward/named-why")
		})
		w.router("so it is with a router that starts now", func(s *step) {
			s.restartRouter()
			s.do("forward/held")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("once it is ready, pods follow on restart", func(s *step) {
			w.repair(sail.Istiod, newVersion)
			s.injects("bookinfo", newRevision, newVersion)
			s.do("forward/restart")
			s.sidecars("bookinfo", newRevision, newVersion)
			s.recorded("bookinfo", newRevision, newVersion)
			s.sh("kubectl rollout status deployment/cart -n shop --timeout=1m")
			s.sidecars("shop", newRevision, newVersion)
		})
		w.router("a misspelt target", func(s *step) { s.refused("tag/typo", skew.TagTarget) })
		w.router("rolled back", func(s *step) {
			s.pinned()
			s.do("tag/undo")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("resumed, and the old revision is pruned", func(s *step) {
			s.do("tag/redo")
			s.injects("bookinfo", newRevision, newVersion)
			s.do("forward/restart")
			s.sidecars("bookinfo", newRevision, newVersion)
			s.sh("kubectl wait --for=delete istiorevision/default-v1-29-6 --timeout=2m")
		})
	})
}
