package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync/atomic"
)

// connKey is the context key of the connection that a request came on.
type connKey struct{}

// slots bounds the requests in flight: all of them, and those of each path.
type slots struct {
	limit    int64
	inFlight atomic.Int64
	paths    map[string]*atomic.Int64
}

// acquire takes a place, or tells why there is none. It never waits: a request that waited here would hold its
// connection and body, and the API server waits as well and with a deadline.
func (s *slots) acquire(path string) Refusal {
	if s.inFlight.Add(1) > s.limit {
		s.inFlight.Add(-1)
		return TooManyRequests
	}
	if p := s.paths[path]; p != nil && p.Add(1) > s.limit/2 {
		s.release(path)
		return TooManyOnPath
	}
	return ""
}

func (s *slots) release(path string) {
	if p := s.paths[path]; p != nil {
		p.Add(-1)
	}
	s.inFlight.Add(-1)
}

// answer knows whether anything of the answer was sent.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(code int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what this hides.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serve answers one request, on whatever path: it takes in the body, finds a place, and hands both to the handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c, ok := connOf(r.Context())
	if !ok {
		panic(http.ErrAbortHandler) // every connection is ours
	}
	if s.draining.Load() || c.worn(s.options.Now()) {
		w.Header().Set("Connection", "close")
	}
	a := &answer{ResponseWriter: w}
	_, path := s.mux.Handler(r)
	if path == "" {
		s.refuse(a, UnknownPath)
		return
	}
	var x *body
	if hasBody(r) {
		var refusal Refusal
		if x, refusal = s.bodies.read(c, r.Body, r.ContentLength); refusal != "" {
			s.refuse(a, refusal)
			return
		}
		r.Body, r.ContentLength = http.NoBody, int64(len(x.data))
		if len(x.data) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(x.data))
		}
	}
	defer s.end(a, r, x)
	if refusal := s.slots.acquire(path); refusal != "" {
		s.refuse(a, refusal)
		return
	}
	defer s.slots.release(path)
	s.table.answering(c)
	s.mux.ServeHTTP(a, r)
}

// end gives back the body, and answers for a handler that panicked. Whatever happened costs this request and no
// other.
func (s *Server) end(a *answer, r *http.Request, x *body) {
	p := recover() //nolint:revive // end is what is deferred
	if p == nil {
		if x != nil {
			s.bodies.release(x)
		}
		return
	}
	if x != nil {
		s.bodies.forget(x) // what panicked may still hold a part of it
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.options.Recorder.Panicked()
	s.options.Log.Error(fmt.Errorf("panic: %v", p), "a request was lost", "path", r.URL.Path, "stack", string(debug.Stack()))
	if a.begun {
		// A part of an answer must not pass for one: the connection is cut.
		panic(http.ErrAbortHandler)
	}
	writeStatus(a, http.StatusInternalServerError, "a panic was caught; the router's log has its stack")
}

// refuse answers a request that no handler gets.
func (s *Server) refuse(w http.ResponseWriter, why Refusal) {
	s.options.Recorder.Refused(why)
	code, message := int32(http.StatusTooManyRequests), ""
	switch why {
	case TooManyRequests:
		message = fmt.Sprintf("%d requests are being answered, as many as may be", s.slots.limit)
	case TooManyOnPath:
		message = fmt.Sprintf("%d requests for this path are being answered, as many as may be", s.slots.limit/2)
	case TooManyBytes:
		message = "bodies take as much memory as they may"
	case BodyTooLarge:
		code, message = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", MaxBody)
	case BodyTooSlow:
		code, message = http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %s", readTimeout)
	case BodyBroken:
		code, message = http.StatusBadRequest, "the body broke off"
	case UnknownPath:
		code, message = http.StatusNotFound, "nothing is served on this path"
	}
	if code != http.StatusTooManyRequests && code != http.StatusNotFound {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
	writeStatus(w, code, message)
	s.refusals.log(s.options.Log, string(why), "refused requests", "cause", why, "answer", code)
}

func connOf(ctx context.Context) (*conn, bool) {
	c, ok := ctx.Value(connKey{}).(*conn)
	return c, ok
}
