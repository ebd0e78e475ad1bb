package charts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/webhook"
)

// changesConfiguration is the name of the configuration for changes of the mesh.
const changesConfiguration = "istio-revision-router"

// The entries about changes, by the first part of their names.
const (
	meshChanges      = "mesh"
	gatewayChanges   = "gateways"
	namespaceChanges = "namespaces"
	userChanges      = "users"
	policyChanges    = "policies"
)

func changeEntry(t testing.TB, hook admissionregistrationv1.ValidatingWebhook) string {
	t.Helper()
	entry, found := strings.CutSuffix(hook.Name, ".changes.revision-router.io")
	if !found {
		t.Errorf("name %s does not end in .changes.revision-router.io", hook.Name)
	}
	return entry
}

func TestChangesAreJudgedUnlessTheyAreSwitchedOff(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			configurations := all[*admissionregistrationv1.ValidatingWebhookConfiguration](render(t, args...))
			if slices.Contains([]string{"changes-disabled", "cert-manager-issuer", "forward-everywhere"}, name) {
				if len(configurations) != 0 {
					t.Errorf("%s is rendered", configurations[0].Name)
				}
				return
			}
			if len(configurations) != 1 || configurations[0].Name != changesConfiguration {
				t.Fatalf("configurations %v, want one named %s", configurations, changesConfiguration)
			}
		})
	}
}

func TestChangeWebhooks(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			service := serviceNamed(t, r, flagOf(t, r, "service"))
			for _, configuration := range all[*admissionregistrationv1.ValidatingWebhookConfiguration](r) {
				for _, hook := range configuration.Webhooks {
					want := &admissionregistrationv1.ServiceReference{
						Namespace: r.namespace, Name: service.Name, Port: &service.Spec.Ports[0].Port, Path: new(webhook.ChangePath),
					}
					if diff := cmp.Diff(want, hook.ClientConfig.Service); diff != "" {
						t.Errorf("%s: Service (-want +got):\n%s", hook.Name, diff)
					}
					if hook.ClientConfig.CABundle != nil && flagOf(t, r, "cert-provider") != "secret" {
						t.Errorf("%s: caBundle is rendered; the next upgrade would take away what the router wrote", hook.Name)
					}
					if *hook.MatchPolicy != admissionregistrationv1.Equivalent ||
						*hook.SideEffects != admissionregistrationv1.SideEffectClassNone ||
						!slices.Equal(hook.AdmissionReviewVersions, []string{"v1"}) {
						t.Errorf("%s: %s, side effects %s, reviews %v", hook.Name, *hook.MatchPolicy, *hook.SideEffects, hook.AdmissionReviewVersions)
					}
				}
			}
		})
	}
}

func TestChangeValues(t *testing.T) {
	cases := map[string]struct {
		args    []string
		failure admissionregistrationv1.FailurePolicyType
		timeout int32
	}{
		"a mesh can be repaired while the router is down": {failure: admissionregistrationv1.Ignore, timeout: 5},
		"each of them can be chosen": {
			args:    set("changes.failurePolicy=Fail", "changes.timeoutSeconds=10"),
			failure: admissionregistrationv1.Fail, timeout: 10,
		},
		"they are not those about pods": {
			args:    set("webhook.failurePolicy=Fail", "webhook.timeoutSeconds=1"),
			failure: admissionregistrationv1.Ignore, timeout: 5,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := render(t, tc.args...)
			for _, w := range one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, r).Webhooks {
				if *w.FailurePolicy != tc.failure || *w.TimeoutSeconds != tc.timeout {
					t.Errorf("%s: %s, %d seconds", w.Name, *w.FailurePolicy, *w.TimeoutSeconds)
				}
			}
		})
	}
}

