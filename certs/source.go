package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"
)

// ErrNotAvailable means that there is no serving certificate yet.
var ErrNotAvailable = errors.New("no serving certificate is available yet")

// Source holds the current serving certificate. A TLS server asks it at each handshake, so a new certificate needs
// neither a file nor a restart, and connections that are open keep the one they began with. It is safe for concurrent
// use; the zero Source is ready.
type Source struct {
	current atomic.Pointer[tls.Certificate]
}

// GetCertificate is for tls.Config. Before the first Set it fails the handshake with ErrNotAvailable: fail closed, as
// any certificate made up here would be refused by the client anyway.
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.current.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNotAvailable
}

// Set makes c the certificate of every handshake from now on. c must have its Leaf set and not be modified afterwards.
func (s *Source) Set(c *tls.Certificate) { s.current.Store(c) }

// Leaf is the parsed serving certificate; nil before the first Set.
func (s *Source) Leaf() *x509.Certificate {
	if c := s.current.Load(); c != nil {
		return c.Leaf
	}
	return nil
}
