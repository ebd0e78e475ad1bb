//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/local"
)

const (
	oldRevision, oldVersion = "default-v1-29-6", "v1.29.6"
	newRevision, newVersion = "default-v1-30-3", "v1.30.3"
	// remoteRevision runs in another cluster.
	remoteRevision, remoteVersion, remoteNamespace = "far", "v1.30.3", "istio-far"

	// prod is a tag beside the tag default; both lead to the same revision.
	prod = "prod"

	routers = 2
	// patience bounds every wait; nothing takes nearly as long.
	patience = 3 * time.Minute
)

// forwardWorld is a control plane with a mesh that only the router injects for, and routers in forward mode behind a
// Service.
type forwardWorld struct {
	env  *local.Environment
	mesh *forward.Mesh
	kube kubernetes.Interface
	ask  *asker
}

func newForwardWorld(t *testing.T) *forwardWorld {
	t.Helper()
	byDefault := map[string]any{"sidecarInjectorWebhook": map[string]any{"enableNamespacesByDefault": true}}
	mesh, err := forward.Start(
		forward.Revision{Name: oldRevision, Version: oldVersion},
		forward.Revision{Name: newRevision, Version: newVersion, Values: byDefault},
		forward.Revision{Name: remoteRevision, Version: remoteVersion, Namespace: remoteNamespace, Remote: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Close(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	values, err := mesh.HelmValues()
	if err != nil {
		t.Fatal(err)
	}
	values = append(values, "--set", "enableNamespacesByDefault=true,log.format=text",
		"--set-json", `policy.precedence=[{"namespaceSelector":{"matchLabels":{"team":"free"}},"precedence":"Pod"}]`)
	w := &forwardWorld{mesh: mesh}
	if w.env, err = local.Start(t.Context(), local.Options{Log: os.Stdout, Values: values, Replicas: routers}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close(t) })
	if err := mesh.Connect(w.env.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(w.env.Cluster.Config())
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	config.ContentType = "application/vnd.kubernetes.protobuf" // half the work for this machine
	if w.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	w.ask = newAsker(t, w.kube)
	w.installMesh(t)
	return w
}

func (w *forwardWorld) close(t *testing.T) {
	t.Helper()
	if t.Failed() {
		for _, r := range w.env.Deployment.Replicas() {
			t.Logf("the end of the log of %s:\n%s", r.Name, r.Tail())
		}
	}
	if err := w.env.Close(); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

// installMesh installs both revisions and leads both tags to the old one.
func (w *forwardWorld) installMesh(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	w.must(t, w.mesh.Install(ctx))
	for _, name := range []string{oldRevision, newRevision} {
		w.must(t, w.mesh.InstallRevision(ctx, name))
		w.must(t, w.mesh.SetReady(ctx, name, true))
	}
	// For the routers themselves to be asked.
	w.namespace(t, "asked-"+prod, map[string]string{routing.LabelRevision: prod})
	w.namespace(t, "asked-"+routing.DefaultRevision, map[string]string{routing.LabelRevision: routing.DefaultRevision})
	w.change(t, leads(oldRevision), func(ctx context.Context) error { return w.pointTags(ctx, oldRevision) })
}

func (w *forwardWorld) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *forwardWorld) pointTags(ctx context.Context, revision string) error {
	for _, tag := range []string{prod, routing.DefaultRevision} {
		if err := w.mesh.PointTag(ctx, tag, revision); err != nil {
			return err
		}
	}
	return nil
}

// namespace makes a namespace, with whatever labels: the router would refuse some of them.
func (w *forwardWorld) namespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: labels, Annotations: map[string]string{skew.AnnotationOverride: "it was there before the router"},
	}}
	if _, err := w.kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// create creates a pod as a controller would, stored or as a dry run.
func (w *forwardWorld) create(ctx context.Context, pod *corev1.Pod, dryRun bool) (*corev1.Pod, error) {
	var options metav1.CreateOptions
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return w.kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, options)
}

// sidecar creates a pod, and tells of which revision its sidecar is.
func (w *forwardWorld) sidecar(ctx context.Context, pod *corev1.Pod) (string, error) {
	made, err := w.create(ctx, pod, false)
	if err != nil {
		return "", err
	}
	return forward.Sidecar(made)
}

func aPod(namespace, name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: name + "-", Labels: labels},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: "shop:1.0"}},
			// No controller makes the account.
			AutomountServiceAccountToken: new(false),
		},
	}
}

// eventually waits for a condition, which says what is missing.
func eventually(t *testing.T, what string, holds func(context.Context) error) {
	t.Helper()
	if err := await(t.Context(), what, holds); err != nil {
		t.Fatal(err)
	}
}

func await(ctx context.Context, what string, holds func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = holds(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until %s: %w; last: %w", what, err, last)
	}
	return nil
}
