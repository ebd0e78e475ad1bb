//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// Both ways to replace ZTunnel without cutting connections are known, and while two versions of it run, both count.
func TestProcedureZTunnel(t *testing.T) {
	run(t, procedure{name: "3.7 ZTunnel lifecycle", mode: guard, versions: latest()}, func(w *world) {
		w.ambientMesh()
		w.router("a misspelt version", func(s *step) { s.refused("ambient/typo", skew.ZTunnelSkew) })
		w.works("the control plane and IstioCNI", func(s *step) {
			s.do("ambient/istio")
			s.do("ambient/cni")
		})
		w.router("an update that cuts connections", func(s *step) { s.warnedBy("ztunnel/warning", skew.ZTunnelDrain) })
		w.works("rolled back", func(s *step) {
			s.do("ztunnel/undo")
			s.settle()
			s.runs("ztunnel", ztunnelPods, "v1.28.5")
		})
		w.works("with time to end", func(s *step) {
			s.do("ztunnel/grace")
			s.quiet("ambient/ztunnel")
			s.runs("ztunnel", ztunnelPods, "v1.29.6")
		})
		w.works("rolled back, for the other way", func(s *step) {
			s.do("ztunnel/undo")
			s.settle()
			s.runs("ztunnel", ztunnelPods, "v1.28.5")
		})
		w.zTunnelByNode()
	})
}

// zTunnelByNode replaces ZTunnel node by node, stops half way, goes back, and ends it.
func (w *world) zTunnelByNode() {
	w.works("with node draining: the new version is declared", func(s *step) {
		s.do("ztunnel/two-istiods")
		s.do("ztunnel/on-delete")
		s.quiet("ztunnel/declare")
		s.runs("ztunnel", ztunnelPods, "v1.28.5")
	})
	w.works("interrupted after the first node", func(s *step) {
		s.node("")
		s.both()
	})
	w.works("both versions are shown", func(s *step) { s.shown("ztunnel/half") })
	w.router("the next minor version waits", func(s *step) { s.refused("ztunnel/next", skew.ZTunnelSkew) })
	w.router("so it does for a router that starts now", func(s *step) {
		s.restartRouter()
		s.refused("ztunnel/next", skew.ZTunnelSkew)
	})
	w.works("rolled back half way", func(s *step) {
		s.do("ztunnel/undo")
		s.both()
		s.node("")
		s.runs("ztunnel", ztunnelPods, "v1.28.5")
	})
	w.works("resumed, on every node", func(s *step) {
		s.quiet("ztunnel/declare")
		for _, name := range s.nodes() {
			s.node(name)
		}
		s.runs("ztunnel", ztunnelPods, "v1.29.6")
	})
	w.works("the next minor version", func(s *step) {
		s.admitted("ztunnel/next")
		s.settle()
	})
	w.router("one further, healed by what is said", func(s *step) {
		s.healCommand(`kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.31.1"}}'`, skew.ZTunnelSkew)
		s.runs("ztunnel", ztunnelPods, "v1.30.3")
	})
}

// node drains one node, the first where none is named.
func (s *step) node(name string) {
	s.Helper()
	block := s.block("ztunnel/node")
	out, err := s.shell.run(s.Context(), block.Commands, "NODE="+name)
	if err != nil {
		s.Fatalf("%v\n%s\n%s", err, block.Commands, out)
	}
}

// both wants ZTunnels of the old and of the new version to run.
func (s *step) both() {
	s.Helper()
	versions, err := s.versions(s.Context(), "ztunnel", ztunnelPods)
	s.must(err)
	slices.Sort(versions)
	if got := strings.Join(slices.Compact(versions), ","); got != "1.28.5,1.29.6" {
		s.Fatalf("ZTunnel runs %s, want both versions", got)
	}
}
