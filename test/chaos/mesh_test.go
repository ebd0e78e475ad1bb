//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/routing"
)

// tagMoved moves a tag to and fro under load. Every pod gets the old revision or the new one, and after the move has
// become visible only the new one. Row 9 of the catalogue.
func tagMoved(w *world) result {
	t := w.t
	moves := 20
	if w.short {
		moves = 6
	}
	w.scale(t, 2)
	asker := w.asker(t, shop)
	_, stop := w.load(t, oldRevision, revision)
	w.sleep(time.Second)
	var slowest time.Duration
	for i := range moves {
		target := oldRevision
		if i%2 == 1 {
			target = revision
		}
		began := time.Now()
		w.pointTag(t, target)
		w.routedEverywhere(t, asker, target)
		slowest = max(slowest, time.Since(began))
	}
	report := stop()
	noneFailed(t, report)
	_, stop = w.load(t)
	w.sleep(2 * time.Second)
	noneFailed(t, stop())
	res := of(report)
	res.done = fmt.Sprintf("a tag moved %d times under load", moves)
	res.figure = fmt.Sprintf("all pods old or new; every replica knew of a move after %d ms at most", slowest.Milliseconds())
	return res
}

// pointTag writes the tag's status as the operator does.
func (w *world) pointTag(t *testing.T, target string) {
	t.Helper()
	tags := w.dyn.Resource(schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: "istiorevisiontags"})
	patch := fmt.Appendf(nil, `{"status":{"istioRevision":%q}}`, target)
	_, err := tags.Patch(w.ctx, routing.DefaultRevision, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
}

// newNamespaces creates a namespace and, as soon as that is answered, a pod in it. The snapshots of the replicas
// cannot know the namespace yet. Row 7 of the catalogue.
func newNamespaces(w *world) result {
	t := w.t
	const atOnce = 4
	pairs := 1000
	if w.short {
		pairs = 100
	}
	w.scale(t, 2)
	var all sync.WaitGroup
	var mu sync.Mutex
	wrong := 0
	began := time.Now()
	for worker := range atOnce {
		all.Go(func() {
			for i := worker; i < pairs; i += atOnce {
				name := fmt.Sprintf("new-%d", i)
				err := w.namespace(name, map[string]string{routing.LabelRevision: routing.DefaultRevision})
				var got string
				if err == nil {
					got, err = w.pod(w.ctx, name, true)
				}
				if err == nil && got == revision {
					continue
				}
				mu.Lock()
				wrong++
				if wrong < 4 {
					t.Errorf("a pod of %s leads to %q (%v), want %s", name, got, err, revision)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return result{
		done: fmt.Sprintf("%d namespaces made, a pod in each at once", pairs),
		rate: float64(pairs) / time.Since(began).Seconds(), requests: pairs, failures: wrong,
		figure: fmt.Sprintf("%d wrong answers", wrong),
	}
}

// namespaceRelabelled changes which of Istio's labels a namespace has, to and fro, while pods are created in it. Each
// pod goes where one of the two labels leads, or is refused because the labels change at that moment, which a
// controller repeats. Row 8 of the catalogue.
func namespaceRelabelled(w *world) result {
	t := w.t
	const name, workers = "restless", 4
	changes := 60
	if w.short {
		changes = 20
	}
	w.scale(t, 2)
	if err := w.namespace(name, map[string]string{routing.LabelInjection: "enabled"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var done atomic.Bool
	defer all.Wait()
	defer done.Store(true)
	var asked, wrong, again atomic.Int64
	for range workers {
		all.Go(func() {
			for !done.Load() {
				got, err := w.pod(w.ctx, name, true)
				asked.Add(1)
				switch {
				case err == nil && (got == revision || got == oldRevision):
				case apierrors.IsConflict(err) || err != nil && strings.Contains(err.Error(), "labels are changing just now"):
					again.Add(1)
				case wrong.Add(1) < 4:
					t.Errorf("a pod leads to %q (%v)", got, err)
				}
			}
		})
	}
	began := time.Now()
	w.relabel(t, name, changes)
	done.Store(true)
	all.Wait()
	return result{
		done: fmt.Sprintf("a namespace changed between two of Istio's labels %d times", changes),
		rate: float64(asked.Load()) / time.Since(began).Seconds(), requests: int(asked.Load()), failures: int(wrong.Load()),
		figure: fmt.Sprintf("every pod of %d by one of the two labels, or refused with 409 to be repeated (%d)", asked.Load(), again.Load()),
	}
}

// relabel has the label istio.io/rev come and istio-injection go, and the other way round. After each change it waits
// until pods follow it.
func (w *world) relabel(t *testing.T, namespace string, times int) {
	t.Helper()
	for i := range times {
		body, want := `{"metadata":{"labels":{"istio-injection":null,"istio.io/rev":"`+oldRevision+`"}}}`, oldRevision
		if i%2 == 1 {
			body, want = `{"metadata":{"labels":{"istio-injection":"enabled","istio.io/rev":null}}}`, revision
		}
		_, err := w.kube.CoreV1().Namespaces().Patch(w.ctx, namespace, types.MergePatchType, []byte(body), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.eventually(t, time.Minute, "pods follow the label", func(ctx context.Context) error {
			got, err := w.pod(ctx, namespace, true)
			if err == nil && got != want {
				err = fmt.Errorf("a pod leads to %q", got)
			}
			return err
		})
	}
}
