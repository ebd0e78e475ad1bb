package mesh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/test/cluster"
)

// stuck answers nothing once it is closed, and tells of each request that waits.
type stuck struct {
	next    http.RoundTripper
	closed  chan struct{}
	waiting chan string
}

func (w *stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-w.closed:
		select {
		case w.waiting <- r.URL.Path:
		default:
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	default:
		return w.next.RoundTrip(r)
	}
}

// stuckSkew starts a source whose requests, once it is ready, are not answered any more.
func stuckSkew(t *testing.T, o mesh.SkewOptions) (*mesh.Skew, *stuck) {
	t.Helper()
	wire := &stuck{closed: make(chan struct{}), waiting: make(chan string, 100)}
	o.Config = rest.CopyConfig(cluster.Shared(t).Config())
	o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		wire.next = next
		return wire
	})
	s, _ := runSkew(t, o)
	awaitSkew(t, s)
	close(wire.closed)
	return s, wire
}

func TestLiveReadsAreBounded(t *testing.T) {
	s, _ := stuckSkew(t, mesh.SkewOptions{LiveTimeout: 50 * time.Millisecond})
	reads := map[string]func(context.Context) error{
		"the mesh":    func(ctx context.Context) error { _, err := s.LiveSkewMesh(ctx); return err },
		"a Gateway":   func(ctx context.Context) error { _, err := s.LiveGateway(ctx, "a", "b"); return err },
		"Gateways":    func(ctx context.Context) error { _, err := s.LiveGateways(ctx, "a"); return err },
		"a Namespace": func(ctx context.Context) error { _, err := s.LiveNamespace(ctx, "a"); return err },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			if err := read(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want that the deadline is exceeded", err)
			}
		})
	}
}

// Reads beyond the limit wait for those before them, and for no longer than they may take themselves.
func TestLiveReadsAreLimited(t *testing.T) {
	s, wire := stuckSkew(t, mesh.SkewOptions{LiveLimit: 1})
	first, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.LiveNamespace(first, "first")
		done <- err
	}()
	eventually(t, func() string {
		select {
		case path := <-wire.waiting:
			if strings.HasSuffix(path, "/first") {
				return ""
			}
		default:
		}
		return "the first read does not come"
	})
	second, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := s.LiveNamespace(second, "second")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 live reads are under way") {
		t.Errorf("the second read says %v, want that another is under way", err)
	}
	end()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the first read says %v, want that it was canceled", err)
	}
}
