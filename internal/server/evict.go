package server

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// victims are the connections to close when there is no room for another: those of the address that has most, so that
// what one client opens costs that client; and of these the ones that can be missed best, see rank. Several at a
// time, so that a flood is not answered with a search for each connection. The caller holds the lock.
func (t *table) victims(now time.Time) []*conn {
	counts := map[netip.Addr]int{}
	var most netip.Addr
	for c := range t.all {
		if c.rank(now) == never {
			continue
		}
		counts[c.source]++
		if n := counts[c.source]; n > counts[most] || n == counts[most] && c.source.Less(most) {
			most = c.source
		}
	}
	var candidates []*conn
	for c := range t.all {
		if c.source == most && c.rank(now) != never {
			candidates = append(candidates, c)
		}
	}
	slices.SortFunc(candidates, func(a, b *conn) int {
		return cmp.Or(cmp.Compare(a.rank(now), b.rank(now)), a.since.Compare(b.since))
	})
	return candidates[:min(len(candidates), max(1, t.limit/64))]
}

// never is the rank of a connection that is not closed for others.
const never = 5

// rank orders connections by how little is lost when they are closed; within a rank it is the one that has been so
// for the longest. The API server's requests arrive within milliseconds, so that one which takes a second is not of
// the API server; and it may be about to use an idle connection, which is what the farewell is for.
func (c *conn) rank(now time.Time) int {
	switch c.phase {
	case Opening:
		return 0
	case Unused:
		return 1
	case Receiving:
		if now.Sub(c.since) >= slow {
			return 2
		}
		return 4
	case Idle:
		return 3
	case Answering, Leaving:
	}
	return never
}

// dismiss prepares a connection for its end. The caller holds the lock, and calls end without it.
func (t *table) dismiss(c *conn) {
	if c.phase == Unused || c.phase == Idle {
		t.set(c, Leaving)
		return
	}
	t.forget(c) // whoever reads it gets an error
}

// end closes a dismissed connection: the one that leaves is closed by its reader.
func (c *conn) end() {
	if c.table.left(c) {
		c.wake()
		return
	}
	_ = c.raw.Close()
}

// cutOff closes a connection whose body is in the way of others, unless all of it has arrived meanwhile.
func (t *table) cutOff(c *conn) {
	t.mu.Lock()
	if c.phase != Receiving {
		t.mu.Unlock()
		return
	}
	t.dismiss(c)
	t.mu.Unlock()
	t.closed(SlowBody)
	c.end()
}
