package mesh_test

import (
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/test/cluster"
)

// TestUpheavals does what other tests could not bear, to a control plane of its own.
func TestUpheavals(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("kinds are installed and removed", func(t *testing.T) { testKindsAreInstalledAndRemoved(t, c) })
	t.Run("a kind is removed unseen", func(t *testing.T) { testKindRemovedUnseen(t, c) })
	t.Run("the API server is away", func(t *testing.T) { testOutage(t, c) })
}

func testKindsAreInstalledAndRemoved(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	config := c.Config()
	a := newAPI(t, config)
	s, log := run(t, mesh.Options{Config: config})
	awaitReady(t, s)
	awaitMesh(t, s, "")
	if got := s.Mesh().NamespaceCount(); got < 3 {
		t.Errorf("%d namespaces, want those that every cluster has", got)
	}
	kinds := []string{"istios.sailoperator.io", "istiorevisions.sailoperator.io", "istiorevisiontags.sailoperator.io"}
	for range 2 { // what was removed may come back
		installCRDs(t, config)
		awaitPhase(t, s, mesh.Following, kinds...)
		a.create(revision("canary", "v1.30.3"))
		awaitMesh(t, s, "canary@v1.30.3")
		a.create(tag("prod", "canary"))
		awaitMesh(t, s, "canary@v1.30.3 prod->canary")
		removeCRDs(t, a)
		awaitMesh(t, s, "")
		awaitPhase(t, s, mesh.NotInstalled, kinds...)
	}
	// At first, and after each of two removals: each once, for each of three kinds.
	for _, kind := range kinds {
		awaitLines(t, log, fmt.Sprintf(`"Kind is not installed and counts as empty" "kind"=%q`, kind), 3)
		awaitLines(t, log, fmt.Sprintf(`"Kind was installed" "kind"=%q`, kind), 2)
	}
	if failing := log.with("cannot be followed"); len(failing) > 0 {
		t.Errorf("a removed kind was taken for a failure: %q", failing)
	}
}

// testKindRemovedUnseen: a kind whose CustomResourceDefinition went away while nobody watched is dropped, although
// no event told of it.
func testKindRemovedUnseen(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	direct := c.Config()
	a := newAPI(t, direct)
	installCRDs(t, direct)
	a.create(revision("canary", "v1.30.3"))
	var wire faulty
	s, _ := run(t, mesh.Options{Config: wire.config(direct)})
	awaitReady(t, s)
	awaitMesh(t, s, "canary@v1.30.3")
	wire.begin(of("/istiorevisions", 503))
	awaitPhase(t, s, mesh.Failing, "istiorevisions.sailoperator.io")
	removeCRDs(t, a)
	if got := describe(s.Mesh()); got != "canary@v1.30.3" {
		t.Errorf("in the dark the mesh is %q", got)
	}
	wire.begin(nil)
	awaitMesh(t, s, "")
	awaitPhase(t, s, mesh.NotInstalled, "istiorevisions.sailoperator.io")
}

// testOutage stops the API server for a while, and starts it again.
func testOutage(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	installCRDs(t, c.Config())
	a := newAPI(t, c.Config())
	a.create(revision("canary", "v1.30.3"))
	a.create(tag("prod", "canary"))
	a.create(namespace("shop", `{"istio.io/rev":"prod"}`))
	s, log := run(t, mesh.Options{Config: c.Config()})
	awaitReady(t, s)
	awaitMesh(t, s, "canary@v1.30.3 prod->canary")
	before := s.Stats()

	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	kinds := len(before.Kinds)
	awaitLines(t, log, "cannot be followed", kinds)
	stats := s.Stats()
	if stats.StaleSince.IsZero() || stats.Generation != before.Generation || stats.Namespaces != before.Namespaces {
		t.Errorf("in the outage the figures are %+v, want a time in StaleSince and all else as before: %+v", stats, before)
	}
	if got := describe(s.Mesh()); got != "canary@v1.30.3 prod->canary" {
		t.Errorf("in the outage the mesh is %q", got)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("in the outage it is not ready: %v", err)
	}
	if _, err := s.Namespace(t.Context(), "shop"); err == nil || apierrors.IsNotFound(err) {
		t.Errorf("in the outage a live read ends with %v, want an error that does not say that the namespace is gone", err)
	}

	if err := c.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	a.create(revision("next", "v1.31.0"))
	a.create(namespace("fresh", `{"istio-injection":"enabled"}`))
	awaitMesh(t, s, "canary@v1.30.3 next@v1.31.0 prod->canary")
	eventually(t, func() string {
		ns, _ := s.Mesh().Namespace("fresh")
		if stats := s.Stats(); ns.Injection.Value != "enabled" || !stats.StaleSince.IsZero() {
			return fmt.Sprintf("after the outage the namespace is %+v and the figures are %+v", ns, stats)
		}
		return ""
	})
	awaitLines(t, log, "is followed again", kinds)
	awaitLines(t, log, "cannot be followed", kinds)
	if gone := log.with("not installed"); len(gone) > 0 {
		t.Errorf("a kind was taken for removed: %q", gone)
	}
}

// awaitLines waits until the log has so many lines with the text. More of them never become fewer.
func awaitLines(t *testing.T, log *lines, text string, want int) {
	t.Helper()
	eventually(t, func() string {
		if got := log.with(text); len(got) != want {
			return fmt.Sprintf("%d lines of log have %s, want %d: %q", len(got), text, want, got)
		}
		return ""
	})
}
