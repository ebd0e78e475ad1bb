package mesh

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	// After an outage the mesh shall be current again within seconds, so the pauses stay far below the 30 s of
	// client-go. Each kind makes a request every two seconds, in each replica, while the API server is away.
	pauseFirst, pauseLongest = 200 * time.Millisecond, 2 * time.Second
	// pauseReset is how long requests must have gone well before the pauses are short again.
	pauseReset = time.Minute
	// pauseNotInstalled is how often a kind that is not installed is looked for. The skew rules have more of those,
	// and read the most important ones live.
	pauseNotInstalled, pauseNotInstalledSkew = time.Second, 3 * time.Second
	// pauseConfirm is the time between the two answers that it takes to believe that a kind is not installed.
	pauseConfirm = 250 * time.Millisecond
	// answersNotFound is how many there must be in a row.
	answersNotFound = 2
	// klogLevel hides the reflectors' own lines unless someone debugs: the phases of the kinds say the same once.
	klogLevel = 4
)

// follow lists and watches one kind until the context is done.
func (s *Source) follow(ctx context.Context, k *kind) {
	ctx = klog.NewContext(ctx, s.log.V(klogLevel))
	pauses := backoff()
	pause := pauses.DelayWithReset(s.clock, pauseReset)
	reflector := s.reflector(k)
	notFound := 0
	for ctx.Err() == nil {
		run, end := s.restartable(ctx, k)
		err := reflector.ListAndWatchWithContext(run)
		end()
		s.ended(k)
		if !k.maybeNotInstalled(err) {
			notFound = 0
			s.sleep(ctx, pause())
			continue
		}
		notFound++
		if !s.missing(ctx, k, notFound, err) {
			s.sleep(ctx, pauseConfirm)
			continue
		}
		// A new reflector forgets the resource version of the objects that are gone.
		reflector = s.reflector(k)
		s.sleep(ctx, s.lookAgain)
	}
}

// maybeNotInstalled tells an answer that [Source.missing] has to judge.
func (k *kind) maybeNotInstalled(err error) bool { return k.optional && apierrors.IsNotFound(err) }

// missing judges an answer that the kind does not exist, and empties it if that is certain. It takes two in a row,
// because of several API servers one may not know a new CustomResourceDefinition yet, and a successful list of a
// kind that every API server has: a load balancer or a proxy says "not found", too, when it has lost its way.
func (s *Source) missing(ctx context.Context, k *kind, answers int, notFound error) bool {
	s.mu.Lock()
	known := k.phase == NotInstalled
	s.mu.Unlock()
	if known {
		return true
	}
	if answers < answersNotFound {
		return false
	}
	if _, err := s.witness.List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		// The answer is not believed, and the kind keeps what was known of it.
		s.failed(ctx, k, verbList, fmt.Errorf("the API server says that there is no such kind (%v), but does not "+
			"list another one either: %w", notFound, err))
		return false
	}
	s.notInstalled(k)
	return true
}

func (s *Source) reflector(k *kind) *cache.Reflector {
	pauses := backoff()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := k.client.List(ctx, k.listOptions(o))
			if err != nil && !k.maybeNotInstalled(err) {
				s.failed(ctx, k, verbList, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := k.client.Watch(ctx, k.listOptions(o))
			if err != nil {
				if !k.maybeNotInstalled(err) {
					s.failed(ctx, k, verbWatch, err)
				}
				return nil, err
			}
			s.opened(k)
			return &openWatch{Interface: w, closed: func() { s.closed(k) }}, nil
		},
	}
	return cache.NewReflectorWithOptions(lw, nil, &store{source: s, kind: k}, cache.ReflectorOptions{
		Name: "mesh", TypeDescription: k.name(), Clock: s.clock, Backoff: &pauses,
	})
}

// openWatch tells when the reflector is done with it.
type openWatch struct {
	watch.Interface
	closed func()
}

// Stop implements watch.Interface. The reflector calls it whatever the watch ends by.
func (w *openWatch) Stop() {
	w.closed()
	w.Interface.Stop()
}

func backoff() wait.Backoff {
	return wait.Backoff{Duration: pauseFirst, Cap: pauseLongest, Factor: 2, Jitter: 0.5, Steps: 8}
}

// sleep waits, and returns early once the context is done.
func (s *Source) sleep(ctx context.Context, d time.Duration) {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}
