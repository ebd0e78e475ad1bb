package mesh

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Of the objects of a kind that are few, everything that the rules read reaches the snapshot.
func TestSkewSnapshot(t *testing.T) {
	s := offlineSkew(t)
	if m := s.SkewMesh(); m != nil || s.Ready() == nil {
		t.Errorf("before the first snapshot the mesh is %+v and Ready says %v", m, s.Ready())
	}
	deliver := func(resource string, object any) {
		if err := s.source.storeOf(t, resource).Update(object); err != nil {
			t.Fatal(err)
		}
	}
	deliver("istiorevisions", aRevision("one", "v1.29.6"))
	deliver("istiorevisiontags", aTag("prod", "one"))
	deliver("mutatingwebhookconfigurations", anInjector("plain", ""))
	deliver("namespaces", aNamespace("shop", map[string]string{"team": "a"}))
	service := aNamespace("cart", map[string]string{"istio.io/use-waypoint": "w"})
	service.Namespace = "shop"
	deliver("services", service)
	deliver("serviceentries", service)
	deliver("workloadentries", service)
	gateway := &inventory.Gateway{}
	gateway.Namespace, gateway.Name = "shop", "w"
	gateway.Spec.GatewayClassName = "istio-waypoint"
	deliver("gateways", gateway)
	class := &inventory.GatewayClass{}
	class.Name = "own"
	class.Spec.ControllerName = "istio.io/mesh-controller"
	deliver("gatewayclasses", class)
	deliver("pods", aPod(7))
	cart := []inventory.Reference{{Group: new(""), Kind: new("Service"), Name: "cart"}}
	route, policy, selecting := &inventory.HTTPRoute{}, &inventory.AuthorizationPolicy{}, &inventory.AuthorizationPolicy{}
	route.Namespace, route.Name, route.Spec.ParentRefs = "shop", "r", cart
	policy.Namespace, policy.Name, policy.Spec.TargetRefs = "shop", "p", cart
	selecting.Namespace, selecting.Name = "shop", "selects-pods"
	deliver("httproutes", route)
	deliver("authorizationpolicies", policy)
	deliver("authorizationpolicies", selecting)
	if !s.source.publish() {
		t.Fatal("no snapshot was due")
	}
	m := s.SkewMesh()
	label := routing.Label{Value: "w", Present: true}
	slices.SortFunc(m.Revisions, func(a, b skew.Revision) int { return cmp.Compare(a.Name, b.Name) })
	want := &skew.Mesh{
		Istios: []skew.Istio{},
		Revisions: []skew.Revision{
			{Revision: aRevision("one", "v1.29.6").Revision()},
			{Revision: routing.Revision{Name: "plain", Namespace: "istio-system", Origin: routing.Webhook, Created: created().Time, UID: "w-plain-"}},
		},
		Tags:           []routing.Tag{aTag("prod", "one").Tag()},
		Namespaces:     []skew.Namespace{{Name: "shop", Labels: map[string]string{"team": "a"}}},
		Gateways:       []skew.Gateway{{Namespace: "shop", Name: "w", Class: "istio-waypoint"}},
		GatewayClasses: []skew.GatewayClass{{Name: "own", Controller: "istio.io/mesh-controller"}},
		Consumers: []skew.Consumer{
			{Kind: skew.KindService, Namespace: "shop", Name: "cart", UseWaypoint: label},
			{Kind: skew.KindServiceEntry, Namespace: "shop", Name: "cart", UseWaypoint: label},
			{Kind: skew.KindWorkloadEntry, Namespace: "shop", Name: "cart", UseWaypoint: label},
		},
		Workloads: []skew.Workload{{
			Namespace: "namespace-of-team-000", Kind: "Deployment", Name: "service-of-team-0007", Role: skew.Sidecar,
			Revision: "default-v1-30-3", Version: "v1.30.1", Pods: 1,
		}},
		Attachments: []skew.Attachment{
			{Kind: skew.KindHTTPRoute, Namespace: "shop", Name: "r", Targets: []skew.Ref{{Kind: skew.KindService, Namespace: "shop", Name: "cart"}}},
			{Kind: skew.KindAuthorizationPolicy, Namespace: "shop", Name: "p", Targets: []skew.Ref{{Kind: skew.KindService, Namespace: "shop", Name: "cart"}}},
		},
	}
	if diff := gocmp.Diff(want, m); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	stats := s.Stats()
	if stats.Revisions != 2 || stats.Tags != 1 || stats.Namespaces != 1 || stats.Workloads != 1 || stats.Pods != 1 {
		t.Errorf("the figures are %+v", stats)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready says %v", err)
	}
}

// Where pods cannot be followed any more, what their last versions were must not keep a rollout from ending.
func TestVersionsOfPodsCountOnlyWhilePodsAreFollowed(t *testing.T) {
	s := offlineSkew(t)
	istiod := &inventory.Pod{}
	istiod.Namespace, istiod.Name = "istio-system", "istiod-1"
	istiod.Labels = map[string]string{"app": "istiod", "istio.io/rev": "one", "app.kubernetes.io/version": "1.29.6"}
	istiod.Status.Conditions = []inventory.PodCondition{{Type: "Ready", Status: "True"}}
	if err := s.source.storeOf(t, "pods").Update(istiod); err != nil {
		t.Fatal(err)
	}
	if got := s.known.running(); len(got) != 1 || got[0].Version != "v1.29.6" {
		t.Errorf("istiod runs %+v", got)
	}
	s.source.failed(t.Context(), s.known.podKind, verbWatch, errors.New("no watch"))
	if got := s.known.running(); got != nil {
		t.Errorf("although pods are not followed istiod runs %+v", got)
	}
}
