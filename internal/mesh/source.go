package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// Source follows a cluster. Make one with [New]; its methods may be called from any number of goroutines.
type Source struct {
	log       logr.Logger
	clock     clock.Clock
	interval  time.Duration
	onPublish func(*routing.Mesh, Stats)
	intercept func(kind string)
	// lookAgain is the time between two looks for a kind that is not installed.
	lookAgain time.Duration
	reads     *reads
	// witness lists a kind that every API server has.
	witness client

	current atomic.Pointer[snapshot]
	started atomic.Bool
	// first is closed once there is a snapshot.
	first chan struct{}
	// stale is written to when a snapshot may be due.
	stale chan struct{}

	mu      sync.Mutex
	watched watched
	kinds   []*kind
	// copyKnown copies what the kinds hold, under the lock, and returns what makes a snapshot of the copy without it.
	copyKnown func() (build func() *snapshot)
	// changedAt is when the first change came that no snapshot holds yet; zero where there is none. heardAt is when
	// the API server was last heard of.
	changedAt, heardAt time.Time
	// rebuild: a change, or the first sync of a kind, calls for a snapshot.
	rebuild bool
}

// New makes a source that follows nothing until [Source.Start].
func New(given Options) (*Source, error) {
	o, err := given.complete()
	if err != nil {
		return nil, err
	}
	c, err := newClients(o.Config)
	if err != nil {
		return nil, err
	}
	s := newSource(o)
	s.feed(c, s.watched.table(c), s.watched.copyKnown)
	s.reads = newReads(o, c.metadata.Resource(namespaces()), s.watched.namespaceOf)
	return s, nil
}

func newSource(o Options) *Source {
	return &Source{
		log:       o.Log,
		clock:     o.Clock,
		interval:  o.Interval,
		onPublish: o.OnPublish,
		intercept: o.Intercept,
		lookAgain: pauseNotInstalled,
		first:     make(chan struct{}),
		stale:     make(chan struct{}, 1),
		watched:   newWatched(o),
		rebuild:   true,
	}
}

// feed sets what is followed, and what makes a snapshot of it.
func (s *Source) feed(c clients, kinds []*kind, copyKnown func() (build func() *snapshot)) {
	s.kinds, s.copyKnown = kinds, copyKnown
	for _, k := range kinds {
		k.phase, k.since = Connecting, s.clock.Now()
	}
	s.witness = metadataClient{c.metadata.Resource(deployments())}
}

// Start follows the cluster until the context is done, and returns once nothing of it runs any more. It never gives
// up: what cannot be followed is in [Source.Ready], [Source.Stats] and the log.
func (s *Source) Start(ctx context.Context) error {
	if s.started.Swap(true) {
		return errors.New("mesh: the source was started already")
	}
	var running sync.WaitGroup
	s.mu.Lock()
	kinds := slices.Clone(s.kinds)
	if f := s.watched.forwarding; f != nil {
		// It is called by the publisher only, which is among the running itself.
		f.begin = func(k *kind) (end func()) {
			ctx, cancel := context.WithCancel(ctx)
			running.Go(func() { s.follow(ctx, k) })
			return cancel
		}
	}
	s.mu.Unlock()
	for _, k := range kinds {
		running.Go(func() { s.follow(ctx, k) })
	}
	running.Go(func() { s.publishWhenDue(ctx) })
	running.Wait()
	return nil
}

// NeedLeaderElection tells controller-runtime's manager to start the source in every replica.
func (s *Source) NeedLeaderElection() bool { return false }

// Mesh returns the latest snapshot, and nil before the first one.
func (s *Source) Mesh() *routing.Mesh {
	if now := s.current.Load(); now != nil {
		return now.mesh
	}
	return nil
}

// Istios returns the Istio objects of the latest snapshot in order of name. The slice must not be changed.
func (s *Source) Istios() []sail.Istio {
	if now := s.current.Load(); now != nil {
		return now.istios
	}
	return nil
}

// Namespace reads the namespace from the API server, whatever the snapshot says of it. The answer is at least as new
// as the call. Concurrent calls for one namespace share requests; it takes at most Options.ReadTimeout. A namespace
// that does not exist is an error of which apierrors.IsNotFound is true.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
func (s *Source) Namespace(ctx context.Context, name string) (routing.Namespace, error) {
	return s.reads.namespace(ctx, name)
}

// Ready is nil once the first snapshot is published. It stays so through outages: a replica that decides by what
// was known last is better than none (fail static); [Stats].StaleSince tells how old that is.
func (s *Source) Ready() error {
	if s.current.Load() != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []error
	for _, k := range s.kinds {
		if err := k.wants(); err != nil {
			missing = append(missing, err)
		}
	}
	if len(missing) == 0 {
		return errors.New("mesh: the first snapshot is being built")
	}
	return fmt.Errorf("mesh: no snapshot yet: %w", errors.Join(missing...))
}

// changed notes a change that the snapshot does not hold yet. The caller holds the lock.
func (s *Source) changed(now time.Time) {
	s.rebuild = true
	if s.changedAt.IsZero() {
		s.changedAt = now
	}
}

// poke wakes the publisher.
func (s *Source) poke() {
	select {
	case s.stale <- struct{}{}:
	default: // it is awake already
	}
}
