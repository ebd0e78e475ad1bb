//go:build kind

package e2ekind

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/test/load"
)

const (
	// nobody places the pods of a load that are stored: they are about admission. One of 20 is, the others are dry runs.
	nobody = "nobody"
	// enough pods have to be created for a load to prove anything.
	enough = 200
	// waiting bounds the requests under way, and with them how long each waits on a machine that is slow: what a webhook's
	// or the API server's own deadline ends would say nothing about the router.
	waiting = 10
)

// underLoad creates pods while f changes something, and until the last of them is answered.
func (w *world) underLoad(t *testing.T, name string, revisions []string, f func(*load.Generator)) load.Report {
	t.Helper()
	g, err := load.Start(t.Context(), load.Options{
		Config: w.cluster.Config(), Namespaces: []string{crowd}, Revisions: revisions,
		Rate: 50, Burst: waiting, BurstEvery: 2 * time.Second, StoreEvery: 20, MaxWaiting: waiting, Scheduler: nobody,
	})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() load.Report {
		stopped = true
		return g.Stop()
	}
	defer func() {
		if !stopped { // f has ended the test
			stop()
		}
	}()
	eventuallyCreated(t, g, enough)
	f(g)
	eventuallyCreated(t, g, g.Report().Requests()+enough)
	r := stop()
	w.results.load(name, r)
	t.Logf("%d pods (%.0f/s), %d failed, %d not sent, p50 %s, p99 %s, slowest %s", r.Requests(), r.Rate(), r.Failed(), r.Skipped, r.Took50, r.Took99, r.Slowest)
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	if err := w.kube.CoreV1().Pods(crowd).DeleteCollection(t.Context(), now, metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	return r
}

// eventuallyCreated waits until n pods are answered.
func eventuallyCreated(t *testing.T, g *load.Generator, n int) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for g.Report().Requests() < n {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%d pods were created, want %d", g.Report().Requests(), n)
		}
	}
}

func noneFailed(t *testing.T, r load.Report) {
	t.Helper()
	if r.Failed() > 0 {
		t.Errorf("%d of %d pods failed, want 0:\n%s", r.Failed(), r.Requests(), r.Failures())
	}
}
