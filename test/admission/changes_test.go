package admission

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/message"
	"github.com/revision-router/revision-router/webhook"
)

// operator is the service account that the Sail Operator runs as.
const operator = "system:serviceaccount:sail-operator:sail-operator"

// changes is an API server that asks the router about changes of the mesh.
type changes struct {
	*harness

	inv *mesh.Skew
	// rollsOut: controllers and kubelets are there, so that what is created comes to run by itself.
	rollsOut bool
}

func newChanges(t *testing.T) *changes {
	t.Helper()
	c := &changes{harness: newBareHarness(t, sail.CRDs(), inventory.CRDs())}
	c.serve()
	return c
}

func (c *changes) serve() {
	c.t.Helper()
	var err error
	c.inv, err = mesh.NewSkew(mesh.SkewOptions{Config: c.config})
	c.must(err)
	ctx, cancel := context.WithCancel(c.t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = c.inv.Start(ctx) })
	c.t.Cleanup(func() { cancel(); done.Wait() })
	recorder, err := metrics.NewChangeRecorder(prometheus.NewRegistry())
	c.must(err)
	mux := http.NewServeMux()
	webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh: c.inv, Policy: skew.DefaultPolicy, Recorder: recorder, Log: logr.Discard(),
	}).Register(registrar{mux})
	base, ca := c.harness.serve(mux)
	objects, err := local.Chart(c.t.Context(), "--set", "changes.failurePolicy=Fail")
	c.must(err)
	for _, object := range objects {
		if object.GetKind() != "ValidatingWebhookConfiguration" {
			continue
		}
		c.must(local.CallByURL(object, base, ca))
		var configuration admissionregistrationv1.ValidatingWebhookConfiguration
		c.must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration))
		_, err := c.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().
			Create(c.t.Context(), &configuration, metav1.CreateOptions{})
		c.must(err)
	}
	c.eventually("the first inventory", func() error { return c.inv.Ready() })
	c.awaitValidation()
}

func (c *changes) awaitValidation() {
	c.t.Helper()
	// The API server takes a configuration up asynchronously: wait until a tag of nothing is refused.
	c.eventually("the validating webhooks", func() error {
		tag := sailObject("IstioRevisionTag", "await", map[string]any{
			"targetRef": map[string]any{"kind": "Istio", "name": "nobody"},
		})
		_, err := c.dyn.Resource(sail.GroupVersion().WithResource("istiorevisiontags")).
			Create(c.t.Context(), tag, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return notYet(refused(err))
	})
}

type registrar struct{ *http.ServeMux }

func (r registrar) Register(path string, handler http.Handler) { r.Handle(path, handler) }

// as is the client of another user, with all rights: what the user may is not the question here.
func (c *changes) as(user string) dynamic.Interface {
	c.t.Helper()
	if user == "" {
		return c.dyn
	}
	config, err := c.cluster.ConfigFor(user, "system:masters")
	c.must(err)
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	c.must(err)
	return client
}

func sailObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func istio(version, strategy string) *unstructured.Unstructured {
	return sailObject("Istio", "default", map[string]any{
		"version": version, "namespace": "istio-system", "updateStrategy": map[string]any{"type": strategy},
	})
}

func cni(version string) *unstructured.Unstructured {
	return sailObject("IstioCNI", "default", map[string]any{"version": version, "namespace": "istio-cni"})
}

func ztunnel(version string) *unstructured.Unstructured {
	return sailObject("ZTunnel", "default", map[string]any{"version": version, "namespace": "ztunnel"})
}

func (c *changes) resource(o *unstructured.Unstructured) string {
	return strings.ToLower(o.GetKind()) + "s"
}

// write creates or updates the object as the user.
func (c *changes) write(user string, o *unstructured.Unstructured) error {
	return c.submit(user, o, nil)
}

// try does the same as a dry run.
func (c *changes) try(o *unstructured.Unstructured) error {
	return c.submit("", o, []string{metav1.DryRunAll})
}

func (c *changes) submit(user string, o *unstructured.Unstructured, dryRun []string) error {
	client := c.as(user).Resource(sail.GroupVersion().WithResource(c.resource(o)))
	current, err := client.Get(c.t.Context(), o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(c.t.Context(), o, metav1.CreateOptions{DryRun: dryRun})
		return err
	}
	c.must(err)
	current.Object["spec"] = o.Object["spec"]
	current.SetAnnotations(o.GetAnnotations())
	_, err = client.Update(c.t.Context(), current, metav1.UpdateOptions{DryRun: dryRun})
	return err
}

// runs makes a revision with its istiod as the operator does, which is never denied: declared, active and running.
func (c *changes) runs(revision, version string) {
	c.t.Helper()
	c.must(c.write(operator, sailObject("IstioRevision", revision, map[string]any{
		"version": version, "namespace": "istio-system", "values": map[string]any{"revision": revision},
	})))
	c.status("istios", "default", map[string]any{"activeRevisionName": revision})
	c.deployIstiod(revision, version)
}

func (c *changes) deployIstiod(revision, version string) {
	c.t.Helper()
	name := "istiod-" + revision
	deployments := c.kube.AppsV1().Deployments("istio-system")
	labels := map[string]string{
		"app": "istiod", "istio.io/rev": revision, "app.kubernetes.io/version": strings.TrimPrefix(version, "v"),
	}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "istio-system", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "istiod"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "istiod"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery", Image: "pilot"}}},
			},
		},
	}
	_, err := deployments.Get(c.t.Context(), name, metav1.GetOptions{})
	var stored *appsv1.Deployment
	if apierrors.IsNotFound(err) {
		stored, err = deployments.Create(c.t.Context(), d, metav1.CreateOptions{})
	} else {
		c.must(err)
		patch := fmt.Sprintf(`{"metadata":{"labels":{"app.kubernetes.io/version":%q}}}`, labels["app.kubernetes.io/version"])
		stored, err = deployments.Patch(c.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	}
	c.must(err)
	if c.rollsOut {
		c.eventually("istiod runs", func() error {
			now, err := deployments.Get(c.t.Context(), name, metav1.GetOptions{})
			c.must(err)
			return notYet(now.Status.ObservedGeneration == now.Generation && now.Status.ReadyReplicas == 1 && now.Status.UpdatedReplicas == 1)
		})
		return
	}
	stored.Status = appsv1.DeploymentStatus{
		ObservedGeneration: stored.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
	}
	_, err = deployments.UpdateStatus(c.t.Context(), stored, metav1.UpdateOptions{})
	c.must(err)
}

// status writes the status that the operator would, with the generation observed.
func (c *changes) status(resource, name string, status map[string]any) {
	c.t.Helper()
	client := c.dyn.Resource(sail.GroupVersion().WithResource(resource))
	current, err := client.Get(c.t.Context(), name, metav1.GetOptions{})
	c.must(err)
	status["observedGeneration"] = current.GetGeneration()
	current.Object["status"] = status
	_, err = client.UpdateStatus(c.t.Context(), current, metav1.UpdateOptions{})
	c.must(err)
}

func wantRefusal(t *testing.T, err error, words ...string) {
	t.Helper()
	if !refused(err) {
		t.Fatalf("error %v, want a refusal", err)
	}
	message.Documented(t, err.Error())
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the refusal does not mention %q: %v", word, err)
		}
	}
}

func wantAdmitted(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("want it admitted: %v", err)
	}
}
