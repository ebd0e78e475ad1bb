package charts_test

import (
	"os"
	"strings"
	"sync"
	"testing"

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
	"github.com/revision-router/revision-router/test/certmanager"
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
	if err := certmanager.Install(t.Context(), c.Config()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), c.Config(), os.DirFS("testdata/crds")); err != nil {
		t.Fatal(err)
	}
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			server := connect(t, c.Config())
			namespace := "accepts-" + name
			server.createNamespace(t, namespace)
			for _, object := range renderAs(t, charts.Options{Namespace: namespace, Args: args}).objects {
				if in := object.GetNamespace(); in != "" {
					server.createNamespace(t, in) // those of control planes are there before the router
				}
				_, err := server.resource(t, object).Create(t.Context(), object, metav1.CreateOptions{
					DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
				})
				if err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
			}
			server.refusesWhatIsNotAField(t, namespace)
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

// refusesWhatIsNotAField: were it not strict, a misspelt field would be dropped, and this test would see nothing.
func (a api) refusesWhatIsNotAField(t *testing.T, namespace string) {
	t.Helper()
	for kind, group := range map[string]string{"ConfigMap": "v1", "ServiceMonitor": "monitoring.coreos.com/v1", "Certificate": "cert-manager.io/v1"} {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group, "kind": kind, "metadata": map[string]any{"name": "misspelt", "namespace": namespace}, "sepc": map[string]any{},
		}}
		_, err := a.resource(t, object).Create(t.Context(), object, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		if err == nil || !strings.Contains(err.Error(), `unknown field "sepc"`) {
			t.Errorf("%s with a field that it does not have: %v, want a refusal", kind, err)
		}
	}
}
