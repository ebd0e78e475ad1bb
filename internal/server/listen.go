package server

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// queue hands connections on which a request begins to net/http. It is a net.Listener.
type queue struct {
	address net.Addr
	ready   chan *conn
	done    chan struct{}
	once    sync.Once
}

func newQueue(address net.Addr) *queue {
	return &queue{address: address, ready: make(chan *conn), done: make(chan struct{})}
}

// Accept returns the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.ready:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr is where the connections come from.
func (q *queue) Addr() net.Addr { return q.address }

func (q *queue) put(c *conn) bool {
	select {
	case q.ready <- c:
		return true
	case <-q.done:
		return false
	}
}

const (
	// acceptPause is how long accepting rests after a failure that passes, such as too many open files.
	acceptPause = 50 * time.Millisecond
	// lastQuiet and lastAccept bound how long a server that stops still takes connections: closing a listener resets
	// those that are established and were not accepted yet. The drain before has made sure that there are few.
	lastQuiet, lastAccept = 50 * time.Millisecond, time.Second
)

// deadliner is a listener that can stop waiting, as that of TCP can.
type deadliner interface{ SetDeadline(t time.Time) error }

// wakeAccept makes a pending Accept return, upon which accept sees that the server stops.
func wakeAccept(listener net.Listener) {
	if d, ok := listener.(deadliner); ok {
		_ = d.SetDeadline(time.Unix(1, 0))
		return
	}
	_ = listener.Close()
}

// accept takes connections until ctx is done, and then the last ones; what they are used for may live longer.
func (s *Server) accept(ctx, live context.Context, listener net.Listener, ready *queue) {
	var end time.Time
	for {
		if ctx.Err() != nil {
			now := s.options.Now()
			if end.IsZero() {
				end = now.Add(lastAccept)
			}
			if d, ok := listener.(deadliner); !ok || now.After(end) || d.SetDeadline(now.Add(lastQuiet)) != nil {
				return
			}
		}
		raw, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !end.IsZero() {
				return
			}
		case err != nil:
			// The connections that there are go on, and room for another may come.
			s.troubles.log(s.options.Log, "accept", "cannot take a connection", "error", err.Error())
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
		default:
			s.take(live, raw, ready)
		}
	}
}

// take gives a new connection a place.
func (s *Server) take(ctx context.Context, raw net.Conn, ready *queue) {
	if c := s.table.add(raw); c != nil {
		go s.open(ctx, c, ready)
		return
	}
	_ = raw.Close()
	s.refusals.log(s.options.Log, string(NoRoom), "no room for a connection: each of those that are open has a request "+
		"that is being answered", "connections", s.options.Limits.Connections)
}

// open brings a connection to its first request.
func (s *Server) open(ctx context.Context, c *conn, ready *queue) {
	secure, failure, err := s.handshake(ctx, c)
	if err != nil {
		if !s.table.knows(c) {
			return // closed for others
		}
		s.table.remove(c)
		_ = c.raw.Close()
		s.options.Recorder.HandshakeFailed(failure)
		logged := s.options.Log
		if failure == ClientGone {
			logged = logged.V(1)
		}
		s.troubles.log(logged, string(failure), "a TLS handshake failed", "cause", failure, "client", c.source.String(), "error", err.Error())
		return
	}
	if !s.table.opened(c, secure) {
		return
	}
	if c.awaitFirst(s.options.Now().Add(IdleTimeout)) != nil || !ready.put(c) {
		_ = c.Close()
	}
}

// errorLog takes what net/http has to say, which is about clients and never needed.
func (s *Server) errorLog() *log.Logger {
	return log.New(lines{s.options.Log.V(1)}, "", 0)
}

type lines struct{ log logr.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.Info("net/http", "says", strings.TrimSpace(string(p)))
	return len(p), nil
}
