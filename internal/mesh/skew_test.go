package mesh_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

// runSkew starts a source and stops it with the test.
func runSkew(t *testing.T, o mesh.SkewOptions) (*mesh.Skew, *lines) {
	t.Helper()
	log := &lines{}
	o.Log = funcr.New(log.write, funcr.Options{})
	if o.LiveTimeout == 0 {
		o.LiveTimeout = patience
	}
	s, err := mesh.NewSkew(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(log.with(""), "\n"))
		}
	})
	return s, log
}

func awaitSkew(t *testing.T, s *mesh.Skew) {
	t.Helper()
	eventually(t, func() string {
		if err := s.Ready(); err != nil {
			return err.Error()
		}
		return ""
	})
}

func installAllCRDs(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	if err := cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()); err != nil {
		t.Fatal(err)
	}
}

func istio(version, active string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"Istio","metadata":{"name":"default"},
		"spec":{"version":%q,"namespace":"kube-system","updateStrategy":{"type":"InPlace"}},
		"status":{"activeRevisionName":%q,"observedGeneration":1}}`, version, active)
}

// ownRevision is what the Sail Operator makes of istio.
func ownRevision(version string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevision","metadata":{"name":"default"},
		"spec":{"version":%q,"namespace":"kube-system","values":{"profile":"ambient"}},
		"status":{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"}]}}`, version)
}

func cni(version string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioCNI","metadata":{"name":"default"},
		"spec":{"version":%q,"namespace":"kube-system"}}`, version)
}

func ztunnel(version string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"ZTunnel","metadata":{"name":"default"},
		"spec":{"version":%q,"namespace":"kube-system","targetRef":{"kind":"Istio","name":"default"}}}`, version)
}

// controller is a Deployment or DaemonSet as Istio's charts make it, with the status of a finished rollout.
func controller(kind, name, labels, status string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":%q,"metadata":{"name":%q,"namespace":"kube-system","labels":%s},
		"spec":{"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},
		"spec":{"containers":[{"name":"c","image":"i"}]}}},"status":%s}`, kind, name, labels, status)
}

func runningIstiod(version string) string {
	return controller("Deployment", "istiod", `{"app":"istiod","istio.io/rev":"default","app.kubernetes.io/version":"`+version+`"}`,
		`{"observedGeneration":1,"replicas":2,"updatedReplicas":1,"readyReplicas":2}`)
}

const daemonSetStatus = `{"observedGeneration":1,"currentNumberScheduled":3,"updatedNumberScheduled":3,"numberReady":1,
	"desiredNumberScheduled":3,"numberMisscheduled":0}`

func gateway(name, class string) string {
	return fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway","metadata":{"namespace":"default","name":%q},
		"spec":{"gatewayClassName":%q,"listeners":[{"name":"mesh","port":15008,"protocol":"HBONE"}]}}`, name, class)
}

// proxied is a pod with a proxy, of a StatefulSet.
func proxied(name, image string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"default","name":%q,
		"annotations":{"istio.io/rev":"default"},"labels":{"istio.io/use-waypoint":"w"},
		"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"db","uid":"u","controller":true}]},
		"spec":{"containers":[{"name":"istio-proxy","image":%q}]}}`, name, image)
}

func labelled(apiVersion, kind, spec string) string {
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"namespace":"default","name":"backend",
		"labels":{"istio.io/use-waypoint":"w"}},"spec":%s}`, apiVersion, kind, spec)
}

func route(name, parents string) string {
	return fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"namespace":"default","name":%q},
		"spec":{"parentRefs":%s}}`, name, parents)
}

func policy(name, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"namespace":"default","name":%q},
		"spec":%s}`, name, spec)
}

// attached is what a policy or route for a Service becomes.
func attached(kind skew.Kind, name, service string) skew.Attachment {
	return skew.Attachment{
		Kind: kind, Namespace: "default", Name: name,
		Targets: []skew.Ref{{Kind: skew.KindService, Namespace: "default", Name: service}},
	}
}

// populate writes one of everything.
func populate(a *api) {
	for _, text := range []string{
		istio("v1.29.6", "default"), ownRevision("v1.29.6"), tag("prod", "default"), cni("v1.29.6"), ztunnel("v1.29.2"),
		runningIstiod("1.29.6"),
		controller("DaemonSet", "istio-cni-node", `{"k8s-app":"istio-cni-node","app.kubernetes.io/version":"1.29.6"}`, daemonSetStatus),
		controller("DaemonSet", "ztunnel", `{"app.kubernetes.io/name":"ztunnel","app.kubernetes.io/version":"1.29.2"}`, daemonSetStatus),
		controller("DaemonSet", "other", `{"app.kubernetes.io/name":"other"}`, daemonSetStatus),
		gateway("w", "own"),
		`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"GatewayClass","metadata":{"name":"own",
			"labels":{"istio.io/waypoint-for":"all"}},"spec":{"controllerName":"istio.io/mesh-controller"}}`,
		route("reviews", `[{"group":"","kind":"Service","name":"reviews"}]`), route("ingress", `[{"name":"ingress"}]`),
		policy("productpage", `{"targetRefs":[{"group":"","kind":"Service","name":"productpage"}],"rules":[{"to":[{"operation":{"methods":["GET"]}}]}]}`),
		policy("selects-pods", `{"selector":{"matchLabels":{"app":"a"}}}`),
		labelled("v1", "Service", `{"ports":[{"port":80}]}`),
		labelled("networking.istio.io/v1", "ServiceEntry", `{}`), labelled("networking.istio.io/v1", "WorkloadEntry", `{}`),
		proxied("db-0", "proxyv2:1.29.6"), proxied("db-1", "proxyv2:1.29.6"), proxied("db-2", "proxyv2@sha256:0123"),
	} {
		a.create(text)
	}
}

