//go:build e2e

package migrate

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// watcher counts the healthy pods of every budget at every change of a pod, in the order in which the API server has
// made the changes.
type watcher struct {
	mu sync.Mutex
	// wanted are the healthy pods that each budget asks for, healthy those that there are, lowest the fewest that were.
	wanted, healthy, lowest map[string]int
	pods                    map[types.UID]bool
	events, judged          int
	violations              []string
}

func newWatcher() *watcher {
	return &watcher{wanted: map[string]int{}, healthy: map[string]int{}, lowest: map[string]int{}, pods: map[types.UID]bool{}}
}

func (w *watcher) expect(budget string, healthy int) { w.wanted[budget] = healthy }

// start begins with what there is, and goes on until the test ends. No event may be missed: the watch is one of the API
// server's own, and its end is a failure.
func (w *watcher) start(t *testing.T, client kubernetes.Interface) error {
	t.Helper()
	list, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		w.count(&list.Items[i], false)
	}
	for budget, wanted := range w.wanted {
		if w.healthy[budget] < wanted {
			return fmt.Errorf("budget %s has %d healthy pods from the start, and wants %d", budget, w.healthy[budget], wanted)
		}
		w.lowest[budget] = w.healthy[budget]
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{
		ResourceVersion: list.ResourceVersion, TimeoutSeconds: new(int64(3600)),
	})
	if err != nil {
		cancel()
		return err
	}
	var done sync.WaitGroup
	done.Go(func() { w.follow(ctx, changes) })
	t.Cleanup(func() { cancel(); changes.Stop(); done.Wait() })
	return nil
}

func (w *watcher) follow(ctx context.Context, changes watch.Interface) {
	for event := range changes.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		w.mu.Lock()
		if !ok {
			w.violations = append(w.violations, fmt.Sprintf("the watch failed: %v", event.Object))
		} else {
			w.events++
			w.judge(pod, event.Type == watch.Deleted)
		}
		w.mu.Unlock()
	}
	if ctx.Err() == nil {
		w.mu.Lock()
		w.violations = append(w.violations, "the watch has ended")
		w.mu.Unlock()
	}
}

// count keeps the number of healthy pods, as the controller of budgets counts them.
func (w *watcher) count(pod *corev1.Pod, deleted bool) (budget string) {
	name := pod.Labels[labelBudget]
	if name == "" {
		return ""
	}
	budget = pod.Namespace + "/" + name
	healthy := false
	for _, c := range pod.Status.Conditions {
		healthy = healthy || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}
	healthy = healthy && !deleted && pod.DeletionTimestamp == nil
	if was := w.pods[pod.UID]; was != healthy {
		w.healthy[budget] += map[bool]int{true: 1, false: -1}[healthy]
	}
	w.pods[pod.UID] = healthy
	return budget
}

func (w *watcher) judge(pod *corev1.Pod, deleted bool) {
	budget := w.count(pod, deleted)
	if budget == "" {
		return
	}
	w.judged++
	have := w.healthy[budget]
	w.lowest[budget] = min(w.lowest[budget], have)
	if have < w.wanted[budget] {
		w.violations = append(w.violations, fmt.Sprintf("budget %s: %d healthy pods of %d at version %s, when pod %s changed",
			budget, have, w.wanted[budget], pod.ResourceVersion, pod.Name))
	}
}

// report fails the test if a budget was violated, or if the watch could not have noticed.
func (w *watcher) report(t *testing.T) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, v := range w.violations {
		if i == 10 {
			t.Errorf("and %d more", len(w.violations)-i)
			break
		}
		t.Error(v)
	}
	used := 0
	for budget, lowest := range w.lowest {
		if lowest == w.wanted[budget] {
			used++
		}
	}
	if used < len(w.wanted)/2 {
		t.Errorf("only %d of %d budgets were ever used up", used, len(w.wanted))
	}
	return fmt.Sprintf("%d changes of pods, %d of them under one of %d budgets, of which %d were used up: %d violations",
		w.events, w.judged, len(w.wanted), used, len(w.violations))
}
