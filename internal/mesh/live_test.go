package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

// withWatchesHeld starts a source of a populated cluster whose watches, once it is ready, tell nothing any more.
func withWatchesHeld(t *testing.T) (*mesh.Skew, *api) {
	t.Helper()
	hold, release := make(chan struct{}), make(chan struct{})
	s, a := populatedSkew(t, func(string) {
		select {
		case <-hold:
			<-release
		default:
		}
	})
	t.Cleanup(func() { close(release) })
	awaitSkewMesh(t, s, populated())
	close(hold)
	return s, a
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

func sailObject(kind string) *unstructured.Unstructured {
	return object("sailoperator.io/v1", kind, "", "default")
}

func denied(findings []skew.Finding) bool {
	for _, f := range findings {
		if f.Level == skew.Deny {
			return true
		}
	}
	return false
}

// populatedSkew starts a source of a populated cluster, with what its requests go through or nil, and waits for its first snapshot.
func populatedSkew(t *testing.T, intercept func(string)) (*mesh.Skew, *api) {
	t.Helper()
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	a := newAPI(t, c.Config())
	populate(a)
	s, _ := runSkew(t, mesh.SkewOptions{Config: c.Config(), Intercept: intercept})
	awaitSkew(t, s)
	return s, a
}

func live(t *testing.T, s *mesh.Skew) *skew.Mesh {
	t.Helper()
	m, err := s.LiveSkewMesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A write is judged by the ones before it, also where no watch has told of them yet.
func TestLiveSkewMeshIsAheadOfTheWatches(t *testing.T) {
	s, a := withWatchesHeld(t)
	policy := skew.Policy{ControlPlaneVersion: skew.Declared}
	raised := skew.Change{Operation: skew.Update, New: skew.CNI{Name: "default", Namespace: "kube-system", Version: "v1.30.3"}}
	if !denied(skew.Check(live(t, s), raised, policy)) {
		t.Fatal("an IstioCNI ahead of the Istio was admitted")
	}
	a.patch(sailObject("Istio"), `{"spec":{"version":"v1.30.3"}}`)
	if findings := skew.Check(live(t, s), raised, policy); denied(findings) {
		t.Errorf("the Istio was raised just before, and yet: %+v", findings)
	}
	if !denied(skew.Check(s.SkewMesh(), raised, policy)) {
		t.Error("the snapshot already knows of the Istio, so that this test tells nothing")
	}
	// Everything else that is few of its kind.
	a.patch(sailObject("IstioRevision"), `{"spec":{"version":"v1.30.3"}}`)
	a.patch(sailObject("IstioCNI"), `{"spec":{"version":"v1.30.3"}}`)
	a.patch(sailObject("ZTunnel"), `{"spec":{"version":"v1.30.2"}}`)
	a.patch(object("sailoperator.io/v1", "IstioRevisionTag", "", "prod"), `{"spec":{"targetRef":{"kind":"Istio"}}}`)
	a.patch(object("apps/v1", "Deployment", "kube-system", "istiod"), `{"metadata":{"labels":{"app.kubernetes.io/version":"1.30.3"}}}`)
	a.patch(object("apps/v1", "DaemonSet", "kube-system", "istio-cni-node"), `{"metadata":{"labels":{"app.kubernetes.io/version":"1.30.3"}}}`)
	a.patch(object("apps/v1", "DaemonSet", "kube-system", "ztunnel"), `{"metadata":{"labels":{"app.kubernetes.io/version":"1.30.2"}}}`)
	want := populated()
	want.Istios[0].Version, want.Istios[0].Observed = "v1.30.3", false
	want.Revisions[0].Version, want.Revisions[0].Ready, want.Revisions[0].Istiod.Version = "v1.30.3", skew.NotReady, "v1.30.3"
	want.CNI.Version, want.CNI.DaemonSet.Version = "v1.30.3", "v1.30.3"
	want.ZTunnel.Version, want.ZTunnel.DaemonSet.Version = "v1.30.2", "v1.30.2"
	want.Tags[0].TargetKind = "Istio"
	if diff := differs(want, live(t, s)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	a.delete(sailObject("IstioCNI"))
	a.delete(sailObject("ZTunnel"))
	want.CNI, want.ZTunnel = nil, nil
	if diff := differs(want, live(t, s)); diff != "" {
		t.Errorf("after the deletions (-want +got)\n%s", diff)
	}
	if diff := differs(populated(), s.SkewMesh()); diff != "" {
		t.Errorf("the live reads changed the snapshot (-want +got)\n%s", diff)
	}
}

// Two writers at the same moment are both seen, time after time.
func TestLiveSkewMeshSeesWritesOfTheSameMoment(t *testing.T) {
	s, a := populatedSkew(t, nil)
	for round := range 30 {
		version := fmt.Sprintf("v1.30.%d", round)
		write := func(kind string) error {
			o := sailObject(kind)
			_, err := a.of(o).Patch(t.Context(), "default", "application/merge-patch+json",
				fmt.Appendf(nil, `{"spec":{"version":%q}}`, version), metav1.PatchOptions{})
			return err
		}
		var both sync.WaitGroup
		failures := make([]error, 2)
		both.Go(func() { failures[0] = write("Istio") })
		both.Go(func() { failures[1] = write("ZTunnel") })
		both.Wait()
		if err := errors.Join(failures...); err != nil {
			t.Fatal(err)
		}
		m := live(t, s)
		if m.Istios[0].Version != version || m.ZTunnel.Version != version {
			t.Fatalf("after both were set to %s the Istio is %s and the ZTunnel %s", version, m.Istios[0].Version, m.ZTunnel.Version)
		}
	}
}

func TestLiveReadsOfOneObject(t *testing.T) {
	s, a := withWatchesHeld(t)
	a.create(gateway("fresh", "istio-waypoint"))
	a.create(namespace("live-labels", `{"team":"a","istio.io/use-waypoint":"w"}`))
	if g, err := s.LiveGateway(t.Context(), "default", "fresh"); err != nil || g.Class != "istio-waypoint" || len(g.Listeners) != 1 {
		t.Errorf("the Gateway is %+v, %v", g, err)
	}
	if all, err := s.LiveGateways(t.Context(), "default"); err != nil || len(all) != 2 {
		t.Errorf("the Gateways are %+v, %v; want two", all, err)
	}
	if none, err := s.LiveGateways(t.Context(), "kube-system"); err != nil || len(none) != 0 {
		t.Errorf("the Gateways of another namespace are %+v, %v; want none", none, err)
	}
	ns, err := s.LiveNamespace(t.Context(), "live-labels")
	if err != nil || ns.Labels["team"] != "a" || ns.Labels["istio.io/use-waypoint"] != "w" || ns.Deleting {
		t.Errorf("the Namespace is %+v, %v", ns, err)
	}
	if _, err := s.LiveGateway(t.Context(), "default", "missing"); !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "read Gateway default/missing") {
		t.Errorf("a Gateway that does not exist: %v", err)
	}
	if _, err := s.LiveNamespace(t.Context(), "missing"); !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "read Namespace missing") {
		t.Errorf("a Namespace that does not exist: %v", err)
	}
}

func TestLiveReadsThatFailSaySo(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	var wire faulty
	s, _ := runSkew(t, mesh.SkewOptions{Config: wire.config(c.Config())})
	if m, err := s.LiveSkewMesh(t.Context()); err == nil && s.SkewMesh() == nil {
		t.Errorf("before the first snapshot the mesh is %+v", m)
	}
	awaitSkew(t, s)
	cases := map[string]struct {
		fault func(string) int
		want  []string
	}{
		"one kind fails":                        {of("/ztunnels", 500), []string{"list ztunnels.sailoperator.io"}},
		"two kinds fail":                        {of("/istio", 503), []string{"list istios.sailoperator.io", "list istiorevisions.sailoperator.io", "list istiocnis"}},
		"a kind that was there is not found":    {of("/istiocnis", 404), []string{"list istiocnis.sailoperator.io"}},
		"DaemonSets, which every cluster knows": {of("/daemonsets", 404), []string{"list daemonsets.apps of IstioCNI", "list daemonsets.apps of ZTunnel"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wire.set(tc.fault) // the watches stay open, and tell nothing
			defer wire.set(nil)
			m, err := s.LiveSkewMesh(t.Context())
			if err == nil {
				t.Fatalf("no error, but %+v", m)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %q, want %q in it", err, want)
				}
			}
			if got := strings.Count(err.Error(), "list "); got != len(tc.want) && name != "two kinds fail" {
				t.Errorf("the error names %d lists, want %d: %v", got, len(tc.want), err)
			}
		})
	}
	if _, err := s.LiveSkewMesh(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// set changes the faults of new requests, and leaves the watches alone.
func (f *faulty) set(fault func(path string) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// A router that has just started judges its first change all the same, a moment later.
func TestTheFirstSnapshotIsWaitedFor(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	populate(newAPI(t, c.Config()))
	s, _ := runSkew(t, mesh.SkewOptions{Config: c.Config()})
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.LiveSkewMesh(late); s.Ready() != nil && (err == nil || !strings.Contains(err.Error(), "no snapshot yet")) {
		t.Errorf("with no time left before the first snapshot: %v", err)
	}
	if diff := differs(populated(), live(t, s)); diff != "" {
		t.Errorf("the first answer (-want +got)\n%s", diff)
	}
}

// What only the snapshot tells is in it after a wait, time after time.
func TestASettledSnapshotTellsOfWhatHappenedBefore(t *testing.T) {
	s, a := populatedSkew(t, nil)
	made := a.create(namespace("settled", `{"istio.io/rev":"before"}`))
	for round := range 5 {
		want := fmt.Sprintf("round-%d", round)
		a.patch(made, fmt.Sprintf(`{"metadata":{"labels":{"istio.io/rev":%q}}}`, want))
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		namespaces := s.SkewMesh().Namespaces
		at := slices.IndexFunc(namespaces, func(n skew.Namespace) bool { return n.Name == "settled" })
		if at < 0 || namespaces[at].Labels["istio.io/rev"] != want {
			t.Errorf("round %d: the namespaces are %+v", round, namespaces)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Settle(done); err == nil {
		t.Error("a wait that was cut short is said to be a whole one")
	}
}
