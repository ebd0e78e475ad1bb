package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/test/cluster"
)

// faulty stands between the source and the API server, as a load balancer does. It answers by itself where fault
// returns a status, and cuts the watches that it let through when told to.
type faulty struct {
	next http.RoundTripper

	mu    sync.Mutex
	fault func(path string) int
	open  []*stream
	// again is closed when another fault begins, which ends requests that hang.
	again chan struct{}
}

// hang is the status of a request that gets no answer.
const hang = -1

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	fault, again := f.fault, f.again
	f.mu.Unlock()
	if fault != nil {
		switch status := fault(r.URL.Path); status {
		case 0:
		case hang:
			select {
			case <-again:
				return nil, errors.New("the connection was closed")
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		default:
			return &http.Response{
				StatusCode: status, Request: r, ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"text/html"}},
				Body:   io.NopCloser(strings.NewReader("<h1>" + http.StatusText(status) + "</h1>")),
			}, nil
		}
	}
	response, err := f.next.RoundTrip(r)
	if err == nil && r.URL.Query().Get("watch") != "" {
		body := &stream{ReadCloser: response.Body}
		response.Body = body
		f.mu.Lock()
		f.open = append(f.open, body)
		f.mu.Unlock()
	}
	return response, err
}

// stream is the body of a watch, which can be cut.
type stream struct {
	io.ReadCloser
	over atomic.Bool
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && s.over.Load() {
		err = io.EOF
	}
	return n, err
}

// cut ends the stream as the API server does when a watch's time is up.
func (s *stream) cut() {
	s.over.Store(true)
	_ = s.Close()
}

// begin starts to answer with faults, and cuts all watches.
func (f *faulty) begin(fault func(path string) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.again != nil {
		close(f.again)
	}
	f.fault, f.again = fault, make(chan struct{})
	for _, body := range f.open {
		body.cut()
	}
	f.open = nil
}

func (f *faulty) config(of *rest.Config) *rest.Config {
	config := rest.CopyConfig(of)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		f.next = next
		return f
	})
	return config
}

func always(status int) func(string) int { return func(string) int { return status } }

func of(part string, status int) func(string) int {
	return func(path string) int {
		if strings.Contains(path, part) {
			return status
		}
		return 0
	}
}

// Whatever a list or a watch that fails looks like, the mesh is never less than it was.
func TestFailedRequestsTakeNothingAway(t *testing.T) {
	direct := cluster.Shared(t).Config()
	a := newAPI(t, direct)
	installCRDs(t, direct)
	a.create(revision("canary", "v1.30.3"))
	a.create(tag("prod", "canary"))
	const whole = "canary@v1.30.3 prod->canary"
	cases := map[string]struct {
		fault  func(path string) int
		failed []string
	}{
		"a proxy that has lost its way says that nothing is found": {always(404), []string{"istios.sailoperator.io", "istiorevisions.sailoperator.io", "istiorevisiontags.sailoperator.io", "namespaces", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "deployments.apps"}},
		"the API server is overloaded":                             {always(500), []string{"istiorevisions.sailoperator.io", "namespaces"}},
		"the API server starts":                                    {always(503), []string{"istiorevisions.sailoperator.io", "namespaces"}},
		"permissions are taken back":                               {always(403), []string{"istiorevisions.sailoperator.io", "namespaces"}},
		"credentials have expired":                                 {always(401), []string{"istiorevisions.sailoperator.io", "namespaces"}},
		"one kind alone fails":                                     {of("/istiorevisions", 500), []string{"istiorevisions.sailoperator.io"}},
		"namespaces are not found, which cannot be":                {of("/namespaces", 404), []string{"namespaces"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var wire faulty
			s, _ := run(t, mesh.Options{Config: wire.config(direct)})
			awaitReady(t, s)
			awaitMesh(t, s, whole)
			generation := s.Stats().Generation
			wire.begin(tc.fault)
			awaitPhase(t, s, mesh.Failing, tc.failed...)
			stats := s.Stats()
			if describe(s.Mesh()) != whole || stats.Generation != generation || stats.StaleSince.IsZero() || s.Ready() != nil {
				t.Errorf("the mesh is %q, ready %v, and the figures are %+v", describe(s.Mesh()), s.Ready(), stats)
			}
			wire.begin(nil)
			awaitCurrent(t, s)
			awaitPhase(t, s, mesh.Following, tc.failed...)
			if got := s.Stats(); got.Generation != generation || describe(s.Mesh()) != whole {
				t.Errorf("afterwards the mesh is %q, and the figures are %+v", describe(s.Mesh()), got)
			}
		})
	}
}

func awaitCurrent(t *testing.T, s *mesh.Source) {
	t.Helper()
	eventually(t, func() string {
		if stats := s.Stats(); !stats.StaleSince.IsZero() {
			return fmt.Sprintf("stale: %+v", stats)
		}
		return ""
	})
}

// Before the first snapshot a fault keeps it from being published, and is named.
func TestFaultsAtTheStart(t *testing.T) {
	direct := cluster.Shared(t).Config()
	cases := map[string]struct {
		fault func(path string) int
		want  string
	}{
		"an error":                         {of("/namespaces", 500), "namespaces: cannot list them"},
		"not found where nothing is found": {always(404), "istios.sailoperator.io: cannot list them: the API server says that there is no such kind"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var wire faulty
			wire.begin(tc.fault)
			s, _ := run(t, mesh.Options{Config: wire.config(direct)})
			eventually(t, func() string {
				if err := s.Ready(); err == nil || !strings.Contains(err.Error(), tc.want) {
					return "Ready does not say " + tc.want
				}
				return ""
			})
			if s.Mesh() != nil {
				t.Error("a snapshot was published")
			}
			wire.begin(nil)
			awaitReady(t, s)
		})
	}
}

// An API server that takes requests and never answers fails no request. That the snapshot may be old shows all the same.
func TestHangingRequestsShow(t *testing.T) {
	direct := cluster.Shared(t).Config()
	a := newAPI(t, direct)
	var wire faulty
	s, log := run(t, mesh.Options{Config: wire.config(direct)})
	awaitReady(t, s)
	awaitCurrent(t, s)
	// A watch that has told something is resumed where it ends, without a new list.
	a.create(namespace("made-in-the-light", `{}`))
	awaitNamespace(t, s, "made-in-the-light")
	wire.begin(always(hang))
	kinds := len(s.Stats().Kinds)
	eventually(t, func() string {
		stats := s.Stats()
		for _, k := range stats.Kinds {
			if k.Phase == mesh.Following {
				return k.Name + " is still followed"
			}
		}
		if stats.StaleSince.IsZero() {
			return "not stale"
		}
		return ""
	})
	if _, err := s.Namespace(t.Context(), "default"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a live read that hangs ends with %v, want its deadline", err)
	}
	a.create(namespace("made-in-the-dark", `{}`))
	if _, ok := s.Mesh().Namespace("made-in-the-dark"); ok || s.Ready() != nil {
		t.Errorf("in the dark: %t, ready %v", ok, s.Ready())
	}
	wire.begin(nil)
	awaitCurrent(t, s)
	awaitNamespace(t, s, "made-in-the-dark")
	if got := log.with("cannot be followed"); len(got) > kinds {
		t.Errorf("%d lines of log, want at most one for each kind: %q", len(got), got)
	}
}
