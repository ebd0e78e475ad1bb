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
	results  results
	// values are those that the chart was last installed with.
	values []string
}

// newWorld connects to the cluster that was started for the tests.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{results: results{began: time.Now()}}
	var err error
	if w.cluster, err = kind.Open(root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.results.write(t, filepath.Join(w.cluster.Dir, "results.md")) })
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
	// What an earlier run has left in a cluster that was kept.
	if err := w.chart.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), w.cluster.Config(), sailcrds.CRDs()); err != nil {
		t.Fatal(err)
	}
	w.startOperator(t)
	return w
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

// run runs one of the router's own commands as an administrator.
func (w *world) run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, w.cluster.Router(), args...)
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
