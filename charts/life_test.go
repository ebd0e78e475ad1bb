package charts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestLifeOfAnInstall(t *testing.T) {
	c := cluster.Shared(t)
	for name, how := range map[string]string{
		"with server-side apply":     "--server-side=true",
		"with three-way merge patch": "--server-side=false",
	} {
		t.Run(name, func(t *testing.T) {
			life{t: t, chart: unpack(t), kubeconfig: c.Kubeconfig(), how: how, server: connect(t, c.Config())}.run()
		})
	}
}

// life is one install from beginning to end. There is one webhook configuration in a cluster, so one at a time.
type life struct {
	t                      *testing.T
	chart, kubeconfig, how string
	server                 api
}

const (
	home          = "guard"
	configuration = "0-istio-revision-router"
)

func (l life) helm(args ...string) (string, error) {
	l.t.Helper()
	return runHelm(l.t, append(args, "--kubeconfig", l.kubeconfig)...)
}

func (l life) mustHelm(args ...string) {
	l.t.Helper()
	if out, err := l.helm(args...); err != nil {
		l.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (l life) run() {
	l.server.createNamespace(l.t, home)
	l.mustHelm("install", "revision-router", l.chart, "--namespace", home, l.how)
	l.checkPermissions()
	l.writeCABundles()

	l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, l.how,
		"--set", "enableNamespacesByDefault=true,replicaCount=3,webhook.timeoutSeconds=5,changes.timeoutSeconds=7")
	l.checkBundles(map[string]bool{
		namespaceInjection: true, namespaceRevision: true, podRevision: true, podInjection: true,
		// New, so the router has not written it yet.
		namespacesByDefault: false,
		meshChanges:         true, gatewayChanges: true, namespaceChanges: true, userChanges: true, policyChanges: true,
	})

	out, err := l.helm("install", "another", l.chart, "--namespace", "elsewhere", "--create-namespace", l.how)
	if err == nil || !strings.Contains(out, `"`+configuration+`"`) || !strings.Contains(out, "cannot be imported") {
		l.t.Errorf("a second install in one cluster: %v\n%s", err, out)
	}

	// The two commands for emergencies, and what takes them back.
	webhooks := l.server.AdmissionregistrationV1()
	if err := webhooks.MutatingWebhookConfigurations().Delete(l.t.Context(), configuration, metav1.DeleteOptions{}); err != nil {
		l.t.Fatal(err)
	}
	err = webhooks.ValidatingWebhookConfigurations().Delete(l.t.Context(), changesConfiguration, metav1.DeleteOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, l.how)
	l.checkBundles(map[string]bool{
		namespaceInjection: false, namespaceRevision: false, podRevision: false, podInjection: false,
		// Without values of its own an upgrade takes those of the release.
		namespacesByDefault: false,
		meshChanges:         false, gatewayChanges: false, namespaceChanges: false, userChanges: false, policyChanges: false,
	})

	l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, l.how, "--set", "changes.enabled=false")
	l.checkPermissions("changes.enabled=false")
	l.checkBundles(map[string]bool{
		namespaceInjection: false, namespaceRevision: false, podRevision: false, podInjection: false,
	})

	l.mustHelm("uninstall", "revision-router", "--namespace", home)
	for _, object := range renderAs(l.t, charts.Options{Namespace: home}).objects {
		_, err := l.server.resource(l.t, object).Get(l.t.Context(), object.GetName(), metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			l.t.Errorf("%s %s after helm uninstall: %v, want it gone", object.GetKind(), object.GetName(), err)
		}
	}
}

