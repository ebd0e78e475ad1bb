//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/revision-router/revision-router/test/forward"
)

const (
	// stormPods are created at least, where E2E_PODS names no other number.
	stormPods = 10_000
	// creators create pods at a time.
	creators = 16
	// storeEvery: one of so many pods is stored. The others are dry runs, which go the same way through admission.
	storeEvery = 10
	// settledPods are admitted between two changes, at least.
	settledPods = 150
)

// history is which revisions a pod may get, over time. A change begins with both what was and what will be, and ends when
// every router answers by what is.
type history struct {
	mu   sync.Mutex
	sets [][]string
}

func (h *history) push(revisions ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sets = append(h.sets, revisions)
}

func (h *history) now() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sets) - 1
}

// allowed are the revisions that a pod could get at any moment between two.
func (h *history) allowed(from, to int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Sorted(slices.Values(slices.Concat(h.sets[from : to+1]...)))
	return slices.Compact(all)
}

// storm creates pods while everything around them changes.
type storm struct {
	*forwardWorld
	history history
	total   int
	// milestones are closed when so many pods are admitted.
	milestones map[int]chan struct{}
	// over is closed when the routers have been through everything, stop when no more pods are created.
	over, stop chan struct{}

	begun, admitted, stored, flips, restarts, crashes, failures atomic.Int64
	// settled are the pods that could get one revision only.
	settled atomic.Int64
	// bound is how many pods may find no router: those under way to the one that was killed, and those sent to it until the
	// Service knew.
	bound atomic.Int64

	mu       sync.Mutex
	refused  map[string]int
	examples map[string]string
	wrong    []string
	slowest  time.Duration
}

// kinds of pods, by their namespace.
func stormNamespaces() map[string][2]labels {
	return map[string][2]labels{
		"storm-injection": {{injection: "enabled"}, nil}, "storm-revision": {{rev: prod}, nil},
		"storm-pod-revision": {nil, {rev: prod}}, "storm-pod-injection": {nil, {inject: "true"}},
	}
}

func (w *forwardWorld) testStorm(t *testing.T) {
	s := &storm{
		forwardWorld: w, total: stormPods, over: make(chan struct{}), stop: make(chan struct{}), refused: map[string]int{}, examples: map[string]string{},
	}
	if text := os.Getenv("E2E_PODS"); text != "" {
		var err error
		if s.total, err = strconv.Atoi(text); err != nil {
			t.Fatalf("E2E_PODS: %v", err)
		}
	}
	s.milestones = map[int]chan struct{}{s.total / 5: make(chan struct{}), s.total * 3 / 5: make(chan struct{})}
	for name, of := range stormNamespaces() {
		w.namespace(t, name, of[0])
	}
	s.history.push(oldRevision)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	var creating, disturbing sync.WaitGroup
	for range creators {
		creating.Go(func() { s.create(ctx) })
	}
	disturbing.Go(func() { s.disturb(ctx, t) })
	disturbing.Go(func() {
		defer close(s.over)
		s.replaceRouters(ctx, t)
	})
	creating.Wait()
	took := time.Since(began)
	close(s.stop)
	disturbing.Wait()
	s.report(t, took)
}

// create creates pods, each again until it is admitted, as whatever creates pods does.
func (s *storm) create(ctx context.Context) {
	names := slices.Sorted(maps.Keys(stormNamespaces()))
	for ctx.Err() == nil {
		n := int(s.begun.Add(1))
		if n > s.total && s.isOver() {
			return
		}
		namespace := names[n%len(names)]
		pod := aPod(namespace, "storm", stormNamespaces()[namespace][1])
		dryRun := n%storeEvery != 0
		err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
			began, from := time.Now(), s.history.now()
			made, err := s.forwardWorld.create(ctx, pod.DeepCopy(), dryRun)
			if err != nil {
				s.refuse(err)
				return false, nil // noted, and tried again
			}
			revision, err := forward.Sidecar(made)
			allowed := s.history.allowed(from, s.history.now())
			if len(allowed) == 1 {
				s.settled.Add(1)
			}
			if err == nil && !slices.Contains(allowed, revision) {
				err = fmt.Errorf("it has the sidecar of %q, which it could not have asked for", revision)
			}
			s.admit(made.Namespace+"/"+made.Name, err, time.Since(began))
			if !dryRun {
				s.stored.Add(1)
			}
			return true, nil
		})
		if err != nil {
			s.admit(fmt.Sprintf("pod %d of %s", n, namespace), fmt.Errorf("it was never admitted: %w", err), 0)
		}
	}
}

