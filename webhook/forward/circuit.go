package forward

import (
	"sync/atomic"
	"time"
)

const (
	// failuresToOpen is how many requests in a row have to fail before an injector is left alone. With fewer, one
	// endpoint that goes away would do it: the connections to it break together.
	failuresToOpen = 5
	// probeEvery is how often a single request tries an injector that is left alone. It is also what the API server is
	// told to wait (Retry-After), so that the request that is tried again is likely to find out.
	probeEvery = time.Second
)

// circuit keeps requests from waiting for an injector that does not answer: each would hold a pod, its memory and one of
// the API server's workers until the deadline. It belongs to one revision, and never leads to another.
type circuit struct {
	failures atomic.Int64
	opened   atomic.Pointer[opening]
	probeAt  atomic.Int64 // in Unix nanoseconds; meaningful while opened is set
}

// opening is since when a circuit is open, and why.
type opening struct {
	since time.Time
	last  *Error
}

// enter tells whether a request may be made. While the circuit is open, one request at a time is let through: the one
// that finds the time of the next probe come, and moves it on.
func (c *circuit) enter(now time.Time) *Error {
	o := c.opened.Load()
	if o == nil {
		return nil
	}
	at := c.probeAt.Load()
	if now.UnixNano() >= at && c.probeAt.CompareAndSwap(at, now.Add(probeEvery).UnixNano()) {
		return nil
	}
	return failure(Suspended, "it has not answered since %s, and is tried once a second; last: %w",
		o.since.UTC().Format(time.RFC3339), o.last)
}

// leave notes how a request ended.
func (c *circuit) leave(now time.Time, err *Error) {
	if err == nil || err.Result == BadStatus || err.Result == TooLarge {
		c.failures.Store(0) // it answers: what it says is another matter
		c.opened.Store(nil)
		return
	}
	if err.Result == Canceled {
		return // says nothing about the injector
	}
	if c.failures.Add(1) < failuresToOpen {
		return
	}
	since := now
	if o := c.opened.Load(); o != nil {
		since = o.since
	} else {
		c.probeAt.Store(now.Add(probeEvery).UnixNano())
	}
	c.opened.Store(&opening{since: since, last: err})
}

// state is what the circuit looks like from outside.
func (c *circuit) state() (open bool, since time.Time) {
	if o := c.opened.Load(); o != nil {
		return true, o.since
	}
	return false, time.Time{}
}
