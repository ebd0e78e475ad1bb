// Package lease elects the one replica that writes.
//
// Every replica serves, whoever holds the lease; what only the holder does is to write to the API server. Each of
// those writes is a compare-and-swap, so that the election spares attempts and is never needed to be safe. Therefore
// a replica that cannot take part in an election does not stand still for ever: see [Lease.Writes].
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The times of the election are those of Kubernetes' own components: a crash leaves nobody writing for Duration and
// a retry, and a holder that is cut off has stopped before another can begin.
const (
	// Duration is how long a holder that has fallen silent is waited for.
	Duration = 15 * time.Second
	// renewDeadline is when a holder that cannot renew gives up, shorter than Duration.
	renewDeadline = 10 * time.Second
	// retryPeriod is how often the holder renews, and, with a jitter of up to 120 %, how often the others look.
	retryPeriod = 2 * time.Second
	// Patience is how long nobody at all has to be seen holding the lease before a replica writes without it: a
	// whole Duration in which an election that works would have had a winner.
	Patience = 2 * Duration
)

// Options configure a [Lease]. All fields are required but Log.
type Options struct {
	Client kubernetes.Interface
	// Namespace and Name are those of the Lease object.
	Namespace, Name string
	// Identity is this replica's, and no other's: the name of its pod and something random.
	Identity string
	Now      func() time.Time
	Log      logr.Logger
}

func (o Options) validate() error {
	switch {
	case o.Client == nil:
		return errors.New("client is missing")
	case o.Namespace == "" || o.Name == "":
		return errors.New("namespace or name of the lease is missing")
	case o.Identity == "":
		return errors.New("identity is missing")
	case o.Now == nil:
		return errors.New("clock is missing")
	}
	return nil
}

// Lease is one replica's part in the election. Make it with New.
type Lease struct {
	options Options
	lock    *observedLock
}

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=revision-router,resourceNames=revision-router,verbs=get;update
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=revision-router,verbs=create

// New checks the options. The replica takes part from Start on.
func New(o Options) (*Lease, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("configure the lease: %w", err)
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
		Client:     o.Client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
	}
	return &Lease{options: o, lock: newObservedLock(lock, o.Now)}, nil
}

// Start takes part in the election until ctx is done, and gives the lease back then, so that the next replica need
// not wait for it to expire. It returns no error before: whoever loses the lease, or the API server, tries again.
func (l *Lease) Start(ctx context.Context) error {
	ctx = logr.NewContext(ctx, l.options.Log) // for client-go
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            l.lock,
		LeaseDuration:   Duration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Name:            l.options.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {},
			OnStoppedLeading: func() {},
			OnNewLeader: func(holder string) {
				l.options.Log.Info("the lease changed hands", "lease", l.options.Name, "holder", holder, "self", holder == l.options.Identity)
			},
		},
	})
	if err != nil {
		return fmt.Errorf("take part in the election: %w", err)
	}
	for ctx.Err() == nil {
		elector.Run(ctx) // returns when the lease was lost
	}
	return nil
}

// Held tells whether this replica holds the lease.
func (l *Lease) Held() bool {
	seen := l.lock.last()
	return seen.holder == l.options.Identity && l.options.Now().Sub(seen.at) < Duration
}

// Writes tells whether this replica should write: because it holds the lease, or because nobody has been seen to
// hold it for so long that the election does not work (no permission for it, say). Every replica that finds so then
// writes, which is safe: see the package comment.
func (l *Lease) Writes() bool {
	return l.Held() || l.options.Now().Sub(l.lock.last().at) > Patience
}

// Holder is the identity that was seen to hold the lease last; empty before, and after it was given back.
func (l *Lease) Holder() string { return l.lock.last().holder }
