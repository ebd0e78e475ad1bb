// Package balance does on this machine what a Service and kube-proxy do in a cluster.
package balance

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout is how long the balancer tries to reach a replica; on loopback a refusal comes at once.
const dialTimeout = time.Second

// Service does on this machine what a Service does in a cluster: a new connection goes to one of the ready endpoints,
// picked at random as kube-proxy does, and stays there until one side closes it, whatever becomes of the
// endpoint. TLS is the business of the two ends. Without a ready endpoint connections are refused; kube-proxy would
// first try those that are terminating and still ready, which a router that drains is not.
type Service struct {
	address string

	mu        sync.Mutex
	listener  net.Listener // nil while there is no endpoint
	endpoints []*Endpoint
	open      map[net.Conn]struct{}
	closed    bool
	running   sync.WaitGroup
}

// Endpoint is the address of one replica, with what the Service has seen of it.
type Endpoint struct {
	address string
	// open connections at this moment, made in all, and attempts that were refused.
	open, made, refused atomic.Int64
}

// NewEndpoint is an endpoint at an address of this machine.
func NewEndpoint(address string) *Endpoint { return &Endpoint{address: address} }

// Open is the number of connections that lead to the replica at this moment. Each carries at most one request at a
// time, since webhooks are called over HTTP/1.1.
func (e *Endpoint) Open() int { return int(e.open.Load()) }

// Made is the number of connections that were ever made to the replica.
func (e *Endpoint) Made() int { return int(e.made.Load()) }

// Refused is the number of connections that were sent to the replica while nothing listened there.
func (e *Endpoint) Refused() int { return int(e.refused.Load()) }

// New reserves an address. Nothing listens there until an endpoint is added.
func New() (*Service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return nil, fmt.Errorf("finding a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return &Service{address: listener.Addr().String(), open: map[net.Conn]struct{}{}}, nil
}

// URL is how the API server calls the webhooks.
func (s *Service) URL() string { return "https://" + s.address }

// Ready is the number of endpoints that get new connections.
func (s *Service) Ready() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.endpoints)
}

// Address is where it listens while it has an endpoint.
func (s *Service) Address() string { return s.address }

// Add makes an endpoint ready. Doing it twice equals once.
func (s *Service) Add(e *Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || slices.Contains(s.endpoints, e) {
		return nil
	}
	if s.listener == nil {
		listener, err := net.Listen("tcp", s.address) //nolint:noctx // returns at once
		if err != nil {
			return fmt.Errorf("balancing between the replicas: %w", err)
		}
		s.listener = listener
		s.running.Go(func() { s.accept(listener) })
	}
	s.endpoints = append(s.endpoints, e)
	return nil
}

// Remove keeps new connections from an endpoint; those that it has stay.
func (s *Service) Remove(e *Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = slices.DeleteFunc(s.endpoints, func(other *Endpoint) bool { return other == e })
	if len(s.endpoints) == 0 && s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
}

// Close ends it, and every connection through it.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed, s.endpoints = true, nil
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Service) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // out of descriptors, say; the next may do better
		}
		s.running.Go(func() { s.forward(conn) })
	}
}

func (s *Service) pick() *Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpoints) == 0 {
		return nil
	}
	return s.endpoints[rand.IntN(len(s.endpoints))] //nolint:gosec // as kube-proxy's rules, which use -m statistic
}

func (s *Service) forward(client net.Conn) {
	e := s.pick()
	if e == nil {
		reset(client)
		return
	}
	// No caller's context: the connection belongs to the two ends, and Close ends it.
	replica, err := net.DialTimeout("tcp", e.address, dialTimeout) //nolint:noctx // as said
	if err != nil {
		e.refused.Add(1)
		reset(client)
		return
	}
	if !s.hold(client, replica) {
		return
	}
	e.open.Add(1)
	e.made.Add(1)
	var both sync.WaitGroup
	both.Go(func() { pipe(client, replica) })
	both.Go(func() { pipe(replica, client) })
	both.Wait()
	e.open.Add(-1)
	s.release(client, replica)
}

// pipe passes on what comes, and then how it ended: an end of the stream, or a reset.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		reset(to)
		reset(from)
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// reset closes a connection as a host does on which nothing listens.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hold notes open connections, for Close.
func (s *Service) hold(conns ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range conns {
		if s.closed {
			_ = conn.Close()
			continue
		}
		s.open[conn] = struct{}{}
	}
	return !s.closed
}

func (s *Service) release(conns ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(s.open, conn)
	}
}
