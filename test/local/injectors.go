package local

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/test/injector"
)

// lifetime of the stand-ins' certificates; a run takes minutes.
const lifetime = 24 * time.Hour

// Injectors serves the stand-ins for the istiods of a mesh on one loopback port.
type Injectors struct {
	injector.Server
	http *http.Server
	url  string
	ca   []byte
}

// StartInjectors starts them. Close ends them.
func StartInjectors() (*Injectors, error) {
	now := time.Now()
	authority, err := certs.NewAuthority(now, lifetime)
	if err != nil {
		return nil, fmt.Errorf("making a CA for the stand-in injectors: %w", err)
	}
	leaf, err := authority.Issue(certs.LeafRequest{IPs: []netip.Addr{netip.MustParseAddr(loopback)}, Lifetime: lifetime}, now)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the stand-in injectors: %w", err)
	}
	listener, err := net.Listen("tcp", loopback+":0") //nolint:noctx // returns at once
	if err != nil {
		return nil, fmt.Errorf("starting the stand-in injectors: %w", err)
	}
	s := &Injectors{
		url: "https://" + listener.Addr().String(),
		ca:  certs.EncodeCertificate(authority.Certificate),
	}
	s.http = &http.Server{Handler: &s.Server, ReadHeaderTimeout: 10 * time.Second}
	config := &tls.Config{Certificates: []tls.Certificate{*leaf.TLS}, MinVersion: tls.VersionTLS12}
	go func() { _ = s.http.Serve(tls.NewListener(listener, config)) }()
	return s, nil
}

// ClientConfig is how the API server reaches the stand-in for a revision at a version.
func (s *Injectors) ClientConfig(revision, version string) admissionregistrationv1.WebhookClientConfig {
	url := s.url + injector.Path(revision, version)
	return admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: s.ca}
}

// Close ends the stand-ins.
func (s *Injectors) Close() error {
	if err := s.http.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stopping the stand-in injectors: %w", err)
	}
	return nil
}
