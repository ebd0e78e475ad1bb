package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Options configure a [Server].
type Options struct {
	// Host and Port are where it listens. An empty host means all addresses, port 0 any that is free.
	Host string
	Port int
	// GetCertificate returns the serving certificate. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Clients says who may call; nil: everybody.
	Clients *Clients
	// Limits are the default ones where they are zero.
	Limits Limits
	// Grace is how long requests under way have to end; DefaultGrace where it is zero.
	Grace time.Duration
	// Recorder, Log and Now are required.
	Recorder Recorder
	Log      logr.Logger
	Now      func() time.Time
}

// Server serves admission webhooks. Make one with [New].
type Server struct {
	options  Options
	tls      *tls.Config
	mux      *http.ServeMux
	table    *table
	bodies   *bodies
	slots    slots
	refusals *quiet
	troubles *quiet
	probes   probes
	draining atomic.Bool
	// address is set once the server listens.
	address atomic.Pointer[net.TCPAddr]
}

var _ ctrlwebhook.Server = (*Server)(nil)

// New checks the options. The server listens only once it is started.
func New(o Options) (*Server, error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.GetCertificate == nil || o.Recorder == nil || o.Now == nil {
		return nil, errors.New("server: GetCertificate, Recorder and Now are required")
	}
	if err := o.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &Server{
		options:  o,
		tls:      newTLSConfig(o),
		mux:      http.NewServeMux(),
		table:    newTable(o.Limits.Connections, o.Now, o.Recorder.Closed),
		bodies:   newBodies(o.Limits.BodyBytes, o.Now),
		slots:    slots{limit: int64(o.Limits.Concurrent), paths: map[string]*atomic.Int64{}},
		refusals: newQuiet(o.Now),
		troubles: newQuiet(o.Now),
	}, nil
}

// NeedLeaderElection tells controller-runtime's manager to serve in every replica.
func (*Server) NeedLeaderElection() bool { return false }

// Register serves a handler on a path. It must not be called after Start. A path that is taken is a bug, and panics.
func (s *Server) Register(path string, handler http.Handler) {
	s.mux.Handle(path, handler)
	s.slots.paths[path] = new(atomic.Int64)
}

// WebhookMux returns what the handlers are registered in. One that is added here directly has every guard but the bound
// on its own share of the places.
func (s *Server) WebhookMux() *http.ServeMux { return s.mux }

// Stats returns the present figures.
func (s *Server) Stats() Stats {
	return Stats{Connections: s.table.counts(), InFlight: s.slots.inFlight.Load(), BodyBytes: s.bodies.inUse()}
}

// Drain makes each answer from now on the last on its connection, so that clients move to other replicas. The server
// goes on taking new connections: the API server needs a moment to learn that this replica leaves.
func (s *Server) Drain() { s.draining.Store(true) }

// Start serves until ctx is done, and then stops without losing a request: it takes no new connections, says
// farewell to those that wait, and gives requests under way the time of Options.Grace.
func (s *Server) Start(ctx context.Context) error {
	var listen net.ListenConfig
	address := net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
	listener, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for webhooks on %s: %w", address, err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		s.address.Store(tcp)
	}
	return s.serveOn(ctx, listener)
}

// StartedChecker is healthy once the server listens. Whether it can be called is for [Server.Dial] to tell.
func (s *Server) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if s.address.Load() == nil {
			return errors.New("the port is not served yet")
		}
		return nil
	}
}

// serveOn serves a listener, and closes it.
func (s *Server) serveOn(ctx context.Context, listener net.Listener) error {
	// What is under way outlives ctx by the grace.
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ready := newQueue(listener.Addr())
	httpServer := s.httpServer()
	var running sync.WaitGroup
	failed := make(chan error, 1)
	accepting := make(chan struct{})
	running.Go(func() {
		defer close(accepting)
		s.accept(ctx, live, listener, ready)
	})
	running.Go(func() { failed <- httpServer.Serve(ready) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.Drain()
	if err == nil {
		wakeAccept(listener)
		<-accepting
	}
	_ = listener.Close()
	s.table.drain()
	s.await(live)
	cancel()
	s.table.cut()
	_ = ready.Close()
	_ = httpServer.Close()
	running.Wait()
	if err != nil {
		return fmt.Errorf("serving webhooks: %w", err)
	}
	return nil
}

// await gives what is under way the time to end.
func (s *Server) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Grace)
	defer cancel()
	select {
	case <-s.table.empty:
		s.options.Log.Info("every request was answered")
	case <-ctx.Done():
		left := s.table.counts()
		s.options.Log.Info("the time for requests under way is over", "receiving", left[Receiving], "answering", left[Answering])
	}
}

func (s *Server) httpServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		ErrorLog:          s.errorLog(),
		ConnState: func(c net.Conn, state http.ConnState) {
			if c, ok := c.(*conn); ok && state == http.StateIdle {
				s.table.answered(c)
			}
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
}
