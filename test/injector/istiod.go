package injector

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/routing"
)

// Istiod stands in for the istiod of one revision, on a loopback port of its own and with a certificate that has the
// names of istiod's and no other. It may be used by several goroutines.
type Istiod struct {
	options IstiodOptions
	proxy   proxy
	ca      *certs.Authority
	fault   atomic.Pointer[Fault]
	leaf    atomic.Pointer[tls.Certificate]

	requests, injected, doubled, connections, resumed atomic.Int64

	mu       sync.Mutex
	http     *http.Server
	listener net.Listener
}

// IstiodOptions say what an [Istiod] stands in for.
type IstiodOptions struct {
	Revision, Version string
	Namespace         string // istio-system where it is empty
	Path              string // /inject where it is empty
	// Delay is how long a review takes.
	Delay time.Duration
	// Answer, where it is set, is called instead of injecting.
	Answer http.Handler
	Now    func() time.Time
}

// Fault takes the place of the answer to a review, and may call it.
type Fault func(w http.ResponseWriter, r *http.Request, answer http.Handler)

// Counts is what came to an [Istiod].
type Counts struct{ Requests, Injected, Doubled, Connections, Resumed int64 }

// StartIstiod starts a stand-in with a CA of its own. Close ends it.
func StartIstiod(o IstiodOptions) (*Istiod, error) {
	if o.Namespace == "" {
		o.Namespace = "istio-system"
	}
	if o.Path == "" {
		o.Path = "/inject"
	}
	i := &Istiod{options: o, proxy: proxy{o.Revision, o.Version}}
	ca, leaf, err := i.issue()
	if err != nil {
		return nil, err
	}
	i.adopt(ca, leaf)
	if err := i.Listen(); err != nil {
		return nil, err
	}
	return i, nil
}

// service is the name of the Service, which has the revision in it unless that is the default.
func service(revision string) string {
	if revision == routing.DefaultRevision {
		return "istiod"
	}
	return "istiod-" + revision
}

// ServerNames are the names in the certificate of an istiod (pilot/pkg/bootstrap/server.go, getDNSNames): neither tags nor
// cluster.local.
func ServerNames(revision, namespace string) []string {
	names := []string{"istiod." + namespace + ".svc", "istiod-remote." + namespace + ".svc", "istio-pilot." + namespace + ".svc"}
	if name := service(revision) + "." + namespace + ".svc"; name != names[0] {
		names = append(names, name)
	}
	return names
}

// ServerName is the name under which the revision's own webhooks reach it.
func (i *Istiod) ServerName() string {
	return service(i.options.Revision) + "." + i.options.Namespace + ".svc"
}

// Host is the address within a cluster, Address the real one.
func (i *Istiod) Host() string { return i.ServerName() + ":443" }

// Address is where it listens.
func (i *Istiod) Address() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.listener.Addr().String()
}

// Path is where it injects.
func (i *Istiod) Path() string { return i.options.Path }

// CABundle vouches for its certificate.
func (i *Istiod) CABundle() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return certs.EncodeCertificate(i.ca.Certificate)
}

// RotateCA replaces the CA in the order that keeps connections working: it publishes both CAs, changes the certificate,
// and publishes the new CA alone.
func (i *Istiod) RotateCA(publish func(bundle []byte)) error {
	ca, leaf, err := i.issue()
	if err != nil {
		return err
	}
	publish(append(i.CABundle(), certs.EncodeCertificate(ca.Certificate)...))
	i.adopt(ca, leaf)
	publish(i.CABundle())
	return nil
}

func (i *Istiod) adopt(ca *certs.Authority, leaf *certs.Leaf) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ca = ca
	i.leaf.Store(leaf.TLS)
}

// issue makes a CA, and a certificate by it.
func (i *Istiod) issue() (*certs.Authority, *certs.Leaf, error) {
	now := i.options.Now()
	const lifetime = 24 * time.Hour
	ca, err := certs.NewAuthority(now, lifetime)
	if err != nil {
		return nil, nil, fmt.Errorf("making a CA for the stand-in of istiod: %w", err)
	}
	leaf, err := ca.Issue(certs.LeafRequest{DNSNames: ServerNames(i.options.Revision, i.options.Namespace), Lifetime: lifetime}, now)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate for the stand-in of istiod: %w", err)
	}
	return ca, leaf, nil
}

// Listen starts it on a new port.
func (i *Istiod) Listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return fmt.Errorf("starting the stand-in of istiod: %w", err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(i.serve), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 90 * time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				i.connections.Add(1)
			}
		},
		ErrorLog: log.New(io.Discard, "", 0), // handshakes that fail are what tests are about
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.leaf.Load(), nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.DidResume {
				i.resumed.Add(1)
			}
			return nil
		},
		NextProtos: []string{"h2", "http/1.1"},
	}
	server.TLSConfig = config
	i.mu.Lock()
	i.http, i.listener = server, listener
	i.mu.Unlock()
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with Close
	return nil
}

// Close ends it as a crash does: what is in flight breaks.
func (i *Istiod) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.http.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stopping the stand-in of istiod: %w", err)
	}
	return nil
}

// Replace starts it on another port, and then ends what was there as a crash does.
func (i *Istiod) Replace() error {
	i.mu.Lock()
	before := i.http
	i.mu.Unlock()
	if err := i.Listen(); err != nil {
		return err
	}
	if err := before.Close(); err != nil {
		return fmt.Errorf("stopping the stand-in of istiod: %w", err)
	}
	return nil
}

// Break puts a fault in the place of every answer from now on; nil heals it.
func (i *Istiod) Break(f Fault) {
	if f == nil {
		i.fault.Store(nil)
		return
	}
	i.fault.Store(&f)
}

// Counts tells what came so far.
func (i *Istiod) Counts() Counts {
	return Counts{
		i.requests.Load(), i.injected.Load(), i.doubled.Load(), i.connections.Load(), i.resumed.Load(),
	}
}

func (i *Istiod) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ready":
		return
	case i.options.Path:
	default:
		http.NotFound(w, r)
		return
	}
	i.requests.Add(1)
	if f := i.fault.Load(); f != nil {
		(*f)(w, r, http.HandlerFunc(i.answer))
		return
	}
	i.answer(w, r)
}

func (i *Istiod) answer(w http.ResponseWriter, r *http.Request) {
	if d := i.options.Delay; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	if i.options.Answer != nil {
		i.options.Answer.ServeHTTP(w, r)
		return
	}
	call, _ := serve(w, r, i.proxy)
	if call.Injected {
		i.injected.Add(1)
	}
	if call.Double {
		i.doubled.Add(1)
	}
}
