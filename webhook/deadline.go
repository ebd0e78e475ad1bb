package webhook

import (
	"context"
	"errors"
	"hash/maphash"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

var errNoInjector = errors.New("the snapshot of the mesh does not tell where it is")

const (
	// defaultPatience is what the API server waits for a webhook that sets no timeoutSeconds.
	defaultPatience = 10 * time.Second
	// maxPatience is the most that timeoutSeconds can be.
	maxPatience = 30 * time.Second
	// margin is kept for the way back, so that it is the router's message that the user reads and not the API server's,
	// which knows nothing but that its deadline has passed.
	margin = 500 * time.Millisecond
	// retryTakes is what a second try of the API server's takes at least: the wait that Retry-After asks for, and the
	// request itself.
	retryTakes = time.Second + 250*time.Millisecond
)

// deadline is until when the API server wants its answer, less the margin.
type deadline struct{ at time.Time }

// deadlineOf reads the deadline of a request that began at a time. The API server repeats timeoutSeconds as ?timeout=2s
// (apiserver, mutating/dispatcher.go), the same with each try, although less is left.
func deadlineOf(began time.Time, u *url.URL) deadline {
	patience := defaultPatience
	if d, err := time.ParseDuration(u.Query().Get("timeout")); err == nil && d > 0 {
		patience = min(d, maxPatience)
	}
	return deadline{began.Add(patience - min(margin, patience/4))}
}

// context ends at the deadline. What is left is computed by the clock that the request is timed with.
func (d deadline) context(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.at.Sub(now))
}

// leavesRetry reports whether the API server can try once more after being told to wait. Where it cannot, its deadline
// would pass while it waits, and the reason would be lost (client-go, rest/with_retry.go).
func (d deadline) leavesRetry(now time.Time) bool { return d.at.Sub(now) >= retryTakes }

// maxWaiting bounds how many requests are remembered. Each is one that the API server holds open.
const maxWaiting = 4096

// waiting remembers the deadlines of requests that the API server was asked to send again: the uid of a review stays the
// same from try to try, while nothing tells how much of the deadline is left. It is empty while all goes well.
type waiting struct {
	seed  maphash.Seed
	count atomic.Int64
	mu    sync.Mutex
	until map[uint64]deadline
}

func newWaiting() *waiting { return &waiting{seed: maphash.MakeSeed(), until: map[uint64]deadline{}} }

// earlier is the deadline of the first try, where this is another one. A deadline that has passed for the API server as
// well is no longer that of a request that it waits for.
func (w *waiting) earlier(uid []byte, d deadline, now time.Time) deadline {
	if w.count.Load() == 0 {
		return d
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if first, ok := w.until[maphash.Bytes(w.seed, uid)]; ok && first.at.Before(d.at) && now.Before(first.at.Add(margin)) {
		return first
	}
	return d
}

// remember notes the deadline of a request that is to be sent again. It returns false where too many are waiting already:
// then there is no telling when to stop.
func (w *waiting) remember(uid []byte, d deadline) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := maphash.Bytes(w.seed, uid)
	if _, known := w.until[key]; !known && len(w.until) >= maxWaiting {
		// Requests that the API server gave up leave theirs behind.
		for k, other := range w.until {
			if other.at.Before(d.at.Add(-maxPatience)) {
				delete(w.until, k)
			}
		}
		if len(w.until) >= maxWaiting {
			return false
		}
	}
	w.until[key] = d
	w.count.Store(int64(len(w.until)))
	return true
}

// forget drops a request that got its answer.
func (w *waiting) forget(uid []byte) {
	if w.count.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.until, maphash.Bytes(w.seed, uid))
	w.count.Store(int64(len(w.until)))
}
