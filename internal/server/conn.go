package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// Phase is what a connection does.
type Phase string

// The phases.
const (
	// Opening: the TLS handshake is under way.
	Opening Phase = "opening"
	// Unused: the handshake is done, and no request has come.
	Unused Phase = "unused"
	// Idle: a request was answered, and no further one has come.
	Idle Phase = "idle"
	// Receiving: a request has begun to arrive.
	Receiving Phase = "receiving"
	// Answering: all of a request has arrived, and a handler works on it.
	Answering Phase = "answering"
	// Leaving: the server says farewell.
	Leaving Phase = "leaving"
)

// Phases lists every phase.
func Phases() []Phase { return []Phase{Opening, Unused, Idle, Receiving, Answering, Leaving} }

// errLeaving ends the read of a connection that is closed while it waits.
var errLeaving = errors.New("the connection is being closed")

// conn is a connection that knows what it is doing. net/http drives it through Read, Write and Close, and reads ahead
// only on a connection that waits.
type conn struct {
	net.Conn // TLS
	raw      net.Conn
	table    *table
	source   netip.Addr
	opened   time.Time

	// The table's lock guards the rest.
	phase    Phase
	since    time.Time
	peerGone bool
	// first is what was read to learn that a request comes. Only the reader uses it.
	first    [1]byte
	hasFirst bool
}

// ConnectionState is what net/http fills Request.TLS from.
func (c *conn) ConnectionState() tls.ConnectionState {
	if t, ok := c.Conn.(*tls.Conn); ok {
		return t.ConnectionState()
	}
	return tls.ConnectionState{}
}

// CloseWrite lets net/http end a connection whose client still sends so that the client gets the answer.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(*tls.Conn); ok {
		return t.CloseWrite()
	}
	return nil
}

// awaitFirst waits for the first byte of the first request. net/http would give it no longer than a request's
// headers, but a connection may well be opened for a request that another connection then takes, and kept for later
// (net/http, Transport.dialConnFor). Closing it at just that later moment would lose a request, as with any
// other idle connection.
func (c *conn) awaitFirst(until time.Time) error {
	if err := c.SetReadDeadline(until); err != nil {
		return err
	}
	_, err := io.ReadFull(c, c.first[:])
	if err != nil {
		return err
	}
	c.hasFirst = true
	return c.SetReadDeadline(time.Time{})
}

// Read notes that a request begins. What arrives for a connection that is leaving is dropped: the farewell is its
// answer.
func (c *conn) Read(p []byte) (int, error) {
	if c.hasFirst && len(p) > 0 {
		c.hasFirst = false
		p[0] = c.first[0]
		return 1, nil
	}
	if c.table.left(c) {
		return 0, errLeaving
	}
	n, err := c.Conn.Read(p)
	if !c.table.received(c, n, err) {
		return 0, errLeaving
	}
	return n, err
}

// Close closes, or says farewell where a request may be on its way.
func (c *conn) Close() error {
	if c.table.remove(c) {
		go c.farewell()
		return nil
	}
	return c.Conn.Close()
}

// farewell closes a connection that waits for a request without losing one that may be on its way. A client that
// had none on its way takes the answer that it did not ask for as the end of the connection (Go logs "Unsolicited
// response received on idle HTTP channel"). A client that had takes it for the answer: 503 with Retry-After, upon
// which the API server asks again, on another connection. A bare close would fail that request: a POST is not
// sent again (net/http, persistConn.shouldRetryRequest). The rest is read, because closing a connection with unread
// data resets it, and the reset may overtake the answer.
func (c *conn) farewell() {
	defer c.table.gone(c)
	defer func() { _ = c.Conn.Close() }()
	_ = c.SetDeadline(c.table.now().Add(lingerTimeout))
	if _, err := c.Write(c.table.goodbye); err != nil {
		return
	}
	if err := c.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, MaxBody)
}

// wake makes a pending read return, upon which its reader closes the connection.
func (c *conn) wake() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// worn: the connection is so old that its next answer is its last.
func (c *conn) worn(now time.Time) bool { return now.Sub(c.opened) > maxAge }
