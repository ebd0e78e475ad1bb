package sail

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/inventory"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
)

// waitLimit bounds a wait for what takes a second or two on an idle machine. The garbage collector alone takes up to 30
// seconds until it knows the kinds of new CustomResourceDefinitions.
const waitLimit = time.Minute

// world is a cluster with the operator, and what was seen of the operator's objects since its start.
type world struct {
	t        *testing.T
	operator *Operator
	client   dynamic.Interface
	kube     kubernetes.Interface

	mu     sync.Mutex
	events []event
	last   map[string]string
}

func newWorld(t *testing.T, races Races) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	config := c.Config()
	for _, crds := range []fs.FS{sailapi.CRDs(), inventory.CRDs()} {
		if err := cluster.InstallCRDs(t.Context(), config, crds); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, last: map[string]string{}}
	if w.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if w.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"istio-system", "istio-cni", "ztunnel", "bookinfo"} {
		w.namespace(name, nil)
	}
	for _, kind := range []resource{istios, revisions, tags, cnis, ztunnels} {
		w.record(kind)
	}
	w.operator, err = Start(t.Context(), Options{
		Config: config, Races: races, Log: t.Output(), Injector: new(injector.Server),
		Versions: map[string]string{"v1.29-latest": "v1.29.6", "v1.30-latest": "v1.30.3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.operator.Stop)
	return w
}

// record keeps every change of a kind that is compared.
func (w *world) record(kind resource) {
	w.t.Helper()
	watcher, err := w.client.Resource(kind).Watch(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer watcher.Stop()
		for change := range watcher.ResultChan() {
			o, ok := change.Object.(*object)
			if !ok {
				continue
			}
			e := eventOf(string(change.Type), o)
			w.mu.Lock()
			if w.last[e.who] != e.state {
				w.last[e.who] = e.state
				w.events = append(w.events, e)
			}
			w.mu.Unlock()
		}
	}()
}

// since returns what happened after the first n events, in the order in which it happened.
func (w *world) since(n int) []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := slices.Clone(w.events[n:])
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return events
}

func (w *world) namespace(name string, labels map[string]string) {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := w.kube.CoreV1().Namespaces().Create(w.t.Context(), ns, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// create makes an object of the operator's kinds.
func (w *world) create(kind resource, kindName, name string, spec map[string]any) error {
	o := &object{Object: map[string]any{"spec": spec}}
	o.SetAPIVersion(group + "/v1")
	o.SetKind(kindName)
	o.SetName(name)
	_, err := w.client.Resource(kind).Create(w.t.Context(), o, metav1.CreateOptions{})
	return err
}

func (w *world) patch(kind resource, name, patch string) error {
	_, err := w.client.Resource(kind).Patch(w.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// label sets one label of the namespace bookinfo.
func (w *world) label(key, value string) error {
	return w.patch(namespaces, "bookinfo", fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, value))
}

// deploy creates a Deployment in bookinfo once the API server would have the revision inject its pods, and waits for
// it.
func (w *world) deploy(revision string) error {
	w.awaitInjection(revision)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "details"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "details"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "details"}}, Spec: workload().Spec,
			},
		},
	}
	if _, err := w.kube.AppsV1().Deployments("bookinfo").Create(w.t.Context(), d, metav1.CreateOptions{}); err != nil {
		return err
	}
	w.awaitPods(revision)
	return nil
}

// restart is kubectl rollout restart.
func (w *world) restart(revision string) error {
	w.awaitInjection(revision)
	patch := `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`
	_, err := w.kube.AppsV1().Deployments("bookinfo").Patch(w.t.Context(), "details", types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{})
	if err == nil {
		w.awaitPods(revision)
	}
	return err
}

func workload() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Labels: map[string]string{"app": "probe"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
}

func (w *world) awaitInjection(revision string) {
	w.t.Helper()
	w.eventually("revision "+revision+" injects", func(ctx context.Context) error {
		pod, err := w.kube.CoreV1().Pods("bookinfo").Create(ctx, workload(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if got := pod.Annotations[routing.LabelRevision]; got != revision {
			return fmt.Errorf("revision %q injects", got)
		}
		return nil
	})
}

func (w *world) awaitPods(revision string) {
	w.t.Helper()
	w.eventually("all pods are ready and of "+revision, func(ctx context.Context) error {
		pods, err := w.kube.CoreV1().Pods("bookinfo").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(pods.Items) != 1 || pods.Items[0].Annotations[routing.LabelRevision] != revision ||
			pods.Items[0].Status.Phase != corev1.PodRunning {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
}

// eventually waits until try succeeds.
func (w *world) eventually(what string, try func(context.Context) error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLimit)
	defer cancel()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s: still not after %s: %v", what, waitLimit, last)
		case <-ticker.C:
			last = err
		}
	}
}
