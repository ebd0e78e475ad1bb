//go:build e2e

package e2e

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// In place a control plane goes up by one minor version at a time, the CNI plugin follows it, and workloads are restarted
// before the next.
func TestProcedureInPlace(t *testing.T) {
	run(t, procedure{name: "2.2 InPlace", mode: guard, versions: latest()}, func(w *world) {
		w.works("install", func(s *step) {
			s.do("inplace/install")
			s.do("inplace/workloads")
			s.do("inplace/look")
			s.sidecars("bookinfo", "default", "v1.28.5")
		})
		w.router("pods say their revision and version", func(s *step) { s.recorded("bookinfo", "default", "v1.28.5") })
		w.router("a misspelt revision on a namespace", func(s *step) { s.refused("inplace/typo", skew.UnknownRevisionLabel) })
		w.router("a misspelt revision in a pod template", func(s *step) {
			s.do("inplace/typo-in-pods")
			s.podsRefused("shop", "cart")
			s.do("inplace/typo-in-pods-why")
			s.do("inplace/typo-in-pods-right")
			s.sidecars("shop", "default", "v1.28.5")
			s.sh("kubectl delete namespace shop --timeout=1m")
		})
		w.router("two minors at once", func(s *step) { s.refused("inplace/skip", skew.InPlaceStep) })
		w.router("the CNI plugin first", func(s *step) { s.refused("inplace/cni-first", skew.CNISkew) })
		w.inPlaceInterrupted()
		w.inPlaceUpdate()
		w.router("the Istio is deleted under its workloads", func(s *step) { s.refused("inplace/delete", skew.InUseDelete) })
		w.router("two minors at once, healed by what is said", func(s *step) {
			s.healCommand(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.32.0"}}'`, skew.InPlaceStep)
			s.sidecars("bookinfo", "default", "v1.31.1")
		})
	})
}

// latest are aliases as an operator resolves them.
func latest() map[string]string {
	return map[string]string{"v1.28-latest": "v1.28.5", "v1.29-latest": "v1.29.6", "v1.30-latest": "v1.30.3", "v1.31-latest": "v1.31.1"}
}

// inPlaceInterrupted stops half way, because the new istiod does not start, and goes back.
func (w *world) inPlaceInterrupted() {
	w.works("interrupted: the new istiod does not start", func(s *step) {
		w.breakDown(sail.Istiod, "v1.29.6")
		s.sh(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.29.6"}}'`)
		s.sh(`kubectl wait --for=jsonpath='{.metadata.labels.app\.kubernetes\.io/version}'=1.29.6 deployment/istiod -n istio-system --timeout=1m`)
		s.sh(`kubectl wait --for=jsonpath='{.status.updatedReplicas}'=1 deployment/istiod -n istio-system --timeout=1m`)
	})
	w.router("interrupted: the CNI plugin waits", func(s *step) { s.refused("inplace/cni-too-early", skew.CNISkew) })
	w.router("interrupted: so it does for a router that starts now", func(s *step) {
		s.restartRouter()
		s.refused("inplace/cni-too-early", skew.CNISkew)
	})
	w.works("rolled back half way", func(s *step) {
		s.do("inplace/undo")
		s.sidecars("bookinfo", "default", "v1.28.5")
		w.repair(sail.Istiod, "v1.29.6")
	})
}

// inPlaceUpdate carries the procedure out from its top, for two minor versions.
func (w *world) inPlaceUpdate() {
	w.router("everything at once", func(s *step) { s.refusedInPart("inplace/at-once", skew.CNISkew) })
	w.works("resumed: the control plane, then the CNI plugin", func(s *step) {
		s.do("inplace/update")
		s.do("inplace/cni")
		s.sidecars("bookinfo", "default", "v1.28.5")
	})
	w.works("sidecars that are behind are listed", func(s *step) {
		s.do("inplace/behind")
		if got := len(s.status().Restarts); got != 6 {
			s.Errorf("%d workloads wait for their restart, want the 6 of bookinfo", got)
		}
	})
	w.router("the next minor before the restart", func(s *step) { s.refused("inplace/no-restart", skew.DataPlaneBehind) })
	w.works("restart", func(s *step) {
		s.injects("bookinfo", "default", "v1.29.6")
		s.do("inplace/restart")
		s.sidecars("bookinfo", "default", "v1.29.6")
		if got := s.status().Restarts; len(got) > 0 {
			s.Errorf("these wait for their restart still: %+v", got)
		}
	})
	w.router("pods say the new version", func(s *step) { s.do("inplace/pods") })
	w.router("rolled back after the restart", func(s *step) { s.refused("inplace/back", skew.DataPlaneAhead) })
	w.works("the next minor", func(s *step) {
		s.do("inplace/update-again")
		s.injects("bookinfo", "default", "v1.30.3")
		s.do("inplace/restart-again")
		s.sidecars("bookinfo", "default", "v1.30.3")
	})
}
