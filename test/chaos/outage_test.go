//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/revision-router/revision-router/routing"
)

// coldStart is how long before the end of the outage another replica is started.
const coldStart = 8 * time.Second

// apiServerAway stops the API server. The replicas go on answering from their snapshot; they are asked directly, as
// nobody else can ask them then, and one of them gets fuzzed reviews meanwhile. Afterwards everything is right without a restart, from the first second on: also for
// a namespace that the replicas never heard of. Rows 10 and 11 of the catalogue.
func apiServerAway(w *world) result {
	t := w.t
	outage := 2 * time.Minute
	if w.short {
		outage = 15 * time.Second
	}
	w.scale(t, 2)
	before := w.routers().Replicas()
	asker, stranger := w.asker(t, shop), w.strangersAsker(t)
	if err := w.env.Cluster.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	fuzzed := make(chan int64, 1)
	go func() { fuzzed <- w.fuzz(t, stranger, before[0], outage) }()
	asked, wrong := w.askFor(t, asker, outage-coldStart)
	// A third one starts when it can learn nothing: nobody must be sent to it.
	third := make(chan error, 1)
	go func() { third <- w.routers().Scale(w.ctx, len(before)+1) }()
	more, alsoWrong := w.askFor(t, asker, coldStart)
	asked, wrong = asked+more, wrong+alsoWrong
	reviews := <-fuzzed
	if ready := w.routers().Service.Ready(); ready != len(before) {
		t.Errorf("%d of %d replicas are ready during the outage; none must be taken out for it", ready, len(before))
	}
	if err := w.env.Cluster.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	first := w.firstPod(t, back)
	w.pointTag(t, oldRevision)
	tag := w.routed(t, oldRevision)
	if err := <-third; err != nil {
		t.Errorf("a replica that was started during the outage: %v", err)
	}
	w.pointTag(t, revision)
	w.routedEverywhere(t, asker, revision)
	_, stop := w.load(t)
	w.sleep(3 * time.Second)
	report := stop()
	noneFailed(t, report)
	for i, r := range before {
		if r != w.routers().Replicas()[i] || !r.Running() {
			t.Errorf("%s is not the one of before the outage", r.Name)
		}
	}
	res := of(report)
	res.requests += asked
	res.failures += wrong
	res.done = fmt.Sprintf("API server stopped for %.0f s, fuzzed reviews meanwhile", outage.Seconds())
	res.figure = fmt.Sprintf("%d of %d direct answers right beside %d fuzzed; first pod right after %.2f s; a moved tag visible after %.1f s",
		asked-wrong, asked, reviews, first.Seconds(), tag.Seconds())
	return res
}

// askFor asks every replica by turns, about 50 times a second, and counts the answers that are not right.
func (w *world) askFor(t *testing.T, a *asker, d time.Duration) (asked, wrong int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	replicas := w.routers().Replicas()[:2]
	for began := time.Now(); time.Since(began) < d; {
		<-tick.C
		got, err := a.revision(w.ctx, replicas[asked%len(replicas)])
		asked++
		if err == nil && got == revision {
			continue
		}
		if wrong++; wrong < 4 {
			t.Errorf("%s after the API server went: %q, %v", time.Since(began), got, err)
		}
	}
	return asked, wrong
}

// firstPod makes a namespace, and a pod in it that is stored, as soon as the API server takes them.
func (w *world) firstPod(t *testing.T, back time.Time) time.Duration {
	t.Helper()
	w.eventually(t, 20*time.Second, "the API server takes a namespace", func(context.Context) error {
		return w.namespace("first", map[string]string{routing.LabelInjection: "enabled"})
	})
	got, err := w.pod(w.ctx, "first", false)
	if err != nil || got != revision {
		t.Errorf("the first pod after the outage leads to %q (%v), want %s", got, err, revision)
	}
	return time.Since(back)
}

// routedEverywhere waits until each replica sends pods there.
func (w *world) routedEverywhere(t *testing.T, a *asker, revision string) {
	t.Helper()
	for _, r := range w.routers().Replicas() {
		w.eventually(t, time.Minute, r.Name+" sends pods to "+revision, func(ctx context.Context) error {
			got, err := a.revision(ctx, r)
			if err == nil && got != revision {
				err = errors.New("it sends them to " + got)
			}
			return err
		})
	}
}
