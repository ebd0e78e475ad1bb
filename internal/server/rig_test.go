package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/certs"
)

const serverName = "revision-router.revision-router.svc"

// tally is a Recorder that remembers.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[what]++
}

func (t *tally) Refused(r Refusal)                  { t.add(string(r)) }
func (t *tally) Closed(c Closure)                   { t.add(string(c)) }
func (t *tally) HandshakeFailed(f HandshakeFailure) { t.add(string(f)) }
func (t *tally) Panicked()                          { t.add("panic") }

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[what]
}

func (t *tally) all() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// rig is a server on a socket of its own, and what clients need to call it.
type rig struct {
	t         testing.TB
	server    *Server
	tally     *tally
	authority *certs.Authority
	bundle    *x509.CertPool
	address   string
	stop      context.CancelFunc
	// ended gets what Start returned.
	ended chan error
}

func mustAuthority(t testing.TB) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(time.Now(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newRig starts a server that serves the handlers, after change had its say.
func newRig(t testing.TB, handlers map[string]http.Handler, change func(*Options)) *rig {
	t.Helper()
	authority := mustAuthority(t)
	leaf, err := authority.Issue(certs.LeafRequest{
		DNSNames: []string{serverName}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Lifetime: 12 * time.Hour,
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, tally: &tally{}, authority: authority, bundle: x509.NewCertPool(), ended: make(chan error, 1)}
	r.bundle.AddCert(authority.Certificate)
	o := Options{
		Host: "127.0.0.1", GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf.TLS, nil },
		Recorder: r.tally, Log: logr.Discard(), Now: time.Now,
	}
	if change != nil {
		change(&o)
	}
	if r.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	for path, h := range handlers {
		r.server.Register(path, h)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.server.Start(ctx) }()
	waitFor(t, "the server listens", func() bool { return r.server.StartedChecker()(nil) == nil })
	r.address = r.server.address.Load().String()
	t.Cleanup(func() {
		stop()
		if err := r.wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return r
}

func (r *rig) wait() error {
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(20 * time.Second):
		return fmt.Errorf("it does not end; connections %v", r.server.table.counts())
	}
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// transport is that of the API server to a webhook: HTTP/1.1, 25 idle connections, closed after 90 s, no TLS sessions.
func (r *rig) transport() *http.Transport {
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: r.bundle, ServerName: serverName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 25,
		IdleConnTimeout:     90 * time.Second,
	}
	r.t.Cleanup(t.CloseIdleConnections)
	return t
}

// apiServer is a client as the API server has it, retries included.
func (r *rig) apiServer() *rest.RESTClient {
	r.t.Helper()
	c, err := rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: "https://" + r.address, QPS: -1,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: statusSerializer()},
	}, &http.Client{Transport: r.transport()})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// call posts a body as the API server does.
func call(ctx context.Context, c *rest.RESTClient, path string, body []byte) ([]byte, error) {
	result := c.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx)
	answer, err := result.Raw()
	if err != nil {
		return nil, result.Error() // which reads the Status
	}
	return answer, nil
}

// echo answers with the body that it got.
func echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			http.Error(w, "the handler could not read the body", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
}

// wellBehaved calls the server until stopped, and fails the test for every call that fails.
func (r *rig) wellBehaved() (stop func() int) {
	r.t.Helper()
	client := r.apiServer()
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		calls int
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		calls, body := 0, []byte(`"`+strings.Repeat("x", 6000)+`"`)
		for ctx.Err() == nil {
			limited, end := context.WithTimeout(context.Background(), 10*time.Second)
			answer, err := call(limited, client, "/echo", body) //nolint:contextcheck // a call that has begun is to end
			end()
			if err == nil && !bytes.Equal(answer, body) {
				err = fmt.Errorf("another answer of %d bytes", len(answer))
			}
			if err != nil {
				done <- outcome{calls, err}
				return
			}
			calls++
		}
		done <- outcome{calls, nil}
	}()
	return func() int {
		r.t.Helper()
		cancel()
		o := <-done
		if o.err != nil {
			r.t.Errorf("after %d calls a well-behaved client got: %v", o.calls, o.err)
		}
		if o.calls == 0 {
			r.t.Error("a well-behaved client got no answer")
		}
		return o.calls
	}
}

// dial opens a TLS connection to the server.
func (r *rig) dial() *tls.Conn {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: r.bundle, ServerName: serverName})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) dialTCP() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
