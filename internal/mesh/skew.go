package mesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/routing/skew"
)

const (
	// defaultSkewInterval: pods come and go all the time, and who judges a change by their number to the second
	// would be wrong a second later. What must be right to the millisecond is read live: see [Skew.LiveSkewMesh].
	defaultSkewInterval = 500 * time.Millisecond
	// defaultLiveTimeout is for a list of eight kinds at once, within a webhook's deadline of 5 s.
	defaultLiveTimeout = time.Second
	// defaultLiveLimit keeps a sync of hundreds of objects from becoming hundreds of lists at a time.
	defaultLiveLimit = 8
)

// SkewOptions configure a [Skew]. Only Config is required.
type SkewOptions struct {
	// Config of the API server. Its rate limits are not used, as in [Options].
	Config *rest.Config
	// Log gets one line for each change of what can be followed.
	Log logr.Logger
	// Interval is the shortest time between two snapshots; 500 ms where it is zero.
	Interval time.Duration
	// LiveTimeout bounds each live read; 1 s where it is zero.
	LiveTimeout time.Duration
	// LiveLimit is how many live reads may be under way at a time, the others wait; 8 where it is zero.
	LiveLimit int
	// Clock is the real one where it is nil.
	Clock clock.Clock
	// Intercept is as in [Options].
	Intercept func(kind string)
}

func (o SkewOptions) complete() (SkewOptions, Options, error) {
	if o.Config == nil {
		return o, Options{}, errors.New("mesh: SkewOptions.Config is not set")
	}
	if o.Interval < 0 || o.LiveTimeout < 0 || o.LiveLimit < 0 {
		return o, Options{}, errors.New("mesh: Interval, LiveTimeout and LiveLimit must not be negative")
	}
	if o.Interval == 0 {
		o.Interval = defaultSkewInterval
	}
	if o.LiveTimeout == 0 {
		o.LiveTimeout = defaultLiveTimeout
	}
	if o.LiveLimit == 0 {
		o.LiveLimit = defaultLiveLimit
	}
	general, err := Options{
		Config: o.Config, Log: o.Log, Interval: o.Interval, Clock: o.Clock, Intercept: o.Intercept,
	}.complete()
	return o, general, err
}

// Skew follows what the skew rules need to know, down to the pods. It is a source of its own beside [Source]: where
// the router may not list pods, or an API server refuses one of the many kinds, the rules have no mesh to look at,
// and pods are routed all the same.
type Skew struct {
	// source is the engine that follows, keeps and publishes.
	source     *Source
	known      *inventoried
	gateways   rest.Interface
	namespaces metadata.Getter
	timeout    time.Duration
	slots      chan struct{}
}

// NewSkew makes a source that follows nothing until [Skew.Start].
func NewSkew(given SkewOptions) (*Skew, error) {
	o, general, err := given.complete()
	if err != nil {
		return nil, err
	}
	c, err := newClients(o.Config)
	if err != nil {
		return nil, err
	}
	s := &Skew{
		source:     newSource(general),
		known:      newInventoried(),
		gateways:   c.gateways,
		namespaces: c.metadata.Resource(namespaces()),
		timeout:    o.LiveTimeout,
		slots:      make(chan struct{}, o.LiveLimit),
	}
	s.source.lookAgain = pauseNotInstalledSkew
	s.source.feed(c, s.known.table(c), s.known.copyKnown)
	return s, nil
}

// Start follows the cluster until the context is done, as [Source.Start] does.
func (s *Skew) Start(ctx context.Context) error { return s.source.Start(ctx) }

// NeedLeaderElection tells controller-runtime's manager to start the source in every replica.
func (s *Skew) NeedLeaderElection() bool { return s.source.NeedLeaderElection() }

// Ready is nil once the first snapshot is published, and stays so: see [Source.Ready].
func (s *Skew) Ready() error {
	if err := s.source.Ready(); err != nil {
		return fmt.Errorf("skew: %w", err)
	}
	return nil
}

// Stats returns the present figures.
func (s *Skew) Stats() Stats { return s.source.Stats() }

// SkewMesh returns the latest snapshot, and nil before the first one. It must not be changed.
func (s *Skew) SkewMesh() *skew.Mesh {
	if now := s.source.current.Load(); now != nil {
		return now.skew
	}
	return nil
}

func podsOf(workloads []skew.Workload) int {
	pods := 0
	for i := range workloads {
		pods += workloads[i].Pods
	}
	return pods
}
