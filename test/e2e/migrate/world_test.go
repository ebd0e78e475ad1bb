//go:build e2e

package migrate

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/inventory"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/sail"
)

const (
	oldRevision, newRevision = "default-v1-29-6", "default-v1-30-3"
	oldVersion, newVersion   = "v1.29.6", "v1.30.3"
	// patience is for whatever a busy machine makes slow.
	patience = 5 * time.Minute
)

// world is a mesh in which everything runs the old revision, and the tag leads to the new one.
type world struct {
	t       *testing.T
	cluster *cluster.Cluster
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	router  string
	seen    *watcher
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{Nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cluster: c}
	t.Cleanup(func() { w.must(c.Stop()) })
	w.kube, err = kubernetes.NewForConfig(c.Config())
	w.must(err)
	w.dynamic, err = dynamic.NewForConfig(c.Config())
	w.must(err)
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), sailapi.CRDs()))
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()))
	w.namespace("istio-system", nil)
	operator, err := sail.Start(t.Context(), sail.Options{Config: c.Config(), Log: t.Output(), Injector: new(injector.Server)})
	w.must(err)
	t.Cleanup(operator.Stop)
	w.router = filepath.Join(t.TempDir(), "router")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.router, "github.com/revision-router/revision-router/cmd/router")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.mesh()
	w.workloads()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually tries again until it works.
func (w *world) eventually(what string, try func(context.Context) error) {
	w.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v; last: %v", what, err, last)
	}
}

func sailKind(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: plural}
}

func (w *world) create(kind schema.GroupVersionResource, name string, object map[string]any) {
	w.t.Helper()
	o := &unstructured.Unstructured{Object: object}
	o.SetName(name)
	_, err := w.dynamic.Resource(kind).Create(w.t.Context(), o, metav1.CreateOptions{})
	w.must(err)
}

// mesh installs the old revision, and the tag that leads to it.
func (w *world) mesh() {
	w.t.Helper()
	w.create(sailKind("istios"), "default", map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "Istio", "spec": map[string]any{
			"namespace": "istio-system", "version": oldVersion,
			"updateStrategy": map[string]any{"type": "RevisionBased", "inactiveRevisionDeletionGracePeriodSeconds": int64(1)},
		},
	})
	w.create(sailKind("istiorevisiontags"), "prod", map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "IstioRevisionTag",
		"spec": map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "default"}},
	})
	w.tagLeadsTo(oldRevision)
	for i := range teams {
		w.namespace(team(i), map[string]string{"istio.io/rev": "prod"})
	}
	w.injects(oldRevision)
}

// injects waits until new pods get the revision.
func (w *world) injects(revision string) {
	w.t.Helper()
	w.eventually("pods get "+revision, func(ctx context.Context) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-"}, Spec: template(nil).Spec}
		got, err := w.kube.CoreV1().Pods(team(0)).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && got.Annotations["istio.io/rev"] != revision {
			err = fmt.Errorf("its annotations are %v", got.Annotations)
		}
		return err
	})
}

// tagLeadsTo waits until the tag and the control plane that it leads to are ready.
func (w *world) tagLeadsTo(revision string) {
	w.t.Helper()
	w.eventually("the tag leads to "+revision, func(ctx context.Context) error {
		tag, err := w.dynamic.Resource(sailKind("istiorevisiontags")).Get(ctx, "prod", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got, _, _ := unstructured.NestedString(tag.Object, "status", "istioRevision"); got != revision {
			return fmt.Errorf("it leads to %q", got)
		}
		istiod, err := w.kube.AppsV1().Deployments("istio-system").Get(ctx, "istiod-"+revision, metav1.GetOptions{})
		if err == nil && istiod.Status.ReadyReplicas == 0 {
			err = fmt.Errorf("its istiod is %+v", istiod.Status)
		}
		return err
	})
}

// update raises the Istio, after which every workload waits for a restart.
func (w *world) update() {
	w.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"version":%q}}`, newVersion)
	_, err := w.dynamic.Resource(sailKind("istios")).Patch(w.t.Context(), "default", types.MergePatchType, patch, metav1.PatchOptions{})
	w.must(err)
	w.tagLeadsTo(newRevision)
	w.injects(newRevision)
}