// populated is what populate wrote.
func populated() *skew.Mesh {
	daemonSet := func(version string) skew.Rollout {
		return skew.Rollout{Found: true, Version: version, Observed: true, Pods: 3, Updated: 3, Ready: 1}
	}
	consumer := func(kind skew.Kind, name string) skew.Consumer {
		return skew.Consumer{Kind: kind, Namespace: "default", Name: name, UseWaypoint: routing.Label{Value: "w", Present: true}}
	}
	workload := func(version string, pods int) skew.Workload {
		return skew.Workload{
			Namespace: "default", Kind: "StatefulSet", Name: "db", Role: skew.Sidecar, Revision: "default", Version: version, Pods: pods,
		}
	}
	return &skew.Mesh{
		Istios: []skew.Istio{{
			Name: "default", Namespace: "kube-system", Version: "v1.29.6", Strategy: skew.InPlace, Active: "default", Observed: true,
		}},
		Revisions: []skew.Revision{{
			Revision: routing.Revision{Name: "default", Version: "v1.29.6", Namespace: "kube-system", Origin: routing.Sail},
			Ambient:  true, Ready: skew.Ready,
			Istiod: skew.Rollout{Found: true, Version: "v1.29.6", Observed: true, Pods: 2, Updated: 1, Ready: 2},
		}},
		Tags: []routing.Tag{{
			Name: "prod", Revision: "default", TargetKind: "IstioRevision", TargetName: "default", Origin: routing.Sail,
		}},
		CNI: &skew.CNI{Name: "default", Namespace: "kube-system", Version: "v1.29.6", DaemonSet: daemonSet("v1.29.6")},
		ZTunnel: &skew.ZTunnel{
			Name: "default", Namespace: "kube-system", Version: "v1.29.2", TargetKind: "Istio", TargetName: "default",
			DaemonSet: daemonSet("v1.29.2"),
		},
		Gateways: []skew.Gateway{{
			Namespace: "default", Name: "w", Class: "own", Listeners: []skew.Listener{{Protocol: "HBONE", Port: 15008, From: "Same"}},
		}},
		GatewayClasses: []skew.GatewayClass{{Name: "own", Controller: "istio.io/mesh-controller", WaypointFor: "all"}},
		Consumers: []skew.Consumer{
			consumer(skew.KindPod, "db-0"), consumer(skew.KindPod, "db-1"), consumer(skew.KindPod, "db-2"),
			consumer(skew.KindService, "backend"), consumer(skew.KindServiceEntry, "backend"), consumer(skew.KindWorkloadEntry, "backend"),
		},
		Workloads:   []skew.Workload{workload("", 1), workload("v1.29.6", 2)},
		Attachments: []skew.Attachment{attached(skew.KindHTTPRoute, "reviews", "reviews"), attached(skew.KindAuthorizationPolicy, "productpage", "productpage")},
	}
}

// differs compares meshes, apart from the namespaces of the cluster and from what the API server makes up.
func differs(want, got *skew.Mesh) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(skew.Mesh{}, "Namespaces"),
		cmpopts.IgnoreFields(routing.Revision{}, "Created", "UID"), cmpopts.IgnoreFields(routing.Tag{}, "Created", "UID"),
		cmpopts.SortSlices(func(a, b skew.Consumer) bool { return string(a.Kind)+a.Name < string(b.Kind)+b.Name }),
		cmpopts.SortSlices(func(a, b skew.Workload) bool { return a.Name+a.Version < b.Name+b.Version }))
}

func awaitSkewMesh(t *testing.T, s *mesh.Skew, want *skew.Mesh) {
	t.Helper()
	eventually(t, func() string {
		if m := s.SkewMesh(); m == nil || differs(want, m) != "" {
			return "(-want +got)\n" + differs(want, m)
		}
		return ""
	})
}

func TestSkewOfARealCluster(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	a := newAPI(t, c.Config())
	s, _ := runSkew(t, mesh.SkewOptions{Config: c.Config()})
	awaitSkew(t, s)
	populate(a)
	want := populated()
	awaitSkewMesh(t, s, want)
	if stats := s.Stats(); stats.Workloads != 2 || stats.Pods != 3 || stats.Generation == 0 || !stats.StaleSince.IsZero() {
		t.Errorf("the figures are %+v", stats)
	}

	// A second source finds all of it at once, by a list.
	second, _ := runSkew(t, mesh.SkewOptions{Config: c.Config()})
	awaitSkew(t, second)
	awaitSkewMesh(t, second, want)

	// Pods come, change and go.
	gone := a.create(proxied("db-3", "proxyv2:1.30.3"))
	want.Consumers = append(want.Consumers, skew.Consumer{
		Kind: skew.KindPod, Namespace: "default", Name: "db-3", UseWaypoint: routing.Label{Value: "w", Present: true},
	})
	newer := want.Workloads[1]
	newer.Version, newer.Pods = "v1.30.3", 1
	want.Workloads = append(want.Workloads, newer)
	awaitSkewMesh(t, s, want)
	gone.Object["status"] = map[string]any{"phase": "Succeeded"}
	a.status(gone)
	want.Consumers, want.Workloads = want.Consumers[:6], want.Workloads[:2]
	awaitSkewMesh(t, s, want)
	awaitSkewMesh(t, second, want)
}