func TestRulesOfChanges(t *testing.T) {
	const (
		network, security = "networking.istio.io", "security.istio.io"
		gateways          = "gateway.networking.k8s.io"
	)
	rule := func(scope admissionregistrationv1.ScopeType, group string, versions, resources []string, verbs ...admissionregistrationv1.OperationType) []admissionregistrationv1.RuleWithOperations {
		return []admissionregistrationv1.RuleWithOperations{{
			Operations: verbs,
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: versions, Resources: resources, Scope: &scope},
		}}
	}
	const (
		create, update, remove = admissionregistrationv1.Create, admissionregistrationv1.Update, admissionregistrationv1.Delete
	)
	want := map[string][]admissionregistrationv1.RuleWithOperations{
		meshChanges: rule(admissionregistrationv1.ClusterScope, "sailoperator.io", []string{"v1", "v1alpha1"},
			[]string{"istios", "istiorevisions", "istiorevisiontags", "istiocnis", "ztunnels"}, create, update, remove),
		gatewayChanges: rule(admissionregistrationv1.NamespacedScope, gateways, []string{"v1", "v1beta1"},
			[]string{"gateways"}, create, update, remove),
		namespaceChanges: rule(admissionregistrationv1.ClusterScope, "", []string{"v1"}, []string{"namespaces"}, create, update, remove),
		userChanges: slices.Concat(
			rule(admissionregistrationv1.NamespacedScope, "", []string{"v1"}, []string{"services"}, create, update),
			rule(admissionregistrationv1.NamespacedScope, network, []string{"v1", "v1beta1", "v1alpha3"},
				[]string{"serviceentries", "workloadentries"}, create, update)),
		policyChanges: slices.Concat(
			rule(admissionregistrationv1.NamespacedScope, security, []string{"v1", "v1beta1"}, []string{"authorizationpolicies"}, create, update),
			rule(admissionregistrationv1.NamespacedScope, gateways, []string{"v1", "v1beta1"}, []string{"httproutes"}, create, update)),
	}
	got := map[string][]admissionregistrationv1.RuleWithOperations{}
	for _, hook := range one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, render(t)).Webhooks {
		got[changeEntry(t, hook)] = hook.Rules
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules by entry (-want +got):\n%s", diff)
	}
}

// What the handler does not know, it admits: a kind that is sent for nothing, or one of its kinds that is never sent.
func TestKindsOfChangesAreThoseOfTheHandler(t *testing.T) {
	kindOf := map[string]string{
		"istios": "Istio", "istiorevisions": "IstioRevision", "istiorevisiontags": "IstioRevisionTag", "istiocnis": "IstioCNI",
		"ztunnels": "ZTunnel", "gateways": "Gateway", "namespaces": "Namespace",
		"services": "Service", "serviceentries": "ServiceEntry", "workloadentries": "WorkloadEntry",
		"authorizationpolicies": "AuthorizationPolicy", "httproutes": "HTTPRoute",
	}
	for _, hook := range one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, render(t)).Webhooks {
		for _, rule := range hook.Rules {
			for _, resource := range rule.Resources {
				kind := schema.GroupKind{Group: rule.APIGroups[0], Kind: kindOf[resource]}
				if !inventory.Knows(kind) {
					t.Errorf("%s sends %s, of which the handler knows nothing", hook.Name, kind)
				}
				delete(kindOf, resource)
			}
		}
	}
	if len(kindOf) > 0 {
		t.Errorf("no entry sends %v", kindOf)
	}
}

func TestNamespacesWhoseChangesAreNotJudged(t *testing.T) {
	want := map[string][]metav1.LabelSelectorRequirement{
		meshChanges:      nil,
		gatewayChanges:   {{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system"}}},
		namespaceChanges: {{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"guard", "kube-system"}}},
		userChanges:      {{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"guard", "kube-system"}}},
		policyChanges:    {{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"guard", "kube-system"}}},
	}
	// exemptNamespaces is about pods: a Gateway in a control plane's namespace matters as much as any.
	r := renderAs(t, charts.Options{Namespace: "guard", Args: set("exemptNamespaces={mesh-system,bookinfo}")})
	got := map[string][]metav1.LabelSelectorRequirement{}
	for _, hook := range one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, r).Webhooks {
		entry := changeEntry(t, hook)
		got[entry] = nil
		if hook.NamespaceSelector != nil {
			got[entry] = hook.NamespaceSelector.MatchExpressions
		}
		if hook.ObjectSelector != nil {
			t.Errorf("%s selects objects by label: an update that removes the label would go unseen", hook.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
}
