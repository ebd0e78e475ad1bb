package server

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

// bodies bounds the memory that the bodies of requests take.
type bodies struct {
	limit int64
	now   func() time.Time
	pool  sync.Pool

	mu       sync.Mutex
	used     int64
	bySource map[netip.Addr]int64
	// unfinished are those that are still being read.
	unfinished map[*body]struct{}
}

// body is one body, in a buffer that may be used again.
type body struct {
	data   []byte
	source netip.Addr
	began  time.Time
	// cut closes the connection that the body is read from.
	cut func()
	// The lock of bodies guards charged.
	charged int64
}

func newBodies(limit int64, now func() time.Time) *bodies {
	return &bodies{
		limit: limit, now: now,
		pool:       sync.Pool{New: func() any { return new(body) }},
		bySource:   map[netip.Addr]int64{},
		unfinished: map[*body]struct{}{},
	}
}

// read reads a body, and returns it or why it cannot be had. declared is the length that the client announced.
func (b *bodies) read(c *conn, r io.Reader, declared int64) (*body, Refusal) {
	if declared > MaxBody {
		return nil, BodyTooLarge
	}
	x, _ := b.pool.Get().(*body)
	*x = body{data: x.data[:0], source: c.source, began: b.now(), cut: func() { c.table.cutOff(c) }}
	refusal := b.fill(x, r, declared)
	b.mu.Lock()
	delete(b.unfinished, x)
	b.mu.Unlock()
	if refusal != "" {
		b.release(x)
		return nil, refusal
	}
	return x, ""
}

// fill grows the buffer with what really arrives: a declared length alone claims little.
func (b *bodies) fill(x *body, r io.Reader, declared int64) Refusal {
	// One byte more than announced, so that the end is seen without growing.
	if refusal := b.grow(x, int(min(max(declared+1, firstRead), keepBody))); refusal != "" {
		return refusal
	}
	for {
		if len(x.data) == cap(x.data) {
			if refusal := b.grow(x, min(2*cap(x.data), MaxBody+1)); refusal != "" {
				return refusal
			}
		}
		n, err := r.Read(x.data[len(x.data):cap(x.data)])
		x.data = x.data[:len(x.data)+n]
		switch {
		case len(x.data) > MaxBody:
			return BodyTooLarge
		case errors.Is(err, io.EOF):
			return ""
		case errors.Is(err, os.ErrDeadlineExceeded):
			return BodyTooSlow
		case err != nil:
			return BodyBroken
		}
	}
}

// grow charges for a buffer of a size, and makes it.
func (b *bodies) grow(x *body, size int) Refusal {
	size = max(size, cap(x.data))
	slowest, ok := b.charge(x, int64(size))
	if slowest != nil {
		slowest()
	}
	if !ok {
		return TooManyBytes
	}
	if size > cap(x.data) {
		data := make([]byte, len(x.data), size)
		copy(data, x.data)
		x.data = data
	}
	return ""
}

// charge sets what a body takes. Where there is no room, the body that has been arriving for the longest is to be cut,
// if it is slow, and only then: the others are gone in a moment, and the client may try again then.
func (b *bodies) charge(x *body, size int64) (cut func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := size - x.charged
	if !b.fits(x, more) {
		slowest := b.slowest(x)
		if slowest == nil {
			return nil, false
		}
		cut = slowest.cut
		delete(b.unfinished, slowest)
		b.set(slowest, 0)
		if !b.fits(x, more) {
			return cut, false
		}
	}
	b.set(x, size)
	b.unfinished[x] = struct{}{}
	return cut, true
}

func (b *bodies) fits(x *body, more int64) bool {
	return b.used+more <= b.limit && b.bySource[x.source]+more <= b.limit/2
}

// slowest is the slow body whose end makes room for x: of the same source where that has used up its half. The caller
// holds the lock.
func (b *bodies) slowest(x *body) *body {
	now := b.now()
	var oldest *body
	for o := range b.unfinished {
		if o == x || now.Sub(o.began) < slow || b.bySource[x.source] >= b.limit/2 && o.source != x.source {
			continue
		}
		if oldest == nil || o.charged > oldest.charged || o.charged == oldest.charged && o.began.Before(oldest.began) {
			oldest = o
		}
	}
	return oldest
}

// set charges a body. The caller holds the lock.
func (b *bodies) set(x *body, size int64) {
	b.used += size - x.charged
	if b.bySource[x.source] += size - x.charged; b.bySource[x.source] == 0 {
		delete(b.bySource, x.source)
	}
	x.charged = size
}

// release ends what a body is charged for, and keeps its buffer for another.
func (b *bodies) release(x *body) {
	b.forget(x)
	if cap(x.data) <= keepBody {
		x.cut = nil
		b.pool.Put(x)
	}
}

// forget is release where something may still hold the buffer.
func (b *bodies) forget(x *body) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(x, 0)
}

func (b *bodies) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// hasBody reports whether a request has one.
func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }
