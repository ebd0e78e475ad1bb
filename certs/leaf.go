package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Leaf is a serving certificate with the CA that signed it. It is not modified after it was made.
type Leaf struct {
	// TLS is what a server presents. Its Leaf field is always set.
	TLS *tls.Certificate
	// Issuer must be in every published bundle for as long as this Leaf is served.
	Issuer *x509.Certificate
}

// Certificate is the parsed serving certificate.
func (l *Leaf) Certificate() *x509.Certificate { return l.TLS.Leaf }

// LeafRequest says what a Leaf is for.
type LeafRequest struct {
	// DNSNames and IPs are the names that clients dial. The API server dials <service>.<namespace>.svc; an address is
	// needed only where a webhook configuration has a URL with one.
	DNSNames []string
	IPs      []netip.Addr
	// Lifetime is at most MaxLeafLifetime.
	Lifetime time.Duration
}

// Validate tells whether a Leaf can be made from the request.
func (r LeafRequest) Validate() error {
	if len(r.DNSNames) == 0 && len(r.IPs) == 0 {
		return errors.New("a serving certificate needs a DNS name or an IP address")
	}
	for _, name := range r.DNSNames {
		// An empty label or a blank would make a certificate that no client can match.
		if name == "" || strings.ContainsAny(name, " /:") || strings.Contains("."+name+".", "..") {
			return fmt.Errorf("%q is not a DNS name", name)
		}
	}
	for _, ip := range r.IPs {
		if !ip.IsValid() {
			return errors.New("an IP address is not valid")
		}
	}
	if r.Lifetime <= 0 || r.Lifetime > MaxLeafLifetime {
		return fmt.Errorf("leaf lifetime is %s, want more than 0 and at most %s", r.Lifetime, MaxLeafLifetime)
	}
	return nil
}

// Issue makes a new key and a serving certificate for it. The certificate never outlives the Authority: its last
// seconds would not verify, and the rotation counts on it.
func (a *Authority) Issue(r LeafRequest, now time.Time) (*Leaf, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("issue serving certificate: %w", err)
	}
	if !a.ValidAt(now) {
		return nil, fmt.Errorf("issue serving certificate: the CA is valid from %s to %s, not at %s",
			stamp(a.Certificate.NotBefore), stamp(a.Certificate.NotAfter), stamp(now))
	}
	key, serial, err := keyAndSerial()
	if err != nil {
		return nil, fmt.Errorf("issue serving certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "revision-router"}, // for people; clients look at the alternative names
		DNSNames:     r.DNSNames,
		NotBefore:    latest(now.Add(-backdate), a.Certificate.NotBefore),
		NotAfter:     earliest(now.Add(r.Lifetime), a.Certificate.NotAfter),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Explicitly not a CA: a stolen leaf must not be able to sign others.
		BasicConstraintsValid: true,
	}
	for _, ip := range r.IPs {
		template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
	}
	certificate, err := create(template, a.Certificate, key, a.Key)
	if err != nil {
		return nil, fmt.Errorf("issue serving certificate: %w", err)
	}
	pair := &tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
	return &Leaf{TLS: pair, Issuer: a.Certificate}, nil
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stamp is how times are written in reasons and errors.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
