package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
)

// TestStatusInACluster has an API server of its own: IstioCNI and its like are named default in every test, and here
// the server is stopped as well.
func TestStatusInACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := []string{"--kubeconfig", c.Kubeconfig()}

	t.Run("without the Sail Operator", func(t *testing.T) {
		got := ranCommand(t, "status", "", kubeconfig...)
		want := outcome{stdout: "There is no control plane of Istio here.\n"}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	for _, err := range []error{
		cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()), cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	createAll(t, c, "testdata/status/cluster.yaml")

	t.Run("read at once", func(t *testing.T) { readUpgrade(t, c) })
	t.Run("restarted", func(t *testing.T) { testMigrate(t, c) })
	t.Run("webhooks of Istio's in the way", func(t *testing.T) { testOverlaps(t, c) })
	t.Run("watching the rest of it", func(t *testing.T) { watchUpgrade(t, c) })
}

// readUpgrade reads the mesh in the middle of its upgrade.
func readUpgrade(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	kubeconfig := []string{"--kubeconfig", c.Kubeconfig()}
	t.Run("in the middle of an upgrade", func(t *testing.T) {
		got := ranCommand(t, "status", "", kubeconfig...)
		if got.code != ExitRefused || got.stderr != "" {
			t.Errorf("got exit code %d, stderr %q", got.code, got.stderr)
		}
		for _, want := range []string{
			"error: UnknownRevisionLabel: Namespace typo has istio.io/rev=prdo",
			"warning: WaypointPolicy: Traffic bypasses AuthorizationPolicy shop/cart",
			"tag/prod   Istio/default   default-v1-30-3   v1.30.3   Following   1/2       1",
			"restart/shop   1           1      default-v1-29-6 v1.29.6   default-v1-30-3 v1.30.3   TagMoved",
			"kubectl rollout restart deployment -n shop cart",
		} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("there is no %q in\n%s", want, got.stdout)
			}
		}
	})
	t.Run("page by page", func(t *testing.T) {
		whole := ranCommand(t, "status", "", append(kubeconfig, "-o", "json")...)
		o := &statusOptions{clock: clock.RealClock{}}
		var out bytes.Buffer
		cmd := newStatusCommand(Streams{Out: &out, Err: &bytes.Buffer{}}, o)
		o.source.pageSize = 1
		cmd.SetArgs(append(kubeconfig, "-o", "json"))
		if err := cmd.ExecuteContext(t.Context()); err == nil {
			t.Error("got exit code 0")
		}
		if diff := cmp.Diff(whole.stdout, out.String()); diff != "" {
			t.Errorf("(-one page +pages):\n%s", diff)
		}
	})
	t.Run("saved and read as a file", func(t *testing.T) {
		want := ranCommand(t, "status", "", append(kubeconfig, "-o", "json")...)
		got := ranCommand(t, "status", "", "-f", saved(t, c, manifest.ForSkew), "-o", "json")
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("(-cluster +file):\n%s", diff)
		}
	})
	t.Run("where the router injects", func(t *testing.T) {
		got := ranCommand(t, "status", "", append(kubeconfig, "--mode", "forward")...)
		for _, want := range []string{"NoEndpoints", "NotRoutable"} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("there is no %q in\n%s", want, got.stdout)
			}
		}
	})
	t.Run("one namespace", func(t *testing.T) {
		got := ranCommand(t, "status", "", append(kubeconfig, "-n", "shop")...)
		if got.code != 0 || strings.Contains(got.stdout, "typo") || !strings.Contains(got.stdout, "restart/shop") {
			t.Errorf("got exit code %d and\n%s", got.code, got.stdout)
		}
	})
	t.Run("somebody who may list nothing", func(t *testing.T) {
		for _, args := range [][]string{nil, {"-w"}} {
			got := ranCommand(t, "status", "", append(args, "--kubeconfig", kubeconfigFor(t, c, "nobody"))...)
			if got.code != ExitUsage || !strings.Contains(got.stderr, "kubectl auth can-i list") || got.stdout != "" {
				t.Errorf("%v: got exit code %d, stdout %q, stderr %q", args, got.code, got.stdout, got.stderr)
			}
		}
	})
}

// watchUpgrade finishes the upgrade while the status is watched, with the API server away in between.
func watchUpgrade(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	w := startWatch(t, c)
	w.shows(t, "Following   1/2")
	client := kubernetes.NewForConfigOrDie(c.Config())
	restarted := func(name string) {
		t.Helper()
		pods := client.CoreV1().Pods("shop")
		pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		now := int64(0)
		if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
		pod.ObjectMeta = metav1.ObjectMeta{
			Name: name + "2", Labels: pod.Labels, Annotations: pod.Annotations, OwnerReferences: pod.OwnerReferences,
		}
		pod.Annotations["istio.io/rev"] = "default-v1-30-3"
		pod.Spec.Containers[1].Image = "registry.example/istio/proxyv2:1.30.3"
		if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	restarted("cart-5d-a")
	w.shows(t, "Following   2/2")

	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	w.tells(t, "the mesh is as it was")
	if err := c.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"labels":{"istio.io/rev":"prod"}}}`)
	if _, err := client.CoreV1().Namespaces().Patch(t.Context(), "typo", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.shows(t, "2 workloads (2 pods): 1 warning.")
	restarted("pay-6f-a")
	if err := client.CoreV1().Pods("shop").Delete(t.Context(), "cart-5d-a2", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	w.shows(t, "1 workload (1 pod): 1 warning.")

	w.cancel()
	if err := <-w.done; err != nil {
		t.Errorf("the last state was healthy, and the command ended with %v", err)
	}
	if strings.Contains(w.out.String(), "\x1b") {
		t.Error("what is no terminal was sent codes for one")
	}
	if n := strings.Count(w.out.String(), "\n--- "); n < 3 {
		t.Errorf("%d separators are between the states, want at least 3:\n%s", n, w.out.String())
	}
}

// watching is a running router status -w.
type watching struct {
	out, errs *lockedBuffer
	done      chan error
	cancel    context.CancelFunc
}

func startWatch(t *testing.T, c *cluster.Cluster) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{out: &lockedBuffer{}, errs: &lockedBuffer{}, done: make(chan error, 1), cancel: cancel}
	cmd := newStatusCommand(Streams{Out: w.out, Err: w.errs}, &statusOptions{clock: clock.RealClock{}, interval: 50 * time.Millisecond})
	cmd.SetArgs([]string{"--kubeconfig", c.Kubeconfig(), "-w"})
	go func() { w.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(cancel)
	return w
}

// shows waits until the last state that was shown holds the text.
func (w *watching) shows(t *testing.T, text string) {
	t.Helper()
	w.wait(t, text, func() string {
		all := w.out.String()
		return all[max(0, strings.LastIndex(all, "\n--- ")):]
	})
}

func (w *watching) tells(t *testing.T, text string) {
	t.Helper()
	w.wait(t, text, w.errs.String)
}

func (w *watching) wait(t *testing.T, text string, of func() string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		select {
		case err := <-w.done:
			return false, errors.Join(errors.New("the watch has ended"), err)
		default:
			return strings.Contains(of(), text), nil
		}
	})
	if err != nil {
		t.Fatalf("%v while waiting for %q; stdout:\n%s\nstderr:\n%s", err, text, w.out.String(), w.errs.String())
	}
}

// lockedBuffer is written by the command and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
