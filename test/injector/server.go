package injector

import (
	"net/http"
	"strings"
	"sync"
)

// Call is one review of a pod that an injector answered.
type Call struct {
	Revision, Namespace, Pod string
	Injected                 bool
	// Double: the pod had the sidecar of another revision already, which is what must never happen.
	Double bool
	DryRun bool
}

// Server injects for any number of revisions, each under the path /inject/<revision>/<version>: one listener
// stands in for all istiods of a mesh. It may be used by several goroutines.
type Server struct {
	mu    sync.Mutex
	calls []Call
}

// Path is where the server injects for a revision at a version.
func Path(revision, version string) string { return "/inject/" + revision + "/" + version }

// Calls returns what was answered so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// ServeHTTP answers for the revision and version that the path names.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	revision, version, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/inject/"), "/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if call, ok := serve(w, r, proxy{revision, version}); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call)
	}
}
