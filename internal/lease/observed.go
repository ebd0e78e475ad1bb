package lease

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// callTimeout bounds one request: the elector sets no limit while it tries to acquire, and an API server that accepts
// connections without answering would keep it from ever trying again.
const callTimeout = 5 * time.Second

// observedLock notes when the record of the lease was last seen to change. The elector knows as much, but does
// not tell; and what it calls the leader stays the leader while the API server is away.
type observedLock struct {
	resourcelock.Interface
	now func() time.Time

	mu   sync.Mutex
	seen seen
}

// seen is the last holder, and when it showed a sign of life by this machine's clock: clocks of others do not count.
type seen struct {
	holder  string
	renewed metav1.Time
	at      time.Time
}

// newObservedLock counts from now on, as if somebody had been there a moment ago.
func newObservedLock(lock resourcelock.Interface, now func() time.Time) *observedLock {
	return &observedLock{Interface: lock, now: now, seen: seen{at: now()}}
}

func (l *observedLock) last() seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// note takes a record for a sign of life if it is another one than before. Truncate, because the API server keeps
// microseconds.
func (l *observedLock) note(record resourcelock.LeaderElectionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	renewed := metav1.NewTime(record.RenewTime.Truncate(time.Microsecond))
	if record.HolderIdentity == l.seen.holder && renewed.Equal(&l.seen.renewed) {
		return
	}
	l.seen.holder, l.seen.renewed = record.HolderIdentity, renewed
	if record.HolderIdentity != "" { // giving the lease back is no sign of somebody who holds it
		l.seen.at = l.now()
	}
}

// Get implements resourcelock.Interface.
func (l *observedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	record, raw, err := l.Interface.Get(ctx)
	if err == nil {
		l.note(*record)
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (l *observedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *observedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

func (l *observedLock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	write func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := write(ctx, record)
	if err == nil {
		l.note(record)
	}
	return err
}
