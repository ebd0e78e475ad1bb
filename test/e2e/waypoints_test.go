//go:build e2e

package e2e

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// A waypoint follows its control plane by itself, unless something holds it; then the control plane waits for it.
func TestProcedureWaypointsInPlace(t *testing.T) {
	run(t, procedure{name: "3.2 waypoints, InPlace", mode: guard, versions: latest()}, func(w *world) {
		w.ambientMesh()
		w.works("a waypoint", func(s *step) {
			s.do("waypoint/create")
			s.runs("bookinfo", waypointPod, "v1.28.5")
		})
		w.router("a misspelt waypoint", func(s *step) { s.refused("waypoint/typo", skew.WaypointMissing) })
		w.works("interrupted: the control plane is new, and the new waypoint does not start", func(s *step) {
			w.breakDown(sail.Waypoint, "v1.29.6")
			s.do("ambient/istio")
			s.sh(`kubectl wait --for=jsonpath='{.status.updatedReplicas}'=1 deployment/waypoint -n bookinfo --timeout=1m`)
		})
		w.router("interrupted: the next minor version waits", func(s *step) { s.refused("waypoint/too-far", skew.DataPlaneBehind) })
		w.works("resumed: it follows its control plane", func(s *step) {
			w.repair(sail.Waypoint, "v1.29.6")
			s.do("ambient/istio")
			s.shown("waypoint/look")
			s.runs("bookinfo", waypointPod, "v1.29.6")
		})
		w.router("pinned ahead of its control plane", func(s *step) { s.refused("waypoint/ahead", skew.DataPlaneAhead) })
		w.works("held one minor version behind", func(s *step) {
			s.do("waypoint/pin")
			s.runs("bookinfo", waypointPod, "v1.28.5")
		})
		w.router("the control plane waits for it", func(s *step) { s.refused("waypoint/too-far", skew.DataPlaneBehind) })
		w.router("so it does for a router that starts now", func(s *step) {
			s.restartRouter()
			s.refused("waypoint/too-far", skew.DataPlaneBehind)
		})
		w.works("no longer held", func(s *step) {
			s.do("waypoint/unpin")
			s.runs("bookinfo", waypointPod, "v1.29.6")
		})
		w.router("deleted while it is used", func(s *step) { s.refused("waypoint/delete", skew.WaypointInUseDelete) })
		w.works("IstioCNI and ZTunnel follow", func(s *step) {
			s.do("ambient/cni")
			s.do("ambient/ztunnel")
			s.ambientRuns("v1.29.6")
		})
		w.works("rolled back", func(s *step) {
			s.do("waypoint/pin")
			s.do("ambient/undo")
			s.do("waypoint/unpin")
			s.runs("bookinfo", waypointPod, "v1.28.5")
		})
	})
}

// A waypoint belongs to the revision that its label names, and keeps that one alive.
func TestProcedureWaypointsRevisionBased(t *testing.T) {
	run(t, procedure{name: "3.3 waypoints, RevisionBased", mode: guard, versions: latest()}, func(w *world) {
		w.works("install", func(s *step) { s.do("waypoint-revisions/install") })
		w.router("a waypoint that nobody would deploy", func(s *step) {
			s.refusedInPart("waypoint-revisions/orphan", skew.GatewayOwner)
		})
		w.works("a waypoint with the label of its revision", func(s *step) {
			s.do("waypoint-revisions/create")
			s.runs("bookinfo", waypointPod, "v1.28.5")
		})
		w.works("the new control plane beside the old one", func(s *step) {
			s.do("waypoint-revisions/istio")
			s.runs("bookinfo", waypointPod, "v1.28.5")
			s.shown("waypoint-revisions/look")
		})
		w.router("IstioCNI while both are used", func(s *step) { s.refused("waypoint-revisions/cni-too-early", skew.CNISkew) })
		w.router("a misspelt revision", func(s *step) { s.refused("waypoint-revisions/typo", skew.UnknownRevisionLabel) })
		w.works("the waypoint moves", func(s *step) {
			s.do("waypoint-revisions/move")
			s.runs("bookinfo", waypointPod, "v1.29.6")
		})
		w.works("rolled back", func(s *step) {
			s.do("waypoint-revisions/back")
			s.runs("bookinfo", waypointPod, "v1.28.5")
		})
		w.router("rolled back: the old control plane is used again", func(s *step) {
			s.refused("waypoint-revisions/cni-too-early", skew.CNISkew)
		})
		w.works("resumed: the waypoint moves, the old control plane goes, IstioCNI and ZTunnel follow", func(s *step) {
			s.do("waypoint-revisions/move")
			s.do("waypoint-revisions/finish")
			s.runs("istio-cni", cniPods, "v1.29.6")
			s.runs("ztunnel", ztunnelPods, "v1.29.6")
		})
		w.router("deleted while it is used", func(s *step) { s.refused("waypoint/delete", skew.WaypointInUseDelete) })
	})
}
