package charts_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
)

// api reaches the control plane in the ways that the tests need.
type api struct {
	kubernetes.Interface
	dynamic  dynamic.Interface
	mapper   meta.RESTMapper
	warnings *warnings
}

// warnings collects what the API server warns about.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) HandleWarningHeader(_ int, _, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, message)
}

func connect(t *testing.T, config *rest.Config) api {
	t.Helper()
	collected := &warnings{}
	config.WarningHandler = collected
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(discovery.NewDiscoveryClient(client.Discovery().RESTClient()))
	if err != nil {
		t.Fatal(err)
	}
	return api{Interface: client, dynamic: dynamicClient, mapper: restmapper.NewDiscoveryRESTMapper(groups), warnings: collected}
}

func (a api) resource(t *testing.T, object *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	gvk := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		t.Fatal(err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	return a.dynamic.Resource(mapping.Resource)
}

func (a api) createNamespace(t *testing.T, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/warn": "restricted"},
	}}
	_, err := a.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// The API server is the judge of what it would take: its own schema, validation and Pod Security.
func TestServerAcceptsEveryObjectWithoutAWarning(t *testing.T) {
	c := cluster.Shared(t)
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			server := connect(t, c.Config())
			namespace := "accepts-" + name
			server.createNamespace(t, namespace)
			for _, object := range renderAs(t, charts.Options{Namespace: namespace, Args: args}).objects {
				if isServiceMonitor(object.GroupVersionKind()) {
					continue // The Prometheus Operator's types are not in this API server.
				}
				_, err := server.resource(t, object).Create(t.Context(), object, metav1.CreateOptions{
					DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
				})
				if err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
			}
			got := strings.Join(server.warnings.list, "\n")
			if name == "host-network" {
				if !strings.Contains(got, "hostNetwork=true") {
					t.Errorf("no warning about hostNetwork, so the others prove nothing: %q", got)
				}
			} else if got != "" {
				t.Errorf("warnings: %s", got)
			}
		})
	}
}

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
	l.writeCABundle()

	l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, l.how,
		"--set", "enableNamespacesByDefault=true,replicaCount=3,webhook.timeoutSeconds=5")
	l.checkBundles(map[string]bool{
		namespaceInjection: true, namespaceRevision: true, podRevision: true, podInjection: true,
		// New, so the router has not written it yet.
		namespacesByDefault: false,
	})

	out, err := l.helm("install", "another", l.chart, "--namespace", "elsewhere", "--create-namespace", l.how)
	if err == nil || !strings.Contains(out, `"`+configuration+`"`) || !strings.Contains(out, "cannot be imported") {
		l.t.Errorf("a second install in one cluster: %v\n%s", err, out)
	}

	webhooks := l.server.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := webhooks.Delete(l.t.Context(), configuration, metav1.DeleteOptions{}); err != nil {
		l.t.Fatal(err)
	}
	l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, l.how)
	l.checkBundles(map[string]bool{
		namespaceInjection: false, namespaceRevision: false, podRevision: false, podInjection: false,
		// Without values of its own an upgrade takes those of the release.
		namespacesByDefault: false,
	})

	l.mustHelm("uninstall", "revision-router", "--namespace", home)
	for _, object := range renderAs(l.t, charts.Options{Namespace: home}).objects {
		_, err := l.server.resource(l.t, object).Get(l.t.Context(), object.GetName(), metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			l.t.Errorf("%s %s after helm uninstall: %v, want it gone", object.GetKind(), object.GetName(), err)
		}
	}
}

// writeCABundle does what the router does.
func (l life) writeCABundle() {
	l.t.Helper()
	client := l.server.AdmissionregistrationV1().MutatingWebhookConfigurations()
	current, err := client.Get(l.t.Context(), configuration, metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range current.Webhooks {
		current.Webhooks[i].ClientConfig.CABundle = []byte("-----BEGIN CERTIFICATE-----\n")
	}
	if _, err := client.Update(l.t.Context(), current, metav1.UpdateOptions{FieldManager: "revision-router"}); err != nil {
		l.t.Fatal(err)
	}
}

// checkBundles compares which entries there are, and whether they have a CA bundle.
func (l life) checkBundles(want map[string]bool) {
	l.t.Helper()
	current, err := l.server.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Get(l.t.Context(), configuration, metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	got := map[string]bool{}
	for _, webhook := range current.Webhooks {
		got[strings.TrimSuffix(webhook.Name, ".pods.revision-router.io")] = len(webhook.ClientConfig.CABundle) > 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("entries with a CA bundle (-want +got):\n%s", diff)
	}
}

// checkPermissions asks the API server what the installed bindings let the router's account do.
func (l life) checkPermissions() {
	l.t.Helper()
	allowed := granted(l.t, renderAs(l.t, charts.Options{Namespace: home}))
	denied := []permission{
		{scope: home, resource: "secrets", name: "other", verb: "get"},
		{scope: home, resource: "secrets", verb: "list"},
		{scope: "default", resource: "secrets", name: "revision-router-ca", verb: "get"},
		{scope: "default", resource: "secrets", verb: "create"},
		{scope: "default", resource: "pods", verb: "create"},
		{resource: "pods", verb: "list"},
		{resource: "namespaces", verb: "update"},
		{group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations", name: "istio-sidecar-injector", verb: "patch"},
		{group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations", name: configuration, verb: "delete"},
		{group: "sailoperator.io", resource: "istiorevisiontags", verb: "update"},
	}
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
