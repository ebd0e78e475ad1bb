package charts_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook"
)

func TestConfigurationIsCalledBeforeIstios(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			// The API server sorts configurations by name, bytewise (plugin/webhook/configuration, ByName).
			name := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, render(t, args...)).Name
			if name != "0-istio-revision-router" {
				t.Errorf("name %s, want 0-istio-revision-router", name)
			}
			for _, other := range append(istio(true), injector.TagConfiguration("0", injector.Target{Revision: "0"})) {
				if name >= other.Name {
					t.Errorf("%s does not sort before %s", name, other.Name)
				}
			}
		})
	}
}

func TestWebhooks(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			service := serviceNamed(t, r, flagOf(t, r, "service"))
			for _, hook := range one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Webhooks {
				entry, found := strings.CutSuffix(hook.Name, ".pods.revision-router.io")
				if !found {
					t.Errorf("name %s does not end in .pods.revision-router.io", hook.Name)
				}
				want := &admissionregistrationv1.ServiceReference{
					Namespace: r.namespace, Name: service.Name, Port: &service.Spec.Ports[0].Port, Path: new("/mutate-v1-pod/" + pathOf(entry)),
				}
				if diff := cmp.Diff(want, hook.ClientConfig.Service); diff != "" {
					t.Errorf("%s: Service (-want +got):\n%s", hook.Name, diff)
				}
				isValue := flagOf(t, r, "cert-provider") == "secret"
				if !isValue && (hook.ClientConfig.CABundle != nil || strings.Contains(string(r.manifest), "caBundle:")) {
					t.Errorf("%s: caBundle is rendered; the next upgrade would take away what the router wrote", hook.Name)
				}
				if *hook.TimeoutSeconds > 10 || *hook.SideEffects != admissionregistrationv1.SideEffectClassNone {
					t.Errorf("%s: timeout %d, side effects %s", hook.Name, *hook.TimeoutSeconds, *hook.SideEffects)
				}
				wantRules := []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
						Scope: new(admissionregistrationv1.NamespacedScope),
					},
				}}
				if diff := cmp.Diff(wantRules, hook.Rules); diff != "" {
					t.Errorf("%s: rules (-want +got):\n%s", hook.Name, diff)
				}
			}
		})
	}
}

func TestEntriesAreThoseOfTheHandlers(t *testing.T) {
	type entry struct{ Name, Path string }
	var want, got []entry
	for _, e := range webhook.Entries() {
		want = append(want, entry{e.Name, e.Path})
	}
	r := render(t, set("enableNamespacesByDefault=true")...)
	for _, w := range one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Webhooks {
		got = append(got, entry{w.Name, *w.ClientConfig.Service.Path})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-handlers +chart):\n%s", diff)
	}
}

func TestWebhookValues(t *testing.T) {
	cases := map[string]struct {
		args    []string
		failure admissionregistrationv1.FailurePolicyType // of the entries for pods that Istio may inject
		again   admissionregistrationv1.ReinvocationPolicyType
		timeout int32
	}{
		"forward mode fails closed, and waits for the injector as long as Istio's own webhook would": {
			args:    set("mode=forward"),
			failure: admissionregistrationv1.Fail, again: admissionregistrationv1.IfNeededReinvocationPolicy, timeout: 10,
		},
		"guard mode fails open, soon, and judges the final labels": {
			failure: admissionregistrationv1.Ignore, again: admissionregistrationv1.IfNeededReinvocationPolicy, timeout: 3,
		},
		"each of them can be chosen": {
			args:    set("webhook.failurePolicy=Fail", "webhook.reinvocationPolicy=Never", "webhook.timeoutSeconds=10"),
			failure: admissionregistrationv1.Fail, again: admissionregistrationv1.NeverReinvocationPolicy, timeout: 10,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, w := range one[*admissionregistrationv1.MutatingWebhookConfiguration](t, render(t, tc.args...)).Webhooks {
				failure := tc.failure
				if !injects(w) {
					failure = admissionregistrationv1.Ignore
				}
				if *w.FailurePolicy != failure || *w.ReinvocationPolicy != tc.again || *w.TimeoutSeconds != tc.timeout {
					t.Errorf("%s: %s, %s, %d seconds", w.Name, *w.FailurePolicy, *w.ReinvocationPolicy, *w.TimeoutSeconds)
				}
			}
		})
	}
}

// istiod takes objects with its labels for its own (see the template), and pods that opt in would wait for istiod.
func TestNoLabelOfIstios(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			for _, object := range r.objects {
				for _, keys := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
					for key := range keys {
						if strings.Contains(key, "istio") {
							t.Errorf("%s %s carries %s", object.GetKind(), object.GetName(), key)
						}
					}
				}
			}
			pod := one[*appsv1.Deployment](t, r).Spec.Template
			for key := range pod.Labels {
				// The values everything-values.yaml put one there themselves.
				if strings.HasPrefix(key, "istio.io/") && name != "everything" {
					t.Errorf("pods carry %s", key)
				}
			}
			if pod.Labels[routing.LabelInject] != "false" {
				t.Error("pods do not opt out of injection")
			}
		})
	}
}

