//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/sail"
)

// A new revision comes beside the old one, namespaces move to it by their label, and the old one goes once nothing uses it.
func TestProcedureRevisionBased(t *testing.T) {
	run(t, procedure{name: "2.3 RevisionBased", mode: guard, versions: latest()}, func(w *world) {
		w.works("install", func(s *step) {
			s.do("revision/install")
			s.do("revision/workloads")
			s.do("revision/look")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("pods say their revision and version", func(s *step) { s.recorded("bookinfo", oldRevision, oldVersion) })
		w.router("a namespace before its revision", func(s *step) { s.refused("revision/label-first", skew.UnknownRevisionLabel) })
		w.router("two minors, and a CNI plugin that fits one", func(s *step) { s.refused("revision/squeeze", skew.SingletonSqueeze) })
		w.revisionInterrupted()
		w.works("the new revision comes beside the old one", func(s *step) {
			s.do("revision/update")
			s.do("revision/both")
			s.sidecars("bookinfo", oldRevision, oldVersion)
		})
		w.router("the CNI plugin before the workloads", func(s *step) { s.refused("revision/cni-first", skew.CNISkew) })
		w.router("the old revision is deleted under its workloads", func(s *step) { s.refused("revision/delete", skew.InUseDelete) })
		w.router("a misspelt revision", func(s *step) { s.refused("revision/typo", skew.UnknownRevisionLabel) })
		w.revisionMoved()
	})
}

// revisionInterrupted has a new revision that does not start: nothing follows it there, and the old one goes on.
func (w *world) revisionInterrupted() {
	w.works("interrupted: the new istiod does not start", func(s *step) {
		w.breakDown(sail.Istiod, newVersion)
		s.sh(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`)
		s.sh("kubectl wait --for=create deployment/istiod-default-v1-30-3 -n istio-system --timeout=1m")
		s.sh("kubectl rollout restart deployment/details-v1 -n bookinfo; kubectl rollout status deployment/details-v1 -n bookinfo --timeout=1m")
		s.sidecars("bookinfo", oldRevision, oldVersion)
	})
	w.router("interrupted: the CNI plugin waits, for a router that starts now, too", func(s *step) {
		s.restartRouter()
		s.refused("revision/cni-before-istiod", skew.CNISkew)
	})
	w.works("it is repaired", func(*step) { w.repair(sail.Istiod, newVersion) })
}

// revisionMoved moves half of the workloads, goes back, and moves all of them.
func (w *world) revisionMoved() {
	w.works("interrupted: half of the workloads are moved", func(s *step) {
		s.labelled(newRevision, newVersion)
		s.do("revision/half")
		s.do("revision/left")
		if got := len(s.status().Restarts); got != 4 {
			s.Errorf("%d workloads wait for their restart, want 4 of 6", got)
		}
		s.staysFor(oldRevision, 35*time.Second) // longer than the grace period
	})
	w.works("rolled back", func(s *step) {
		s.labelled(oldRevision, oldVersion)
		s.do("revision/undo")
		s.sidecars("bookinfo", oldRevision, oldVersion)
	})
	w.works("resumed: the workloads are moved, and the old revision is pruned", func(s *step) {
		s.do("revision/update")
		s.labelled(newRevision, newVersion)
		s.do("revision/move")
		s.sidecars("bookinfo", newRevision, newVersion)
		s.do("revision/pruned")
	})
	w.router("pods say the new revision", func(s *step) { s.recorded("bookinfo", newRevision, newVersion) })
	w.router("rolled back too late", func(s *step) { s.refused("revision/back", skew.UnknownRevisionLabel) })
	w.router("two minors at once, healed by what is said", func(s *step) {
		s.healCommand(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.32.0"}}'`, skew.SingletonSqueeze)
		s.sidecars("bookinfo", "default-v1-31-1", "v1.31.1")
	})
}

// labelled moves the namespace to a revision, and waits until the API server knows.
func (s *step) labelled(revision, version string) {
	s.Helper()
	s.sh("kubectl label namespace bookinfo istio.io/rev=" + revision + " --overwrite")
	s.injects("bookinfo", revision, version)
}

// staysFor watches that a revision is not deleted for so long.
func (s *step) staysFor(revision string, long time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), long)
	defer cancel()
	watcher, err := s.client.Resource(sailKind("istiorevisions")).Watch(ctx, metav1.SingleObject(metav1.ObjectMeta{Name: revision}))
	s.must(err)
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			s.must(s.exists(revision))
			return
		case event, open := <-watcher.ResultChan():
			if !open {
				continue
			}
			if o, ok := event.Object.(metav1.Object); ok && o.GetDeletionTimestamp() != nil {
				s.Fatalf("revision %s is deleted while it is used", revision)
			}
		}
	}
}

func (s *step) exists(revision string) error {
	if _, err := s.client.Resource(sailKind("istiorevisions")).Get(s.Context(), revision, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("revision %s: %w", revision, err)
	}
	return nil
}
