package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// table knows every connection.
type table struct {
	limit   int
	now     func() time.Time
	closed  func(Closure)
	goodbye []byte

	mu     sync.Mutex
	all    map[*conn]struct{}
	phases map[Phase]int
	// draining: a connection leaves as soon as it waits.
	draining bool
	// empty is closed when draining and no connection is left.
	empty     chan struct{}
	emptyOnce sync.Once
}

func newTable(limit int, now func() time.Time, closed func(Closure)) *table {
	return &table{
		limit: limit, now: now, closed: closed, goodbye: goodbye(),
		all: map[*conn]struct{}{}, phases: map[Phase]int{},
		empty: make(chan struct{}),
	}
}

// add takes a new connection, at the expense of others where there are too many. It returns nil where there is no
// room: then every connection has a request that is being answered.
func (t *table) add(raw net.Conn) *conn {
	now := t.now()
	c := &conn{Conn: raw, raw: raw, table: t, source: sourceOf(raw), opened: now, phase: Opening, since: now}
	t.mu.Lock()
	var victims []*conn
	if len(t.all)-t.phases[Leaving] >= t.limit {
		victims = t.victims(now)
		if len(victims) == 0 {
			t.mu.Unlock()
			t.closed(NoRoom)
			return nil
		}
		for _, v := range victims {
			t.dismiss(v)
		}
	}
	t.all[c] = struct{}{}
	t.phases[Opening]++
	t.mu.Unlock()
	for _, v := range victims {
		t.closed(Evicted)
		v.end()
	}
	return c
}

// left reports whether the connection leaves.
func (t *table) left(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.phase == Leaving
}

// opened notes that the handshake is done. It returns false for a connection that was closed meanwhile.
func (t *table) opened(c *conn, secure net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.all[c]; !ok {
		return false
	}
	c.Conn = secure
	t.set(c, Unused)
	if t.draining {
		t.set(c, Leaving)
	}
	return true
}

// received notes what a read came to. It returns false where the connection has left meanwhile.
func (t *table) received(c *conn, n int, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.phase == Leaving {
		return false
	}
	if n > 0 && (c.phase == Unused || c.phase == Idle) {
		t.set(c, Receiving)
	}
	if err != nil && isGone(err) {
		c.peerGone = true
	}
	return true
}

// answering notes that all of a request is there.
func (t *table) answering(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(c, Answering)
}

// answered notes that the connection waits for the next request.
func (t *table) answered(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(c, Idle)
	if t.draining {
		// The answer did not say so: it was begun before the draining. The next read ends it.
		t.set(c, Leaving)
		t.closed(Drained)
	}
}

// remove takes a connection that is being closed out of the table. It returns true where a farewell is due, after
// which gone removes it.
func (t *table) remove(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.all[c]; !ok {
		return false
	}
	waits := c.phase == Unused || c.phase == Idle // the idle timeout is over
	if (c.phase == Leaving || waits) && !c.peerGone && t.phases[Leaving] <= maxFarewells {
		t.set(c, Leaving)
		return true
	}
	t.forget(c)
	return false
}

// gone ends a farewell.
func (t *table) gone(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(c)
}

// drain makes every connection leave as soon as it waits.
func (t *table) drain() {
	t.mu.Lock()
	t.draining = true
	var waiting []*conn
	for c := range t.all {
		if c.phase == Unused || c.phase == Idle {
			t.set(c, Leaving)
			waiting = append(waiting, c)
		}
	}
	t.checkEmpty()
	t.mu.Unlock()
	for _, c := range waiting {
		t.closed(Drained)
		c.wake()
	}
}

// cut closes what is left, and counts the requests that are lost with it.
func (t *table) cut() {
	t.mu.Lock()
	rest := make([]*conn, 0, len(t.all))
	for c := range t.all {
		rest = append(rest, c)
		if c.phase == Receiving || c.phase == Answering {
			t.closed(Dropped)
		}
		t.forget(c)
	}
	t.mu.Unlock()
	for _, c := range rest {
		_ = c.raw.Close()
	}
}

// counts are the connections by phase.
func (t *table) counts() map[Phase]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make(map[Phase]int, len(Phases()))
	for _, p := range Phases() {
		counts[p] = t.phases[p]
	}
	return counts
}

// set changes the phase. The caller holds the lock.
func (t *table) set(c *conn, p Phase) {
	if _, ok := t.all[c]; !ok {
		return
	}
	t.phases[c.phase]--
	t.phases[p]++
	c.phase, c.since = p, t.now()
}

// forget removes a connection. The caller holds the lock.
func (t *table) forget(c *conn) {
	if _, ok := t.all[c]; !ok {
		return
	}
	delete(t.all, c)
	t.phases[c.phase]--
	t.checkEmpty()
}

func (t *table) checkEmpty() {
	if t.draining && len(t.all) == 0 {
		t.emptyOnce.Do(func() { close(t.empty) })
	}
}

func sourceOf(c net.Conn) netip.Addr {
	if address, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return address.Addr().Unmap()
	}
	return netip.Addr{}
}

// isGone reports whether the client has closed.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
}

// knows reports whether a connection has not been closed for others.
func (t *table) knows(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.all[c]
	return ok
}

func (t *table) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}
