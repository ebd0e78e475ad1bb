//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// An alias moves with the operator, and nobody writes the Istio.
func TestProcedureAlias(t *testing.T) {
	p := procedure{name: "1.1 Versions and aliases", mode: guard, versions: map[string]string{"v1.29-latest": "v1.29.6", "v1.31-latest": "v1.31.1"}}
	p.values = []string{"--set", "log.level=debug"} // admissions with a warning are logged there
	run(t, p, func(w *world) {
		w.works("install", func(s *step) {
			s.do("alias/install")
			s.sidecars("bookinfo", "default", "v1.29.6")
		})
		w.router("pods say the release, not the alias", func(s *step) { s.recorded("bookinfo", "default", "v1.29.6") })
		w.works("interrupted: the operator is updated, and the new release does not start", func(s *step) {
			w.breakDown(sail.Istiod, "v1.29.7")
			w.operator.SetVersion("v1.29-latest", "v1.29.7")
			s.sh(`kubectl wait --for=jsonpath='{.metadata.labels.app\.kubernetes\.io/version}'=1.29.7 deployment/istiod -n istio-system --timeout=1m`)
			s.sh(`kubectl wait --for=jsonpath='{.status.updatedReplicas}'=1 deployment/istiod -n istio-system --timeout=1m`)
		})
		w.works("rolled back half way: the release before is named", func(s *step) {
			s.sh(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.29.6"}}'`)
			s.settle()
			s.sidecars("bookinfo", "default", "v1.29.6")
		})
		w.works("resumed: the operator is repaired", func(s *step) {
			w.repair(sail.Istiod, "v1.29.7")
			s.sh(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.29-latest"}}'`)
			s.do("alias/moved")
			s.sh(`kubectl wait --for=jsonpath='{.metadata.labels.app\.kubernetes\.io/version}'=1.29.7 deployment/istiod -n istio-system --timeout=1m`)
			s.sh("kubectl rollout status deployment/istiod -n istio-system --timeout=1m")
			s.do("alias/status")
			if got := len(s.status().Restarts); got != 6 {
				s.Errorf("%d workloads wait for their restart, want 6", got)
			}
			s.sidecars("bookinfo", "default", "v1.29.6")
		})
		w.works("restart", func(s *step) {
			s.injects("bookinfo", "default", "v1.29.7")
			s.do("alias/restart")
			s.sidecars("bookinfo", "default", "v1.29.7")
		})
		w.router("pods say the new release", func(s *step) { s.recorded("bookinfo", "default", "v1.29.7") })
		w.router("an alias two minors further", func(s *step) { s.refused("alias/skip", skew.InPlaceStep) })
		w.works("an alias that nobody knows, and back", func(s *step) {
			s.do("alias/unknown")
			s.sidecars("bookinfo", "default", "v1.29.7")
			s.do("alias/back")
		})
		w.router("an alias with RevisionBased", func(s *step) { s.warned("alias/revisionbased") })
		w.router("on purpose: the operator is warned, and goes on", func(s *step) {
			s.do("alias/override")
			if log := s.platform.log(s.Context()); !strings.Contains(log, `"user":"system:serviceaccount:sail-operator:sail-operator"`) ||
				!strings.Contains(log, string(skew.InPlaceStep)) {
				s.Errorf("the router has not judged what the operator wrote:\n%s", lastLines(log, 40))
			}
		})
	})
}
