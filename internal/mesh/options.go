package mesh

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/routing"
)

const (
	// defaultInterval: a person who changes a tag and restarts a workload is slower than 100 ms, and 10 rebuilds a
	// second of a mesh with 10,000 namespaces take a few percent of one core.
	defaultInterval = 100 * time.Millisecond
	// defaultReadTimeout is a small part of a webhook's deadline of 5 s, so that a read that hangs still leaves time
	// for an answer.
	defaultReadTimeout = 500 * time.Millisecond
	// defaultReadLimit keeps a storm of pods in new namespaces from becoming a storm of reads: a read takes a few
	// milliseconds, so 32 at a time are several thousand in a second.
	defaultReadLimit = 32
)

// Options configure a [Source]. Only Config is required.
type Options struct {
	// Config of the API server. Its rate limits are not used: the source makes few requests by itself, and live
	// reads are bounded by ReadLimit and by the API server's own priority and fairness.
	Config *rest.Config
	// Log gets one line for each change of what can be followed.
	Log logr.Logger
	// Interval is the shortest time between two snapshots; 100 ms where it is zero.
	Interval time.Duration
	// ReadTimeout bounds [Source.Namespace]; 500 ms where it is zero.
	ReadTimeout time.Duration
	// ReadLimit is how many live reads may be under way at a time; 32 where it is zero.
	ReadLimit int
	// Mode is who injects; routing.Guard where it is empty. In routing.Forward the source also follows what tells
	// whether and how injectors can be called.
	Mode routing.Mode
	// Precedence flags namespaces in routing.Forward, until [Source.SetPrecedence].
	Precedence routing.Precedence
	// Excluded are the namespaces whose pods the router's own webhook configuration leaves out.
	Excluded []string
	// Clock is the real one where it is nil.
	Clock clock.Clock
	// OnPublish is called with each new snapshot, in their order. The next one waits for it.
	OnPublish func(*routing.Mesh, Stats)
	// Intercept is for tests that inject faults, and nil otherwise. It is called with the name of a kind (its
	// resource, such as "namespaces") before an event or a list of that kind is applied; while it blocks, the
	// events of that kind wait, as in an informer that lags.
	Intercept func(kind string)
}

func (o Options) complete() (Options, error) {
	if o.Config == nil {
		return o, errors.New("mesh: Options.Config is not set")
	}
	if o.Interval < 0 || o.ReadTimeout < 0 || o.ReadLimit < 0 {
		return o, errors.New("mesh: Interval, ReadTimeout and ReadLimit must not be negative")
	}
	if o.Mode != "" && !slices.Contains(routing.Modes(), o.Mode) {
		return o, fmt.Errorf("mesh: Options.Mode is %q, want one of %q", o.Mode, routing.Modes())
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = defaultReadTimeout
	}
	if o.ReadLimit == 0 {
		o.ReadLimit = defaultReadLimit
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.OnPublish == nil {
		o.OnPublish = func(*routing.Mesh, Stats) {}
	}
	if o.Intercept == nil {
		o.Intercept = func(string) {}
	}
	return o, nil
}
