//go:build e2e

package e2e

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// Of the six orders of control plane, IstioCNI and ZTunnel one passes. The other five end at their first or second step; what
// is said there leads to the one that passes.
func TestProcedureAmbientOrder(t *testing.T) {
	run(t, procedure{name: "3.1 ambient order", mode: guard, versions: latest()}, func(w *world) {
		w.ambientMesh()
		w.router("IstioCNI, control plane, ZTunnel; IstioCNI, ZTunnel, control plane: the first is refused", func(s *step) {
			s.refused("ambient/cni-first", skew.CNISkew)
		})
		w.router("ZTunnel, control plane, IstioCNI; ZTunnel, IstioCNI, control plane: the first is refused", func(s *step) {
			s.refused("ambient/ztunnel-first", skew.ZTunnelSkew)
		})
		w.router("a misspelt version", func(s *step) { s.refused("ambient/typo", skew.ZTunnelSkew) })
		w.router("all at once, tried again until it passes", func(s *step) {
			s.refusedInPart("ambient/at-once", skew.ZTunnelSkew)
			s.admitted("ambient/at-once")
			s.settle()
			s.ambientRuns("v1.29.6")
		})
		w.router("rolled back in the wrong order: the control plane first", func(s *step) {
			s.refused("ambient/undo-istio-first", skew.DataPlaneAhead)
		})
		w.router("rolled back in the wrong order: IstioCNI before ZTunnel", func(s *step) {
			s.refused("ambient/undo-cni-first", skew.CNIZTunnelPair)
		})
		w.works("rolled back", func(s *step) {
			s.do("ambient/undo")
			s.ambientRuns("v1.28.5")
		})
		w.ambientUpdate()
		w.router("the wrong order, healed by what is said", func(s *step) {
			s.healCommand(`kubectl patch ztunnel default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`, skew.ZTunnelSkew)
			s.ambientRuns("v1.30.3")
		})
	})
}

// ambientUpdate is the order that passes, with an interruption while IstioCNI rolls out.
func (w *world) ambientUpdate() {
	w.works("the control plane", func(s *step) { s.do("ambient/istio") })
	w.router("control plane, ZTunnel, IstioCNI: the second is refused", func(s *step) {
		s.refused("ambient/ztunnel-second", skew.CNIZTunnelPair)
	})
	w.works("interrupted: the new IstioCNI does not start", func(s *step) {
		w.breakDown(sail.CNI, "v1.29.6")
		s.sh(`kubectl patch istiocni default --type=merge -p '{"spec":{"version":"v1.29.6"}}'`)
		s.sh(`kubectl wait --for=jsonpath='{.status.updatedNumberScheduled}'=1 daemonset/istio-cni-node -n istio-cni --timeout=1m`)
	})
	w.router("interrupted: ZTunnel waits", func(s *step) { s.refused("ambient/ztunnel-too-early", skew.CNIZTunnelPair) })
	w.router("interrupted: so it does for a router that starts now", func(s *step) {
		s.restartRouter()
		s.refused("ambient/ztunnel-too-early", skew.CNIZTunnelPair)
	})
	w.works("resumed: IstioCNI, then ZTunnel", func(s *step) {
		w.repair(sail.CNI, "v1.29.6")
		s.do("ambient/istio")
		s.do("ambient/cni")
		s.do("ambient/ztunnel")
		s.ambientRuns("v1.29.6")
	})
	w.works("nothing is left to do", func(s *step) { s.shown("ambient/look") })
}
