package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// idlePerInjector bounds the connections that wait for the next pod. The API server itself keeps 25 for each of
	// its replicas; more than all of them together use at a time is not needed.
	idlePerInjector = 100
	// connectionsPerInjector bounds what an injector that hangs can hold; further requests wait for one of these, and no
	// longer than their own deadline.
	connectionsPerInjector = 512
	// idleTimeout is shorter than the 90 seconds of istiod's server (pilot/pkg/bootstrap), so that it is always this side
	// that closes a connection out of use. The other way round, a request may meet the closing.
	idleTimeout = 60 * time.Second
	// dialTimeout leaves time for a second connection within any deadline that is of use: a connection within a cluster
	// takes milliseconds, and one to an endpoint that is gone takes forever.
	dialTimeout = time.Second
	// handshakeTimeout is longer, as a handshake takes the CPU time of an injector that may be busy. Two tries of both
	// are less than the ten seconds that a webhook has by default.
	handshakeTimeout = 2 * time.Second
	// sessions bounds the TLS sessions kept for resumption: one for each connection that may have to be made again.
	sessions = idlePerInjector
	// bufferSize holds a usual review in one go: 4 KiB, the default, makes three TLS records of it.
	bufferSize = 16 << 10
)

// pool is the connections to the injector of one revision, and what is known of it. It serves one Injector: with another
// CA bundle or address there is another pool, and connections that the old bundle vouched for are not used again.
type pool struct {
	to        Injector
	url       *url.URL
	header    http.Header // shared by all requests, and changed by none
	transport *http.Transport
	fresh     *http.Transport // makes a connection for each request, and keeps none
	circuit   circuit
	used      atomic.Int64 // when last, in Unix nanoseconds
	retired   atomic.Bool
}

func newPool(to Injector, dial dialer) (*pool, *Error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(to.CABundle) {
		return nil, failure(NoCA, "its CA bundle holds no certificate, perhaps because it has not started yet")
	}
	at, err := url.Parse("https://" + to.Address + to.Path)
	if err != nil || at.Host != to.Address {
		return nil, failure(NoInjector, "its address %q with path %q is no URL", to.Address, to.Path)
	}
	protocols := new(http.Protocols)
	// HTTP/1.1 and not 2, which istiod speaks as well: all requests would share a connection, and so one endpoint of the
	// injector, and one connection's lock (measured in docs/benchmarks.md). The API server does the same.
	protocols.SetHTTP1(true)
	p := &pool{
		to:     to,
		url:    at,
		header: http.Header{"Content-Type": {contentType}, "Accept": {contentType}, "User-Agent": {"revision-router"}},
		transport: &http.Transport{
			DialContext:         dial,
			Protocols:           protocols,
			TLSHandshakeTimeout: handshakeTimeout,
			TLSClientConfig: &tls.Config{
				MinVersion:         tls.VersionTLS12,
				RootCAs:            roots,
				ServerName:         to.ServerName,
				ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
			},
			MaxIdleConnsPerHost: idlePerInjector,
			MaxConnsPerHost:     connectionsPerInjector,
			IdleConnTimeout:     idleTimeout,
			DisableCompression:  true,
			WriteBufferSize:     bufferSize,
			ReadBufferSize:      bufferSize,
		},
	}
	// A second try must not meet another connection that lay in the pool while its endpoint went away.
	p.fresh = p.transport.Clone()
	p.fresh.DisableKeepAlives = true
	return p, nil
}

// serves reports whether the pool is for this very injector.
func (p *pool) serves(to Injector) bool {
	return p.to.Address == to.Address && p.to.Path == to.Path && p.to.ServerName == to.ServerName &&
		bytes.Equal(p.to.CABundle, to.CABundle)
}

// retire closes the connections that are not in use. Those in use are closed when their reply is read.
func (p *pool) retire() {
	p.retired.Store(true)
	p.transport.CloseIdleConnections()
}

// done ends one use of the pool.
func (p *pool) done() {
	if p.retired.Load() {
		p.transport.CloseIdleConnections()
	}
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// bounded gives a dialer its time-out, whatever the request has left.
func boundedDialer(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		return conn, nil
	}
}
