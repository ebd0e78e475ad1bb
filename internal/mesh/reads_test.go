package mesh

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/routing"
)

// slowServer answers after a delay with a namespace whose revision label tells the number of the request.
type slowServer struct {
	delay            time.Duration
	begun, now, most atomic.Int64
}

func (s *slowServer) get(ctx context.Context, name string) (routing.Namespace, error) {
	number := s.begun.Add(1)
	for now := s.now.Add(1); ; {
		most := s.most.Load()
		if now <= most || s.most.CompareAndSwap(most, now) {
			break
		}
	}
	defer s.now.Add(-1)
	select {
	case <-time.After(s.delay):
		return routing.NamespaceOf(name, map[string]string{"istio.io/rev": strconv.FormatInt(number, 10)}), nil
	case <-ctx.Done():
		return routing.Namespace{}, ctx.Err()
	}
}

func newTestReads(t *testing.T, o Options, get func(context.Context, string) (routing.Namespace, error)) *reads {
	t.Helper()
	s := offline(t, o)
	s.reads.get = get
	return s.reads
}

func TestConcurrentReadsShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{delay: 10 * time.Millisecond}
		r := newTestReads(t, Options{}, server.get)
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				if _, err := r.namespace(t.Context(), "shop"); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		// One that the first call began, and one for those that came while it was under way.
		if got := server.begun.Load(); got > 2 {
			t.Errorf("1000 concurrent calls made %d requests, want at most 2", got)
		}
		if got := server.most.Load(); got != 1 {
			t.Errorf("%d requests for one namespace at a time, want 1", got)
		}
	})
}

// The answer of a request that was under way before the call may be older than what the caller knows.
func TestAnswerIsNotOlderThanTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{delay: 10 * time.Millisecond}
		r := newTestReads(t, Options{}, server.get)
		var calls sync.WaitGroup
		for range 200 {
			calls.Go(func() {
				before := server.begun.Load()
				ns, err := r.namespace(t.Context(), "shop")
				if err != nil {
					t.Error(err)
					return
				}
				var number int64
				if _, err := fmt.Sscan(ns.Revision.Value, &number); err != nil || number <= before {
					t.Errorf("the answer is of request %s, but %d had begun before the call (%v)", ns.Revision.Value, before, err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		calls.Wait()
		if got := server.begun.Load(); got > 25 {
			t.Errorf("calls over 200 ms made %d requests of 10 ms, want them one after the other", got)
		}
	})
}

func TestReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{delay: 10 * time.Millisecond}
		r := newTestReads(t, Options{ReadLimit: 3}, server.get)
		var calls sync.WaitGroup
		for n := range 30 {
			calls.Go(func() {
				if _, err := r.namespace(t.Context(), fmt.Sprint("ns-", n)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if got := server.most.Load(); got != 3 {
			t.Errorf("%d requests at a time, want 3", got)
		}
	})
}

func TestReadEndsAtItsDeadline(t *testing.T) {
	cases := map[string]struct {
		options Options
		names   int
	}{
		"a server that hangs":        {Options{}, 1},
		"a queue that does not move": {Options{ReadLimit: 1}, 5},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &slowServer{delay: time.Hour}
				r := newTestReads(t, tc.options, server.get)
				var bubble clock.RealClock // its time
				start := bubble.Now()
				var calls sync.WaitGroup
				for n := range tc.names {
					calls.Go(func() {
						if _, err := r.namespace(t.Context(), fmt.Sprint("ns-", n)); !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("got %v, want the deadline", err)
						}
					})
				}
				calls.Wait()
				if got := bubble.Since(start); got != defaultReadTimeout {
					t.Errorf("it took %s, want %s", got, defaultReadTimeout)
				}
				synctest.Wait()
				if len(r.running)+len(r.waiting) > 0 {
					t.Errorf("requests are left: %d running, %d waiting", len(r.running), len(r.waiting))
				}
			})
		})
	}
}

func TestCallerThatGoesAwayTakesNoAnswerFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{delay: 10 * time.Millisecond}
		r := newTestReads(t, Options{}, server.get)
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := r.namespace(ctx, "shop"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the caller's own end", err)
			}
		})
		synctest.Wait()
		for range 2 {
			calls.Go(func() {
				if _, err := r.namespace(t.Context(), "shop"); err != nil {
					t.Errorf("another caller got %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		calls.Wait()
	})
}

func TestErrorOfTheServerIsKept(t *testing.T) {
	r := newTestReads(t, Options{}, func(_ context.Context, name string) (routing.Namespace, error) {
		return routing.Namespace{}, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
	})
	_, err := r.namespace(t.Context(), "gone")
	if !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want an error of which IsNotFound is true", err)
	}
}
