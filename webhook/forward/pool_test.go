package forward_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

func TestRotatingTheCAUnderLoadFailsNothing(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	var to atomic.Pointer[forward.Injector]
	to.Store(&r.to)
	body := review(t)
	l := startLoad(t, 8, func(ctx context.Context) error {
		_, err := r.client.Forward(ctx, *to.Load(), body, nil)
		return err
	})
	for range 5 {
		l.more(t, 100)
		err := r.istiod.RotateCA(func(bundle []byte) {
			next := *to.Load()
			next.CABundle = bundle
			to.Store(&next)
			l.more(t, 100)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.more(t, 100)
	l.end(t)
	if c := r.istiod.Counts(); c.Connections < 10 {
		t.Errorf("%d connections: those of an old bundle were used further", c.Connections)
	}
}

// The endpoints go as they do when a node is lost: what is in flight breaks, and the address leads elsewhere.
func TestReplacingTheEndpointsUnderLoadFailsNothing(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	body := review(t)
	l := startLoad(t, 8, func(ctx context.Context) error {
		_, err := r.client.Forward(ctx, r.to, body, nil)
		return err
	})
	for range 5 {
		l.more(t, 200)
		if err := r.istiod.Replace(); err != nil {
			t.Fatal(err)
		}
	}
	l.more(t, 200)
	l.end(t)
	if r.retries.Load() == 0 {
		t.Error("nothing was tried again: the test broke no connection")
	}
	t.Logf("%d tried again", r.retries.Load())
}

func TestSessionsAreResumed(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	for range 5 {
		if _, err := r.client.Forward(t.Context(), r.to, review(t), nil); err != nil {
			t.Fatal(err)
		}
		r.istiod.Break(once(injector.Drop)) // which costs the connection
	}
	if c := r.istiod.Counts(); c.Connections < 5 || c.Resumed != c.Connections-1 {
		t.Errorf("%d of %d connections resumed a session, want all but the first", c.Resumed, c.Connections)
	}
}

func TestPoolsAreBounded(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	for i := range 200 {
		to := r.to
		to.Revision = fmt.Sprintf("r%03d", i)
		r.clock.advance(time.Second)
		if _, err := r.client.Forward(t.Context(), to, review(t), nil); err != nil {
			t.Fatal(err)
		}
	}
	circuits := r.client.Circuits()
	if len(circuits) != 64 || circuits[0].Revision != "r136" || circuits[63].Revision != "r199" {
		t.Errorf("%d pools, from %s on, want the 64 used last", len(circuits), circuits[0].Revision)
	}
}

// The transport may read a body after the reply has come. The memory is another pod's by then, which the race detector
// would tell.
func TestTheReviewIsNotReadAfterwards(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{Answer: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable) // without reading the body
	})})
	body := make([]byte, 4<<20)
	for i := range 20 {
		_, err := r.client.Forward(t.Context(), r.to, body, nil)
		for at := range body {
			body[at] = byte(i)
		}
		if err == nil {
			t.Fatal("no error")
		}
	}
}

func TestDeadlines(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	silent := func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			buf := make([]byte, 1<<16)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
	bundle := startIstiod(t, injector.IstiodOptions{}).CABundle()
	for name, tc := range map[string]struct {
		dial     func(context.Context, string, string) (net.Conn, error)
		patience time.Duration
		want     forward.Result
		took     time.Duration
	}{
		"no connection comes about, and both tries get a second": {hang, 10 * time.Second, forward.Unreachable, 2 * time.Second},
		"no connection, and too little time for two":             {hang, 1500 * time.Millisecond, forward.TimedOut, 1500 * time.Millisecond},
		"no connection, and too little time for one":             {hang, 500 * time.Millisecond, forward.TimedOut, 500 * time.Millisecond},
		"a handshake that nobody answers":                        {silent, 10 * time.Second, forward.Unreachable, 4 * time.Second},
		"a handshake, and too little time for one":               {silent, 300 * time.Millisecond, forward.TimedOut, 300 * time.Millisecond},
		"no time at all": {hang, 0, forward.TimedOut, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := forward.NewClient(forward.Options{Dial: tc.dial, Now: time.Now})
				defer c.Close()
				ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
				defer cancel()
				began := time.Now()
				to := forward.Injector{Revision: "x", Address: "x:443", ServerName: "x", Path: "/inject", CABundle: bundle}
				_, err := c.Forward(ctx, to, []byte("{}"), nil)
				if forward.ResultOf(err) != tc.want || time.Since(began) != tc.took {
					t.Errorf("%v after %v, want %s after %v", err, time.Since(began), tc.want, tc.took)
				}
				<-time.After(time.Minute) // of the bubble: dials go on without the request, and have to end, too
			})
		})
	}
}

// perForward gates what one review may allocate in client, net/http and TLS, on both ends, and growth what 20,000 of them
// may leave behind.
const (
	allocationsPerForward = 130
	growth                = 1 << 20
)

func TestMemoryDoesNotGrowWithThePodsForwarded(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("20,000 reviews")
	}
	reply := make([]byte, 8<<10)
	r := newRig(t, injector.IstiodOptions{Answer: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var buf [4096]byte
		for {
			if _, err := r.Body.Read(buf[:]); err != nil {
				break
			}
		}
		_, _ = w.Write(reply)
	})})
	body, buf := review(t), []byte(nil)
	forwardOne := func() {
		var err error
		if buf, err = r.client.Forward(t.Context(), r.to, body, buf); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		forwardOne()
	}
	before := heap()
	for range 20_000 {
		forwardOne()
	}
	after := heap()
	t.Logf("%d bytes of heap before, %d after 20,000 reviews", before.HeapAlloc, after.HeapAlloc)
	if after.HeapAlloc > before.HeapAlloc+growth {
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, after.HeapAlloc)
	}
	if n := r.istiod.Counts().Connections; n != 1 {
		t.Errorf("%d connections for one review at a time", n)
	}
	each := float64(after.Mallocs-before.Mallocs) / 20_000
	t.Logf("%.1f allocations and %d bytes a review, client and server", each, (after.TotalAlloc-before.TotalAlloc)/20_000)
	if each > allocationsPerForward {
		t.Errorf("%.1f allocations a review, want at most %d", each, allocationsPerForward)
	}
}

func heap() runtime.MemStats {
	runtime.GC()
	runtime.GC() // what sync.Pool held for one cycle more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}

func TestResultsAreListedOnce(t *testing.T) {
	seen := map[forward.Result]bool{}
	for _, r := range forward.Results() {
		if seen[r] || r == "" {
			t.Errorf("%q is empty or listed twice", r)
		}
		seen[r] = true
	}
	if forward.ResultOf(errors.New("some other error")) != forward.Broken {
		t.Error("an error of another kind has no result")
	}
}
