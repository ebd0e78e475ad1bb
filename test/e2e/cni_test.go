//go:build e2e

package e2e

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// With RevisionBased, IstioCNI serves the old and the new control plane, and stays at the older version until the old one
// is gone. Then it follows as with InPlace.
func TestProcedureIstioCNI(t *testing.T) {
	run(t, procedure{name: "4.1 IstioCNI", mode: guard, versions: latest()}, func(w *world) {
		w.works("install", func(s *step) {
			s.do("cni/install")
			s.sidecars("bookinfo", "default-v1-28-5", "v1.28.5")
			s.runs("istio-cni", cniPods, "v1.28.5")
		})
		w.router("before the control plane", func(s *step) { s.refused("cni/too-early", skew.CNISkew) })
		w.router("a misspelt version", func(s *step) { s.refused("cni/typo", skew.CNISkew) })
		w.works("the new control plane beside the old one", func(s *step) { s.do("cni/istio") })
		w.router("while both are used", func(s *step) { s.refused("cni/too-early", skew.CNISkew) })
		w.router("so it is for a router that starts now", func(s *step) {
			s.restartRouter()
			s.refused("cni/too-early", skew.CNISkew)
		})
		w.works("interrupted: the namespace is labelled, and nothing restarted", func(s *step) {
			s.sh("kubectl label namespace bookinfo istio.io/rev=default-v1-29-6 --overwrite")
			s.sidecars("bookinfo", "default-v1-28-5", "v1.28.5")
		})
		w.router("interrupted: while pods still use the old one", func(s *step) { s.refused("cni/too-early", skew.CNISkew) })
		w.works("resumed: the workloads move and the old control plane goes", func(s *step) {
			s.do("cni/move")
			s.sidecars("bookinfo", "default-v1-29-6", "v1.29.6")
		})
		w.works("IstioCNI follows", func(s *step) {
			s.do("cni/finish")
			s.do("cni/in-place")
			s.runs("istio-cni", cniPods, "v1.29.6")
		})
		w.router("rolled back in the wrong order", func(s *step) { s.refused("cni/back", skew.CNISkew) })
		w.works("rolled back", func(s *step) {
			s.sh(`kubectl patch istiocni default --type=merge -p '{"spec":{"version":"v1.28.5"}}'`)
			s.settle()
			s.runs("istio-cni", cniPods, "v1.28.5")
		})
	})
}
