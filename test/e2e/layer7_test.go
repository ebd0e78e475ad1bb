//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// What no waypoint carries out is pointed out before the update, and whenever a waypoint is taken away.
func TestProcedureLayer7(t *testing.T) {
	run(t, procedure{name: "3.4, 3.5 routing, authorization", mode: guard, versions: latest()}, func(w *world) {
		w.ambientMesh()
		w.works("a waypoint, a route and a policy", func(s *step) {
			s.do("waypoint/create")
			s.quiet("l7/route")
			s.quiet("l7/policy")
			s.sh("kubectl create namespace shop") // a try creates none, and nothing can be tried in one that is not there
			s.notBypassed()
		})
		w.router("a policy for a Service without a waypoint", func(s *step) { s.warnedBy("l7/no-waypoint", skew.WaypointPolicy) })
		w.works("it is there", func(s *step) { // without the router it was put back: the namespace has to end first
			s.admitted("l7/no-waypoint")
		})
		w.works("it is pointed out before the update", func(s *step) {
			s.shown("l7/status")
			s.shown("l7/plan")
		})
		w.works("as it says", func(s *step) {
			s.do("l7/mend")
			s.notBypassed()
		})
		w.router("a policy for a misspelt waypoint", func(s *step) {
			s.warnedBy("l7/typo", skew.WaypointPolicy)
			s.sh("kubectl delete authorizationpolicy everything -n bookinfo")
		})
		w.router("a Service opts out", func(s *step) {
			s.warnedBy("l7/opt-out", skew.WaypointPolicy)
			s.do("l7/opt-in")
		})
		w.router("the namespace drops its waypoint", func(s *step) {
			s.warnedBy("l7/drop", skew.WaypointPolicy)
			s.do("waypoint/create")
		})
		w.router("the waypoint becomes one of the wrong kind", func(s *step) {
			s.warnedBy("l7/wrong-kind", skew.WaypointPolicy)
			s.do("waypoint/create")
		})
		w.works("interrupted: the control plane alone is updated", func(s *step) {
			s.do("ambient/istio")
			s.notBypassed()
		})
		w.router("interrupted: a Service opts out, with a router that starts now", func(s *step) {
			s.restartRouter()
			s.warnedBy("l7/opt-out", skew.WaypointPolicy)
			s.do("l7/opt-in")
		})
		w.works("resumed", func(s *step) {
			s.do("ambient/cni")
			s.do("ambient/ztunnel")
			s.runs("bookinfo", waypointPod, "v1.29.6")
			s.notBypassed()
		})
		w.works("rolled back", func(s *step) {
			s.do("waypoint/pin")
			s.sh(strings.ReplaceAll(s.block("waypoint/pin").Commands, "-n bookinfo", "-n shop")) // it has one, too
			s.do("ambient/undo")
			s.do("waypoint/unpin")
			s.runs("bookinfo", waypointPod, "v1.28.5")
			s.notBypassed()
		})
	})
}

// notBypassed wants the router to have nothing to say about what waypoints carry out.
func (s *step) notBypassed() {
	s.Helper()
	for _, p := range s.status().Problems {
		if strings.HasPrefix(p.Name, string(skew.WaypointPolicy)) {
			s.Errorf("the router says: %s", p.Message)
		}
	}
}
