package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
)

// status shows what the tag asks for while the pods still run where they were.
func (w *rollout) status(ctx context.Context) error {
	w.command("router status --mode forward")
	text, err := w.env.Router(ctx, "status", "--mode", "forward")
	if err != nil {
		return err
	}
	fmt.Fprint(w.Out, text)
	waiting := 0
	for _, d := range w.fleet {
		if w.last[d.key()] != below(w.asked)(d.slot()) {
			waiting++
		}
	}
	w.check(strings.Contains(text, fmt.Sprintf("%d workloads wait for a restart", waiting)), "it knows the %d workloads that wait for a restart", waiting)
	return nil
}

// within is a workload whose slot is in a range.
func (w *rollout) within(from, to int) *deployment {
	for _, d := range w.fleet {
		if slot := d.slot(); from <= slot && slot < to {
			return d
		}
	}
	return w.fleet[0]
}

// settle waits until the router answers for a workload as expected. It asks by dry run.
func (w *rollout) settle(ctx context.Context, d *deployment, revision string, followed routing.Followed) error {
	deadline, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pod, err := w.kube.CoreV1().Pods(d.namespace).Create(ctx, d.probe(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		var last string
		if err != nil {
			last = err.Error()
		} else {
			got, err := forward.Sidecar(pod)
			if err == nil && got == revision && pod.Annotations[routing.AnnotationFollowed] == string(followed) {
				return nil
			}
			last = fmt.Sprintf("%q by %q, %v", got, pod.Annotations[routing.AnnotationFollowed], err)
		}
		select {
		case <-deadline.Done():
			return fmt.Errorf("waiting for pods of %s to go to %s by %q: %s: %w", d.key(), revision, followed, last, deadline.Err())
		case <-tick.C:
		}
	}
}