func TestSelectorsNameTheReleaseAndMatchItsPods(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			deployment := one[*appsv1.Deployment](t, r)
			selectors := map[string]map[string]string{"Deployment": deployment.Spec.Selector.MatchLabels}
			for _, service := range all[*corev1.Service](r) {
				selectors["Service "+service.Name] = service.Spec.Selector
			}
			for _, budget := range all[*policyv1.PodDisruptionBudget](r) {
				selectors["PodDisruptionBudget"] = budget.Spec.Selector.MatchLabels
			}
			for _, policy := range all[*networkingv1.NetworkPolicy](r) {
				selectors["NetworkPolicy"] = policy.Spec.PodSelector.MatchLabels
			}
			for name, selector := range selectors {
				if selector["app.kubernetes.io/name"] == "" || selector["app.kubernetes.io/instance"] != "revision-router" {
					t.Errorf("%s selects %v, want name and instance", name, selector)
				}
				if !labels.SelectorFromSet(selector).Matches(labels.Set(deployment.Spec.Template.Labels)) {
					t.Errorf("%s selects %v, pods have %v", name, selector, deployment.Spec.Template.Labels)
				}
			}
			for _, monitor := range all[*serviceMonitor](r) {
				selector := labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels)
				var selected []string
				for _, service := range all[*corev1.Service](r) {
					if selector.Matches(labels.Set(service.Labels)) {
						selected = append(selected, service.Name)
					}
				}
				if len(selected) != 1 || !strings.HasSuffix(selected[0], "-metrics") {
					t.Errorf("ServiceMonitor selects %v, want the Service of the metrics", selected)
				}
			}
		})
	}
}

func TestEveryReferenceLeadsToAnObject(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			exists := func(kind, name string) bool {
				return slices.ContainsFunc(r.objects, func(o *unstructured.Unstructured) bool {
					return o.GetKind() == kind && o.GetName() == name
				})
			}
			spec := one[*appsv1.Deployment](t, r).Spec.Template.Spec
			if !exists("ServiceAccount", spec.ServiceAccountName) && name != "minimal" {
				t.Errorf("no ServiceAccount %s", spec.ServiceAccountName)
			}
			for _, volume := range spec.Volumes {
				// The CAs of clients come from whoever set up the API server.
				if volume.ConfigMap != nil && volume.Name != "clients" && !exists("ConfigMap", volume.ConfigMap.Name) {
					t.Errorf("no ConfigMap %s", volume.ConfigMap.Name)
				}
				// cert-manager makes the Secret that its Certificate names.
				if volume.Secret != nil && flagOf(t, r, "cert-provider") == "cert-manager" && !exists("Certificate", volume.Secret.SecretName) {
					t.Errorf("no Certificate %s", volume.Secret.SecretName)
				}
			}
			for _, service := range all[*corev1.Service](r) {
				for _, port := range service.Spec.Ports {
					containerPort(t, r, port.TargetPort.StrVal)
				}
			}
			for _, policy := range all[*networkingv1.NetworkPolicy](r) {
				for _, rule := range policy.Spec.Ingress {
					for _, port := range rule.Ports {
						if port.Port.StrVal == "" {
							continue // a number, from a rule of the user's
						}
						containerPort(t, r, port.Port.StrVal)
					}
				}
			}
			for _, binding := range all[*rbacv1.ClusterRoleBinding](r) {
				checkBinding(t, r, exists(binding.RoleRef.Kind, binding.RoleRef.Name), binding.Subjects)
			}
			for _, binding := range all[*rbacv1.RoleBinding](r) {
				checkBinding(t, r, exists(binding.RoleRef.Kind, binding.RoleRef.Name), binding.Subjects)
			}
		})
	}
}

func checkBinding(t *testing.T, r release, roleExists bool, subjects []rbacv1.Subject) {
	t.Helper()
	if !roleExists {
		t.Error("a binding refers to a role that is not rendered")
	}
	account := one[*appsv1.Deployment](t, r).Spec.Template.Spec.ServiceAccountName
	want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: r.namespace}}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("subjects of a binding (-want +got):\n%s", diff)
	}
}

func TestFlagsAgreeWithTheObjects(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			for flag, port := range map[string]string{"webhook-port": "webhook", "health-address": "health", "metrics-address": "metrics"} {
				got := strings.TrimPrefix(flagOf(t, r, flag), ":")
				if want := containerPort(t, r, port); got != want {
					t.Errorf("--%s has port %s, the container %s", flag, got, want)
				}
			}
			if got := flagOf(t, r, "mutating-webhook"); got != one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Name {
				t.Errorf("--mutating-webhook=%s is not the configuration that is rendered", got)
			}
			judging := all[*admissionregistrationv1.ValidatingWebhookConfiguration](r)
			if got := flagOf(t, r, "changes"); got != strconv.FormatBool(len(judging) == 1) {
				t.Errorf("--changes=%s with %d configurations for changes", got, len(judging))
			}
			for _, configuration := range judging {
				if got := flagOf(t, r, "validating-webhook"); got != configuration.Name {
					t.Errorf("--validating-webhook=%s is not the configuration that is rendered", got)
				}
			}
			if len(judging) == 0 && strings.Contains(strings.Join(container(t, r).Args, " "), "--validating-webhook") {
				t.Error("the router would keep a CA bundle in a configuration that is not rendered")
			}
		})
	}
}
