package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

// handshake lets a client that trusts the bundle talk to a server with the source. It returns what the client saw.
func handshake(t *testing.T, source *certs.Source, bundle certs.Bundle) (*x509.Certificate, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			server := tls.Server(conn, &tls.Config{GetCertificate: source.GetCertificate, MinVersion: tls.VersionTLS12})
			err = errors.Join(server.HandshakeContext(t.Context()), conn.Close())
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle.PEM())
	client := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: dnsSvc, Time: start, MinVersion: tls.VersionTLS12})
	clientErr := client.HandshakeContext(t.Context())
	serverErr := <-done
	if clientErr != nil {
		return nil, errors.Join(clientErr, serverErr)
	}
	return client.ConnectionState().PeerCertificates[0], nil
}

func TestSourceServesWhatWasSetLast(t *testing.T) {
	var source certs.Source
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	if source.Leaf() != nil {
		t.Error("there is a leaf before the first Set")
	}
	if _, err := source.GetCertificate(nil); !errors.Is(err, certs.ErrNotAvailable) {
		t.Errorf("GetCertificate: %v, want %v", err, certs.ErrNotAvailable)
	}
	if _, err := handshake(t, &source, bundleOf(a)); !errors.Is(err, certs.ErrNotAvailable) {
		t.Errorf("handshake: %v, want %v", err, certs.ErrNotAvailable)
	}
	for range 2 {
		leaf := mustLeaf(t, a, start())
		source.Set(leaf.TLS)
		seen, err := handshake(t, &source, bundleOf(a))
		if err != nil {
			t.Fatal(err)
		}
		if !seen.Equal(leaf.Certificate()) || !source.Leaf().Equal(leaf.Certificate()) {
			t.Error("the client saw another certificate than the last that was set")
		}
	}
	other := mustAuthority(t, start(), certs.DefaultCALifetime)
	if _, err := handshake(t, &source, bundleOf(other)); err == nil {
		t.Error("a client with another bundle accepted the certificate")
	}
}

func TestSourceCanBeSetWhileItServes(t *testing.T) {
	var source certs.Source
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	source.Set(mustLeaf(t, a, start()).TLS)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			source.Set(mustLeaf(t, a, start().Add(time.Duration(i)*time.Second)).TLS)
		}
	}()
	for {
		c, err := source.GetCertificate(nil)
		if err != nil || c.Leaf == nil {
			t.Fatalf("%v, %v", c, err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
