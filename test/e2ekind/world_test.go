//go:build kind

package e2ekind

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	sailcrds "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/kind"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/sail"
)

const (
	root = "../.."
	// patience is for whatever a cluster on a busy machine takes.
	patience = 5 * time.Minute
	interval = 250 * time.Millisecond
)

// world is the cluster with what runs in it.
type world struct {
	cluster  *kind.Cluster
	chart    *kind.Chart
	kube     kubernetes.Interface
	dyn      dynamic.Interface
	operator *sail.Operator
	// dir has the kubeconfig and the results, router is the program of the image that is loaded.
	dir, router string
	results     results
	// values are those that the chart was last installed with.
	values []string
}

// newWorld creates the cluster and loads the images. It is deleted at the end, unless KEEP is set.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, "bin", "e2e-kind"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, router: filepath.Join(dir, "image", "router"), results: results{began: time.Now()}}
	t.Cleanup(func() { w.results.write(t, filepath.Join(dir, "results.md")) })
	w.createCluster(t)
	if w.kube, err = kubernetes.NewForConfig(w.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	if w.dyn, err = dynamic.NewForConfig(w.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	helm, err := local.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.chart = w.cluster.Chart(helm)
	w.timed(t, "build and load the router's image", func() error { return w.cluster.LoadRouter(t.Context()) })
	w.timed(t, "build and load the stand-ins", func() error {
		return w.cluster.LoadStandIns(t.Context(), kind.Images{Versions: []string{oldVersion, newVersion}, Apps: []string{appImage}})
	})
	if err := cluster.InstallCRDs(t.Context(), w.cluster.Config(), sailcrds.CRDs()); err != nil {
		t.Fatal(err)
	}
	w.startOperator(t)
	return w
}

func (w *world) createCluster(t *testing.T) {
	t.Helper()
	machine, err := kind.Find(t.Context())
	if err != nil {
		t.Fatalf("the tests in a kind cluster are NOT run: %v", err)
	}
	keep := os.Getenv("KEEP") != ""
	w.timed(t, "create the cluster", func() error {
		w.cluster, err = machine.Create(t.Context(), kind.Options{Root: root, Dir: w.dir, Reuse: keep, Log: os.Stdout})
		return err
	})
	t.Cleanup(func() {
		ctx := context.Background() // the test's is over
		if t.Failed() {
			folder := filepath.Join(w.dir, "failure-"+time.Now().UTC().Format("20060102-150405"))
			if err := w.cluster.Collect(ctx, folder); err != nil {
				t.Logf("not everything could be collected: %v", err)
			}
			t.Logf("logs, webhook configurations, pods and events are in %s", folder)
		}
		if keep {
			t.Logf("the cluster %s is kept: export KUBECONFIG=%s; kind delete cluster --name %s", w.cluster.Name, w.cluster.Kubeconfig(), w.cluster.Name)
			return
		}
		if err := w.cluster.Delete(ctx); err != nil {
			t.Error(err)
		}
	})
}

// startOperator starts the stand-in for the Sail Operator, in this process. What it deploys runs in the cluster.
func (w *world) startOperator(t *testing.T) {
	t.Helper()
	var err error
	if w.operator, err = sail.Start(t.Context(), sail.Options{Config: w.cluster.Config(), Log: os.Stdout}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.operator.Stop)
}

// step runs a test and notes how it ended.
func (w *world) step(t *testing.T, name string, run func(*testing.T)) bool {
	t.Helper()
	began := time.Now()
	ok := t.Run(name, run)
	w.results.step(name, time.Since(began), ok)
	return ok
}

// timed notes how long a preparation takes, without which nothing goes on.
func (w *world) timed(t *testing.T, name string, f func() error) {
	t.Helper()
	began := time.Now()
	if err := f(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	w.results.step(name, time.Since(began), true)
	t.Logf("%s: %s", name, time.Since(began).Round(100*time.Millisecond))
}

// run runs one of the router's own commands as an administrator.
func (w *world) run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, w.router, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.Kubeconfig())
	out, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("router %v: %w\n%s", args, err, out)
	}
	return string(out), err
}

// eventually waits until f finds nothing wrong.
func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain until %s: %v", patience, what, err)
		}
	}
}
