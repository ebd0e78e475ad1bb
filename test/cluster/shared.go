package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// deadlineMargin is what a start leaves of a test's timeout, so that it ends with an explanation and not with go
// test's stack traces.
const deadlineMargin = 10 * time.Second

// sharedCluster is the one cluster of a test process.
type sharedCluster struct {
	mu sync.Mutex
	// inMain: Main runs, which will stop the cluster.
	inMain  bool
	started bool
	cluster *Cluster
	err     error
}

//nolint:gochecknoglobals // One for each test process is the point: packages' tests cannot hand it to each other.
var shared sharedCluster

// Shared returns the cluster that all tests of this process use, and starts it for the first. Main stops it. Tests
// that run at the same time have to stay out of each other's way: each uses namespaces and names of its own, and none
// stops the API server. With -short the test is skipped.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	ctx, cancel := withDeadlineOf(t)
	defer cancel()
	c, err := shared.get(ctx)
	if err != nil {
		t.Fatalf("use the shared control plane: %v", err)
	}
	return c
}

// Main runs the tests of a package and then stops the shared cluster, if any test used it. It returns the exit code
// for os.Exit.
func Main(m *testing.M) int {
	shared.enterMain()
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the shared control plane: %v\n", err)
		return max(code, 1)
	}
	return code
}

func (s *sharedCluster) enterMain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inMain = true
}

// get starts the cluster once. A start that failed is not tried again: it would fail the same way for every test, and
// take its time.
func (s *sharedCluster) get(ctx context.Context) (*Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.inMain {
		return nil, errors.New("nobody would stop it; add: func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }")
	}
	if !s.started {
		s.started = true
		s.cluster, s.err = Start(ctx, Options{})
	}
	return s.cluster, s.err
}

func (s *sharedCluster) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}

// withDeadlineOf returns the test's context, ending before go test's timeout. Only a *testing.T knows that.
func withDeadlineOf(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	if timed, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := timed.Deadline(); ok {
			return context.WithDeadline(t.Context(), deadline.Add(-deadlineMargin))
		}
	}
	return context.WithCancel(t.Context())
}
