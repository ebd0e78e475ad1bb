//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/revision-router/revision-router/test/local"
)

// rollingRestarts replaces all replicas as kubectl rollout restart does. Rows 12 and 18 of the catalogue.
func rollingRestarts(w *world) result {
	t := w.t
	const replicas = 3
	restarts := 3
	if w.short {
		restarts = 1
	}
	w.scale(t, replicas)
	first := w.routers().Replicas()
	g, stop := w.load(t)
	w.sleep(2 * time.Second)
	// Between being told to stop and leaving the Service, and again when the drain must have worked.
	w.routers().Stopping = func(*local.Replica) {
		for _, after := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 5 * time.Second} {
			w.sleep(after)
			g.Burst(w.ctx)
		}
	}
	defer func() { w.routers().Stopping = nil }()
	for i := range restarts {
		if err := w.routers().Restart(w.ctx); err != nil {
			t.Fatalf("restart %d: %v", i+1, err)
		}
		say("restart %d of %d is over", i+1, restarts)
	}
	w.sleep(2 * time.Second)
	report := stop()
	noneFailed(t, report)
	for _, r := range first {
		if r.Running() {
			t.Errorf("%s still runs", r.Name)
		}
		if err := r.Err(); err != nil {
			t.Errorf("%s did not stop cleanly: %v", r.Name, err)
		}
	}
	res := of(report)
	res.done = fmt.Sprintf("%d rolling restarts of %d replicas", restarts, replicas)
	res.figure = fmt.Sprintf("%d replicas replaced, %d failed admissions", restarts*replicas, report.Failed())
	return res
}

// replicaKilled has one of two replicas die without a warning. What may fail is what was under way on its
// connections, and what is sent to it until the kubelet has seen it and the Service has forgotten it. Row 32.
func replicaKilled(w *world) result {
	t := w.t
	w.scale(t, 2)
	g, stop := w.load(t)
	w.sleep(2 * time.Second)
	before := g.Report()
	if before.Failed() > 0 {
		t.Errorf("%d pods failed before anything was done:\n%s", before.Failed(), before.Failures())
	}
	victim := w.routers().Replicas()[0]
	lost, err := w.routers().Kill(victim)
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := w.routers().Gone(w.ctx, victim); err != nil {
		t.Fatal(err)
	}
	window, gone := time.Since(killed), g.Elapsed()
	w.sleep(3 * time.Second)
	w.scale(t, 2)
	report := stop()

	most := lost()
	if failed := report.Failed(); failed > most.All() {
		t.Errorf("%d pods failed; %d connections were open to the replica, %d were made while it died, and %d were sent to it before the Service knew:\n%s",
			failed, most.Open, most.Late, most.Refused, report.Failures())
	}
	if after := report.Failed() - report.SentBefore(gone); after > 0 {
		t.Errorf("%d pods failed that were sent after the Service had forgotten the replica", after)
	}
	res := of(report)
	res.done = "1 of 2 replicas killed by SIGKILL, later replaced"
	res.figure = fmt.Sprintf("%d failed of at most %d: %d connections open, %d made while it died, %d refused in the %.1f s until the Service knew; 0 after",
		report.Failed(), most.All(), most.Open, most.Late, most.Refused, window.Seconds())
	return res
}

// replicasHang stops the replicas without ending them: connections are taken and never answered. With Ignore, a pod
// must not wait longer than the webhook's timeout. Row 5.
func replicasHang(w *world) result {
	t := w.t
	w.scale(t, 2)
	w.failurePolicy(t, "Ignore")
	defer w.failurePolicy(t, "Fail")
	hung := w.routers().Replicas()
	for _, r := range hung {
		if err := r.Suspend(); err != nil {
			t.Fatal(err)
		}
	}
	var got string
	var took time.Duration
	// The API server learns of the other failurePolicy through a watch, so that the first pods may still be refused.
	w.eventually(t, 30*time.Second, "a pod is admitted", func(ctx context.Context) (err error) {
		began := time.Now()
		got, err = w.pod(ctx, shop, true)
		took = time.Since(began)
		return err
	})
	for _, r := range hung {
		if err := r.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if got != "" {
		t.Errorf("the pod leads to %q, want it admitted as if there were no router", got)
	}
	// One webhook of the router's matches a pod. What is above its timeout is for a machine that is busy.
	if timeout := w.webhookTimeout(t); took < timeout-time.Second || took > timeout+5*time.Second {
		t.Errorf("it took %s, want the webhook's timeout of %s", took, timeout)
	}
	healed := w.routed(t, revision)
	return result{
		done:   "both replicas suspended by SIGSTOP, failurePolicy Ignore",
		figure: fmt.Sprintf("pod admitted after %.1f s; %.1f s after the end all was well", took.Seconds(), healed.Seconds()),
	}
}