// writeCABundles does what the router does.
func (l life) writeCABundles() {
	l.t.Helper()
	mutating, validating := l.configurations()
	if mutating == nil || validating == nil {
		l.t.Fatal("a configuration is missing")
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = []byte("-----BEGIN CERTIFICATE-----\n")
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = []byte("-----BEGIN CERTIFICATE-----\n")
	}
	webhooks, router := l.server.AdmissionregistrationV1(), metav1.UpdateOptions{FieldManager: "revision-router"}
	if _, err := webhooks.MutatingWebhookConfigurations().Update(l.t.Context(), mutating, router); err != nil {
		l.t.Fatal(err)
	}
	if _, err := webhooks.ValidatingWebhookConfigurations().Update(l.t.Context(), validating, router); err != nil {
		l.t.Fatal(err)
	}
}

// configurations reads both configurations; nil stands for one that does not exist.
func (l life) configurations() (*admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration) {
	l.t.Helper()
	webhooks := l.server.AdmissionregistrationV1()
	mutating, err := webhooks.MutatingWebhookConfigurations().Get(l.t.Context(), configuration, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		mutating, err = nil, nil
	}
	if err != nil {
		l.t.Fatal(err)
	}
	validating, err := webhooks.ValidatingWebhookConfigurations().Get(l.t.Context(), changesConfiguration, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		validating, err = nil, nil
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return mutating, validating
}

// checkBundles compares which entries there are in both configurations, and whether they have a CA bundle.
func (l life) checkBundles(want map[string]bool) {
	l.t.Helper()
	got := map[string]bool{}
	mutating, validating := l.configurations()
	if mutating != nil {
		for _, webhook := range mutating.Webhooks {
			got[strings.TrimSuffix(webhook.Name, ".pods.revision-router.io")] = len(webhook.ClientConfig.CABundle) > 0
		}
	}
	if validating != nil {
		for _, webhook := range validating.Webhooks {
			got[changeEntry(l.t, webhook)] = len(webhook.ClientConfig.CABundle) > 0
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("entries with a CA bundle (-want +got):\n%s", diff)
	}
}

// checkPermissions asks the API server what the installed bindings let the router's account do.
func (l life) checkPermissions(values ...string) {
	l.t.Helper()
	allowed := granted(l.t, renderAs(l.t, charts.Options{Namespace: home, Args: set(values...)}))
	// What other values would grant is denied with these.
	denied := slices.DeleteFunc(granted(l.t, renderAs(l.t, charts.Options{Namespace: home})), func(p permission) bool {
		return slices.Contains(allowed, p)
	})
	if (len(denied) > 0) != (len(values) > 0) {
		l.t.Errorf("%d permissions fewer with %v", len(denied), values)
	}
	denied = append(denied, []permission{
		{scope: home, resource: "secrets", name: "other", verb: "get"},
		{scope: home, resource: "secrets", verb: "list"},
		{scope: "default", resource: "secrets", name: "revision-router-ca", verb: "get"},
		{scope: "default", resource: "secrets", verb: "create"},
		{scope: "default", resource: "pods", verb: "create"},
		{resource: "pods", verb: "delete"},
		{resource: "secrets", verb: "list"},
		{resource: "namespaces", verb: "update"},
		{group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations", name: "istio-sidecar-injector", verb: "patch"},
		{group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations", name: configuration, verb: "delete"},
		{group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations", name: "istio-validator", verb: "patch"},
		{group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations", verb: "list"},
		{group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations", name: changesConfiguration, verb: "delete"},
		{group: "sailoperator.io", resource: "istiorevisiontags", verb: "update"},
	}...)
	for _, p := range slices.Concat(allowed, denied) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:" + home + ":revision-router",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + home, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: p.scope, Group: p.group, Resource: p.resource, Name: p.name, Verb: p.verb,
			},
		}}
		answer, err := l.server.AuthorizationV1().SubjectAccessReviews().Create(l.t.Context(), review, metav1.CreateOptions{})
		if err != nil {
			l.t.Fatal(err)
		}
		if want := slices.Contains(allowed, p); answer.Status.Allowed != want {
			l.t.Errorf("%s: allowed %t, want %t", p, answer.Status.Allowed, want)
		}
	}
}
