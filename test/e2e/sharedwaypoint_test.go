//go:build e2e

package e2e

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// The two labels that lead to a waypoint of another namespace are judged together.
func TestProcedureSharedWaypoint(t *testing.T) {
	run(t, procedure{name: "3.6 cross-namespace waypoint", mode: guard, versions: latest()}, func(w *world) {
		w.ambientMesh()
		w.works("a waypoint for others", func(s *step) { s.do("shared/create") })
		w.router("the namespace's label alone", func(s *step) {
			s.warnedBy("shared/half", skew.WaypointMissing)
			s.do("shared/undo")
		})
		w.router("the waypoint's label alone", func(s *step) { s.refused("shared/other-half", skew.WaypointMissing) })
		w.router("a misspelt namespace", func(s *step) { s.refused("shared/typo", skew.WaypointMissing) })
		w.works("both labels", func(s *step) { s.quiet("shared/labels") })
		w.router("a Service with one of them", func(s *step) {
			s.warnedBy("shared/service-half", skew.WaypointMissing)
			s.do("shared/service-none")
		})
		w.works("a Service with both", func(s *step) {
			s.quiet("shared/service")
			s.do("shared/service-none")
		})
		w.router("the waypoint is closed", func(s *step) { s.refused("shared/close", skew.WaypointMissing) })
		w.router("its namespace is deleted", func(s *step) { s.refused("shared/delete", skew.WaypointInUseDelete) })
		w.works("interrupted: the control plane alone is updated", func(s *step) { s.do("ambient/istio") })
		w.router("interrupted: the waypoint stays open, for a router that starts now, too", func(s *step) {
			s.restartRouter()
			s.refused("shared/close", skew.WaypointMissing)
		})
		w.works("resumed", func(s *step) {
			s.do("ambient/cni")
			s.do("ambient/ztunnel")
			s.runs("foo", "gateway.networking.k8s.io/gateway-name=waypoint-foo", "v1.29.6")
		})
		w.works("rolled back", func(s *step) {
			s.quiet("shared/undo")
			s.sh("kubectl delete gateway waypoint-foo -n foo") // nothing uses it now, and it may not stay ahead
			s.do("ambient/undo")
			s.ambientRuns("v1.28.5")
		})
	})
}