func (s *storm) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

func (s *storm) admit(pod string, err error, took time.Duration) {
	s.mu.Lock()
	if err != nil {
		s.wrong = append(s.wrong, pod+": "+err.Error())
	}
	s.slowest = max(s.slowest, took)
	s.mu.Unlock()
	if reached := s.milestones[int(s.admitted.Add(1))]; reached != nil {
		close(reached)
	}
}

// The ways in which a pod may be refused meanwhile: a router died with it, and its injector died with it.
const (
	notCalled   = "the router was not reached"
	notInjected = "the injector was not reached"
	otherwise   = "otherwise"
)

func (s *storm) refuse(err error) {
	kind := otherwise
	switch text := err.Error(); {
	case strings.Contains(text, "failed calling webhook"):
		kind = notCalled
	case strings.Contains(text, "whose injector gave no answer"):
		kind = notInjected
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[kind]++
	if s.examples[kind] == "" {
		s.examples[kind] = err.Error()
	}
}

func (s *storm) refusals(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[kind]
}

func (s *storm) report(t *testing.T, took time.Duration) {
	t.Helper()
	var calls, injected, doubled int64
	for _, revision := range []string{oldRevision, newRevision} {
		c := s.mesh.Counts(revision)
		calls, injected, doubled = calls+c.Requests, injected+c.Injected, doubled+c.Doubled
	}
	t.Logf("%d pods admitted in %s (%.0f/s, slowest %s), %d of them stored, %d between changes, during %d flips, %d restarts, %d crashes "+
		"and %d failures of injectors, %d routers replaced and 1 killed; the injectors were called %d times and injected %d",
		s.admitted.Load(), took.Round(time.Second), float64(s.admitted.Load())/took.Seconds(), s.slowest.Round(time.Millisecond),
		s.stored.Load(), s.settled.Load(), s.flips.Load(), s.restarts.Load(), s.crashes.Load(), s.failures.Load(), routers, calls, injected)
	for kind, n := range s.refused {
		t.Logf("%d were refused and created again: %s, such as: %s", n, kind, s.examples[kind])
	}
	if n := s.refused[otherwise]; n > 0 {
		t.Errorf("%d pods were refused for a reason that does not belong here", n)
	}
	if n := int64(s.refused[notCalled]); n > s.bound.Load() {
		t.Errorf("%d pods found no router, want at most the %d that were sent to the one that was killed", n, s.bound.Load())
	}
	if s.admitted.Load() < int64(s.total) || s.flips.Load() == 0 || s.settled.Load() < s.admitted.Load()/4 || s.restarts.Load() == 0 {
		t.Error("that proves nothing")
	}
	if len(s.wrong) > 0 {
		t.Errorf("%d pods are wrong:\n%s", len(s.wrong), strings.Join(s.wrong[:min(len(s.wrong), 5)], "\n"))
	}
	if doubled > 0 {
		t.Errorf("%d pods had a sidecar already when they came to an injector", doubled)
	}
	s.judgeStored(t)
}

// judgeStored looks once more at what etcd holds.
func (s *storm) judgeStored(t *testing.T) {
	t.Helper()
	pods := s.storedPods(t, slices.Collect(maps.Keys(stormNamespaces())))
	// A pod of which the creation broke off may have been stored: it was created again, under another name.
	if len(pods) < int(s.stored.Load()) {
		t.Errorf("%d pods are stored, want %d", len(pods), s.stored.Load())
	}
	for i := range pods {
		if revision, err := forward.Sidecar(&pods[i]); err != nil || revision == "" {
			t.Errorf("stored pod %s/%s: revision %q: %v", pods[i].Namespace, pods[i].Name, revision, err)
		}
	}
}
