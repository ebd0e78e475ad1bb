//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/recorded"
)

const (
	// revision is where all pods belong: the tag default points to it. Before it pointed to the other.
	revision, oldRevision = "default-v1-30-3", "default-v1-29-6"
	// shop has istio-injection, desk has istio.io/rev.
	shop, desk = "shop", "desk"

	mutatingConfiguration   = "0-istio-revision-router"
	validatingConfiguration = "istio-revision-router"

	// firstOffset is how far behind the replicas' clocks are at first, for clockJumps.
	firstOffset = -5 * 24 * time.Hour
)

// world is a control plane with a mesh and replicas of the router.
type world struct {
	// t and ctx are those of one case; see during.
	t     *testing.T
	ctx   context.Context
	env   *local.Environment
	kube  kubernetes.Interface
	dyn   dynamic.Interface
	clock string
	// closed are the webhooks for pods that fail closed.
	closed map[string]bool
	// short: the set for CI.
	short bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), clock: filepath.Join(t.TempDir(), "clock"), short: testing.Short()}
	w.setClock(t, firstOffset)
	var err error
	w.env, err = local.Start(t.Context(), local.Options{
		Log: os.Stdout, Replicas: 2,
		// Fail makes the API server say why it could not ask.
		Values: []string{"--set", "webhook.failurePolicy=Fail,log.format=text"},
		Tags:   []string{"chaos"}, Env: []string{"REVISION_ROUTER_CLOCK=" + w.clock},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.env.Close(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	w.connect(t)
	w.installMesh(t)
	w.learnPolicies(t)
	return w
}

func (w *world) learnPolicies(t *testing.T) {
	t.Helper()
	current, err := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(w.ctx, mutatingConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.closed = map[string]bool{}
	for i := range current.Webhooks {
		hook := &current.Webhooks[i]
		w.closed[hook.Name] = hook.FailurePolicy != nil && *hook.FailurePolicy == admissionregistrationv1.Fail
	}
}

// during is the world for one case.
func (w *world) during(ctx context.Context, t *testing.T) *world {
	t.Helper()
	of := *w
	of.t, of.ctx = t, ctx
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range w.routers().Replicas() {
				t.Logf("the end of the log of %s:\n%s", r.Name, r.Tail())
			}
		}
	})
	return &of
}

func (w *world) connect(t *testing.T) {
	t.Helper()
	config := w.env.Cluster.Config()
	var err error
	if w.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if w.dyn, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
}

// installMesh does what the operator did when Istio was installed with a tag and then updated, and makes the
// namespaces of the load.
func (w *world) installMesh(t *testing.T) {
	t.Helper()
	steps, err := recorded.Load(recorded.RevisionBasedTag)
	if err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string]map[string]string{
		"istio-system": nil, "cert-manager": nil,
		shop: {routing.LabelInjection: "enabled"},
		desk: {routing.LabelRevision: routing.DefaultRevision},
	} {
		if err := w.namespace(name, labels); err != nil {
			t.Fatal(err)
		}
	}
	player := recorded.Player{Client: w.dyn}
	for _, step := range steps {
		if err := player.Play(w.ctx, step); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(step.Name, "patch Istio default v1.30.3") {
			break
		}
	}
	w.routed(t, revision)
}

func (w *world) namespace(name string, labels map[string]string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	_, err := w.kube.CoreV1().Namespaces().Create(w.ctx, ns, metav1.CreateOptions{})
	return err
}

// pod creates a pod, stored or not, and returns the revision that the router put on it.
func (w *world) pod(ctx context.Context, namespace string, dryRun bool) (string, error) {
	var options metav1.CreateOptions
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	made, err := w.kube.CoreV1().Pods(namespace).Create(ctx, somePod(namespace), options)
	if err != nil {
		return "", err
	}
	return made.Labels[routing.LabelRoutedRevision], nil
}

func somePod(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "chaos-"},
		Spec: corev1.PodSpec{
			Containers:                   []corev1.Container{{Name: "app", Image: "chaos:1.0"}},
			AutomountServiceAccountToken: new(false),
		},
	}
}

// routed waits until pods of both namespaces lead to a revision, and returns how long that took.
func (w *world) routed(t *testing.T, revision string) time.Duration {
	t.Helper()
	began := time.Now()
	for _, namespace := range []string{shop, desk} {
		w.eventually(t, time.Minute, "pods of "+namespace+" lead to "+revision, func(ctx context.Context) error {
			got, err := w.pod(ctx, namespace, true)
			if err == nil && got != revision {
				err = fmt.Errorf("a pod leads to %q", got)
			}
			return err
		})
	}
	return time.Since(began)
}

// eventually waits for a condition.
func (w *world) eventually(t *testing.T, limit time.Duration, what string, holds func(context.Context) error) {
	t.Helper()
	last := holds(w.ctx)
	if last == nil {
		return
	}
	err := wait.PollUntilContextTimeout(w.ctx, 20*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		last = holds(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v; last: %v", what, err, last)
	}
}

func (w *world) routers() *local.Deployment { return w.env.Deployment }

// scale brings the number of replicas to n, all of them ready.
func (w *world) scale(t *testing.T, n int) {
	t.Helper()
	if err := w.routers().Scale(w.ctx, n); err != nil {
		t.Fatal(err)
	}
}

// checkAlive holds every replica that ought to run to it.
func (w *world) checkAlive(t *testing.T) {
	t.Helper()
	for _, r := range w.routers().Replicas() {
		if !r.Running() {
			t.Errorf("%s ended: %v\n%s", r.Name, r.Err(), r.Tail())
		}
	}
}

// setClock makes the clocks of all replicas jump.
func (w *world) setClock(t *testing.T, offset time.Duration) {
	t.Helper()
	// By renaming, so that no replica reads half of it.
	if err := os.WriteFile(w.clock+".new", []byte(offset.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.clock+".new", w.clock); err != nil {
		t.Fatal(err)
	}
}

// sleep lets the load run. It is no wait for a condition.
func (w *world) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ctx.Done():
	}
}
