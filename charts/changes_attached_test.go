package charts_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

// attachedCase is one write of an object whose labels or targets say which waypoint matters to it. Before is empty for a
// creation.
type attachedCase struct {
	version, resource, kind, namespace string
	before, after                      string
	labelsBefore, labelsAfter          map[string]string
	want                               string
}

// policyCases are the writes of what a waypoint has to carry out.
func policyCases() map[string]attachedCase {
	policy := attachedCase{version: "security.istio.io/v1", resource: "authorizationpolicies", kind: "AuthorizationPolicy", namespace: "default"}
	route := attachedCase{version: "gateway.networking.k8s.io/v1", resource: "httproutes", kind: "HTTPRoute", namespace: "default"}
	of := func(c attachedCase, before, after, want string) attachedCase {
		c.before, c.after, c.want = before, after, want
		return c
	}
	in := func(c attachedCase, namespace string) attachedCase {
		c.namespace = namespace
		return c
	}
	as := func(c attachedCase, version string) attachedCase {
		c.version = version
		return c
	}
	const (
		targeted = `{targetRefs: [{kind: Service, group: "", name: details}]}`
		service  = `{parentRefs: [{kind: Service, group: "", name: reviews}]}`
		ingress  = `{parentRefs: [{name: ingress}]}`
	)
	return map[string]attachedCase{
		"a policy with targets":                of(policy, "", targeted, policyChanges),
		"an older policy with targets":         of(as(policy, "security.istio.io/v1beta1"), "", "{targetRefs: [{kind: Gateway, name: w}]}", policyChanges),
		"a policy with the one target of 1.21": of(policy, "", "{targetRef: {kind: Service, name: details}}", policyChanges),
		"a policy with a selector":             of(policy, "", "{selector: {matchLabels: {app: details}}}", ""),
		"a policy for everything":              of(policy, "", "{}", ""),
		"a policy beside istiod":               of(in(policy, "istio-system"), "", "{targetRefs: [{kind: GatewayClass, name: istio-waypoint}]}", policyChanges),
		"a policy in kube-system":              of(in(policy, "kube-system"), "", targeted, ""),
		"a policy in the router's own":         of(in(policy, home), "", targeted, ""),
		"a policy that allows more":            of(policy, targeted, `{targetRefs: [{kind: Service, group: "", name: details}], rules: [{}]}`, ""),
		"a policy with another target":         of(policy, targeted, `{targetRefs: [{kind: Service, group: "", name: reviews}]}`, policyChanges),
		"a policy that gets targets":           of(policy, "{}", targeted, policyChanges),
		"a policy that loses its targets":      of(policy, targeted, "{}", ""),
		"a route of a Service":                 of(route, "", service, policyChanges),
		"an older route of a Service too":      of(as(route, "gateway.networking.k8s.io/v1beta1"), "", `{parentRefs: [{name: g}, {kind: Service, group: "", name: reviews}]}`, policyChanges),
		"a route of a ServiceEntry":            of(route, "", "{parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: db}]}", policyChanges),
		"a route of a Gateway":                 of(route, "", ingress, ""),
		"a route of nothing":                   of(route, "", "{}", ""),
		"a route with other weights":           of(route, service, `{parentRefs: [{kind: Service, group: "", name: reviews}], rules: [{backendRefs: [{name: reviews-v2, weight: 10}]}]}`, ""),
		"a route that moves to a Service":      of(route, ingress, service, policyChanges),
		"a route that moves to a Gateway":      of(route, service, ingress, ""),
	}
}

// userCases are the writes of those that may name a waypoint themselves.
func userCases() map[string]attachedCase {
	cases := map[string]attachedCase{}
	for kind, c := range map[string]attachedCase{
		"a Service":                {version: "v1", resource: "services", kind: "Service", after: "{ports: [{port: 80}]}"},
		"a ServiceEntry":           {version: "networking.istio.io/v1", resource: "serviceentries", kind: "ServiceEntry", after: "{}"},
		"a WorkloadEntry":          {version: "networking.istio.io/v1", resource: "workloadentries", kind: "WorkloadEntry", after: "{}"},
		"a Service in kube-system": {version: "v1", resource: "services", kind: "Service", namespace: "kube-system", after: "{ports: [{port: 80}]}"},
	} {
		want := userChanges
		if c.namespace != "" {
			want = ""
		} else {
			c.namespace = "default"
		}
		add := func(name string, before, after map[string]string, want string) {
			c := c
			if before != nil {
				c.before = c.after
			}
			c.labelsBefore, c.labelsAfter, c.want = before, after, want
			cases[kind+" "+name] = c
		}
		add("without labels", nil, nil, "")
		add("with another label", nil, map[string]string{"team": "a"}, "")
		for _, key := range []string{skew.LabelUseWaypoint, skew.LabelUseWaypointNamespace} {
			add("that is created with "+key, nil, map[string]string{key: "w"}, want)
			add("that gets "+key, map[string]string{"team": "a"}, map[string]string{"team": "a", key: "w"}, want)
			add("that changes "+key, map[string]string{key: "w"}, map[string]string{key: "v"}, want)
			add("that loses "+key, map[string]string{key: "w"}, map[string]string{}, want)
			add("that keeps "+key, map[string]string{key: "w"}, map[string]string{key: "w", "team": "a"}, "")
		}
	}
	return cases
}

// What a canary writes all day, the weights of its routes, must not cost a look at the mesh; and a Service that has nothing to
// do with waypoints must not depend on the router.
func TestServerSendsWhatIsAttachedAndWhoUsesAWaypoint(t *testing.T) {
	tr := newTrial(t)
	if err := cluster.InstallCRDs(t.Context(), cluster.Shared(t).Config(), inventory.CRDs()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{home, "istio-system"} {
		tr.server.createNamespace(t, name)
	}
	cases, names := map[string]attachedCase{}, map[string]string{}
	for _, group := range []map[string]attachedCase{policyCases(), userCases()} {
		for name, tc := range group {
			cases[name], names[name] = tc, fmt.Sprintf("attached-%d", len(cases))
			if tc.before == "" {
				continue
			}
			stored := meshCase{version: tc.version, resource: tc.resource, kind: tc.kind, namespace: tc.namespace, spec: tc.before}
			tr.createNamed(stored, names[name], tc.labelsBefore)
		}
	}
	tr.begin()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			own := trial{t: t, server: tr.server}
			c := meshCase{version: tc.version, resource: tc.resource, kind: tc.kind, namespace: tc.namespace, spec: tc.after}
			resource, object := own.resource(c), c.object(t)
			object.SetName(names[name])
			object.SetLabels(tc.labelsAfter)
			if tc.before == "" {
				_, err := resource.Create(t.Context(), object, metav1.CreateOptions{DryRun: dryRun()})
				own.expect(tc.want, err)
				return
			}
			current, err := resource.Get(t.Context(), names[name], metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			object.SetResourceVersion(current.GetResourceVersion())
			_, err = resource.Update(t.Context(), object, metav1.UpdateOptions{DryRun: dryRun()})
			own.expect(tc.want, err)
			own.expect("", resource.Delete(t.Context(), names[name], metav1.DeleteOptions{DryRun: dryRun()}))
		})
	}
}
