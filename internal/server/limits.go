package server

import (
	"errors"
	"fmt"
	"time"
)

const (
	// MaxBody bounds a body. The API server takes objects of up to 3 MiB, and a review may hold the old and the new
	// one and a megabyte about the request (the arithmetic of controller-runtime's admission.Webhook).
	MaxBody = 7 << 20
	// maxHeader: the API server sends half a kilobyte of headers. net/http adds 4 KiB of slack.
	maxHeader = 16 << 10

	// handshakeTimeout is what the API server gives a TLS handshake as well (apimachinery, util/net).
	handshakeTimeout = 10 * time.Second
	// headerTimeout and readTimeout bound a request from its first byte on. The longest timeout of a webhook in the
	// chart is 10 s: what takes longer to arrive, nobody waits for.
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	// writeTimeout runs from the end of the headers. It leaves a handler 10 s, and its answer the rest.
	writeTimeout = 22 * time.Second
	// IdleTimeout is twice that of the API server's connections (90 s, apimachinery util/net), so that it is always the
	// API server that closes. If both had the same, a request could meet the closing: a POST that does is not sent
	// again, and a pod fails.
	IdleTimeout = 180 * time.Second
	// maxAge is when a connection is closed with its next answer. The API server's connections stick to the replica
	// that they were opened to; this spreads them over replicas that have come since.
	maxAge = 5 * time.Minute

	// slow is the age at which an unfinished request gives way to others. Within a cluster a body takes milliseconds.
	slow = time.Second
	// lingerTimeout is how long a farewell waits for the client to close, a round trip normally.
	lingerTimeout = 2 * time.Second
	// maxFarewells bounds the connections in that state, beyond Limits.Connections.
	maxFarewells = 512
	// DefaultGrace is how long requests that are under way have to end.
	DefaultGrace = 10 * time.Second

	// firstRead is the memory that a body starts with, and keepBody the most that waits for the next.
	firstRead, keepBody = 16 << 10, 256 << 10
)

// Limits bound what clients can make the server hold.
type Limits struct {
	// Connections is how many are open at a time, whatever they are doing.
	Connections int
	// Concurrent is how many requests are answered at a time; a single path gets half of them.
	Concurrent int
	// BodyBytes is how much memory bodies take that are received or answered; a single source address gets half.
	BodyBytes int64
}

// DefaultLimits fit into the memory of the chart's default, 256 MiB, together with the snapshot of a large mesh. An API
// server keeps 25 idle connections and opens another for each request that finds them busy, so that there is
// room for several API servers with bursts of hundreds.
func DefaultLimits() Limits {
	return Limits{Connections: 2000, Concurrent: 512, BodyBytes: 32 << 20}
}

// Validate names every limit that cannot work.
func (l Limits) Validate() error {
	var errs []error
	if l.Connections < 16 {
		errs = append(errs, fmt.Errorf("%d connections: want at least 16", l.Connections))
	}
	if l.Concurrent < 2 {
		errs = append(errs, fmt.Errorf("%d concurrent requests: want at least 2", l.Concurrent))
	}
	if l.Concurrent >= l.Connections {
		errs = append(errs, fmt.Errorf("%d concurrent requests: want fewer than connections (%d), each has its own", l.Concurrent, l.Connections))
	}
	// A buffer is at most twice its body, and a source address gets half.
	if l.BodyBytes < 4*MaxBody {
		errs = append(errs, fmt.Errorf("%d bytes of bodies: want at least %d, for one body of the largest size", l.BodyBytes, int64(4*MaxBody)))
	}
	return errors.Join(errs...)
}
