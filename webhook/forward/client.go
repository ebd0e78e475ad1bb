package forward

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/revision-router/revision-router/internal/bounded"
)

const (
	contentType = "application/json" // exactly: istiod answers 415 to the same with a parameter

	// maxReply bounds a reply: as much as a review may have, while the objects that patches lead to end at 3 MiB.
	maxReply = 7 << 20
	// maxPools bounds the injectors that connections are kept for. A mesh has a handful of revisions.
	maxPools = 64
	// quotedReply bounds what is repeated of a reply that is no review.
	quotedReply = 200
)

// Options are what a [Client] needs. Now is required.
type Options struct {
	// Dial replaces the dialing of addresses, for use outside of a cluster's network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Now  func() time.Time
	// Retried is called for each request that is sent a second time. Optional.
	Retried func(revision string)
}

// Client passes reviews on to injectors. It may be used by any number of goroutines.
type Client struct {
	options Options
	pools   atomic.Pointer[map[string]*pool] // by revision; never changed in place
	mu      sync.Mutex                       // held while pools is replaced
}

// NewClient returns a client without connections.
func NewClient(o Options) *Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	o.Dial = boundedDialer(o.Dial)
	if o.Retried == nil {
		o.Retried = func(string) {}
	}
	c := &Client{options: o}
	c.pools.Store(&map[string]*pool{})
	return c
}

// Forward sends a review as it stands, and reads the body of the answer into the memory of reply, which grows as needed
// and is returned in any case. It does not look into either. Neither is used after it returns, so that both may be memory
// that is used again.
//
// The deadline is ctx's. Where the connection does not come about, or breaks before the first byte of a reply, the
// review is sent once more on a new connection. That is safe although it is a POST: an injector has no side effects, and
// answers the same review with the same patch. Once a reply has begun, nothing is sent again.
//
// An error is always an [Error]. It fails closed: none leads to another revision.
func (c *Client) Forward(ctx context.Context, to Injector, review, reply []byte) ([]byte, error) {
	now := c.options.Now()
	p, e := c.pool(to, now)
	if e != nil {
		return reply, e
	}
	defer p.done()
	if e := p.circuit.enter(now); e != nil {
		return reply, e
	}
	reply, again, e := p.send(ctx, p.transport, review, reply)
	if again && ctx.Err() == nil {
		c.options.Retried(to.Revision)
		// What broke one connection out of use has most likely broken the others: an endpoint is gone.
		p.transport.CloseIdleConnections()
		reply, _, e = p.send(ctx, p.fresh, review, reply)
	}
	p.circuit.leave(c.options.Now(), e)
	if e != nil {
		return reply, e
	}
	return reply, nil
}

// send makes one attempt. again: it failed in a way that another connection may put right.
func (p *pool) send(ctx context.Context, over *http.Transport, review, reply []byte) (_ []byte, again bool, _ *Error) {
	doing := "POST " + p.url.Host + p.url.Path
	var began atomic.Bool
	trace := httptrace.ClientTrace{GotFirstResponseByte: func() { began.Store(true) }}
	content := &body{rest: review}
	defer content.release()
	req := (&http.Request{
		Method: http.MethodPost, URL: p.url, Host: p.url.Host, Header: p.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: content, ContentLength: int64(len(review)),
	}).WithContext(httptrace.WithClientTrace(ctx, &trace))
	resp, err := over.RoundTrip(req)
	if err != nil {
		e := classify(ctx, doing, err)
		return reply, !began.Load() && (e.Result == Unreachable || e.Result == Broken), e
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is written
	if resp.StatusCode != http.StatusOK {
		return reply, false, failure(BadStatus, "%s: HTTP status %d: %s", doing, resp.StatusCode, quoteBody(resp.Body))
	}
	reply, err = bounded.Read(reply, bounded.Source{Reader: resp.Body, Declared: resp.ContentLength}, maxReply)
	if err != nil {
		return reply, false, classify(ctx, doing, err)
	}
	return reply, false, nil
}

// quoteBody is the start of a reply that is no review, fit for a message.
func quoteBody(r io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(r, quotedReply))
	if err != nil && len(text) == 0 {
		return "no body"
	}
	return fmt.Sprintf("%+q", strings.TrimSpace(string(text)))
}

// pool returns the connections to an injector, and makes them where it is new, or changed.
func (c *Client) pool(to Injector, now time.Time) (*pool, *Error) {
	p := (*c.pools.Load())[to.Revision]
	if p == nil || !p.serves(to) {
		var e *Error
		if p, e = c.replace(to, now); e != nil {
			return nil, e
		}
	}
	p.used.Store(now.UnixNano())
	return p, nil
}

// replace puts a new pool in place of the revision's old one. What the old one has in flight ends as it would have.
func (c *Client) replace(to Injector, now time.Time) (*pool, *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.pools.Load()
	if p := old[to.Revision]; p != nil && p.serves(to) {
		return p, nil // another request was first
	}
	p, e := newPool(to, c.options.Dial)
	if e != nil {
		return nil, e
	}
	p.used.Store(now.UnixNano())
	pools := maps.Clone(old)
	if before := pools[to.Revision]; before != nil {
		defer before.retire()
	}
	pools[to.Revision] = p
	if len(pools) > maxPools {
		longest := leastUsed(pools)
		defer pools[longest].retire()
		delete(pools, longest)
	}
	c.pools.Store(&pools)
	return p, nil
}

func leastUsed(pools map[string]*pool) string {
	byUse := func(a, b string) int { return int(pools[a].used.Load() - pools[b].used.Load()) }
	return slices.MinFunc(slices.Sorted(maps.Keys(pools)), byUse)
}

// Circuit is the state of one revision's circuit.
type Circuit struct {
	Revision string
	// Open: the injector does not answer, and is left alone apart from a probe each second.
	Open bool
	// Since is when it opened.
	Since time.Time
}

// Circuits lists the circuits of the injectors that connections are kept for, in order of revision.
func (c *Client) Circuits() []Circuit {
	pools := *c.pools.Load()
	list := make([]Circuit, 0, len(pools))
	for _, revision := range slices.Sorted(maps.Keys(pools)) {
		open, since := pools[revision].circuit.state()
		list = append(list, Circuit{Revision: revision, Open: open, Since: since})
	}
	return list
}

// Close closes the connections that are not in use.
func (c *Client) Close() {
	for _, p := range *c.pools.Load() {
		p.retire()
	}
}
