package forward_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

// rig is a client and a stand-in, with what lies between them.
type rig struct {
	client  *forward.Client
	istiod  *injector.Istiod
	to      forward.Injector
	retries atomic.Int64
	clock   clock
	// refuse is how many dials are to fail from now on.
	refuse atomic.Int64
}

// clock only moves when it is told to.
type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(1_800_000_000, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

var errRefused = errors.New("connection refused")

func newRig(t testing.TB, o injector.IstiodOptions) *rig {
	t.Helper()
	r := &rig{istiod: startIstiod(t, o)}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.refuse.Add(-1) >= 0 {
			return nil, errRefused
		}
		if address == r.istiod.Host() {
			address = r.istiod.Address()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	r.client = forward.NewClient(forward.Options{Dial: dial, Now: r.clock.Now, Retried: func(string) { r.retries.Add(1) }})
	t.Cleanup(r.client.Close)
	r.to = injectorOf(r.istiod)
	return r
}

func startIstiod(t testing.TB, o injector.IstiodOptions) *injector.Istiod {
	t.Helper()
	if o.Revision == "" {
		o.Revision, o.Version = "r128", "v1.28.3"
	}
	o.Now = time.Now
	i, err := injector.StartIstiod(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func injectorOf(i *injector.Istiod) forward.Injector {
	return forward.Injector{
		Revision: "r128", Address: i.Host(), ServerName: i.ServerName(), Path: i.Path(), CABundle: i.CABundle(),
	}
}

// review is what a real API server sent.
func review(t testing.TB) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "testdata", "injection", "bookinfo-productpage.request.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// load sends reviews from some goroutines until it is stopped, and keeps every error.
type load struct {
	stopped atomic.Bool
	done    sync.WaitGroup
	sent    atomic.Int64
	mu      sync.Mutex
	errors  []error
}

func startLoad(t *testing.T, workers int, send func(ctx context.Context) error) *load {
	t.Helper()
	l := &load{}
	for range workers {
		l.done.Go(func() {
			for !l.stopped.Load() {
				if err := send(t.Context()); err != nil {
					l.mu.Lock()
					l.errors = append(l.errors, err)
					l.mu.Unlock()
				}
				l.sent.Add(1)
			}
		})
	}
	return l
}

// more waits until so many more reviews were sent.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for until := l.sent.Load() + n; l.sent.Load() < until; {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// end stops, and fails the test over any error.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stopped.Store(true)
	l.done.Wait()
	if len(l.errors) > 0 {
		t.Errorf("%d of %d reviews failed, the first: %v", len(l.errors), l.sent.Load(), l.errors[0])
	}
	t.Logf("%d reviews", l.sent.Load())
}
