package certs

import (
	"crypto/x509"
	"time"
)

// Published is the caBundle of one webhook in one existing configuration, as ReadPublished found it.
type Published struct {
	// Webhook names the place, for reasons and errors.
	Webhook string
	// trusted is what the API server makes of the bytes; clean tells that they hold nothing else.
	trusted Bundle
	clean   bool
}

// ReadPublished judges the caBundle of a webhook. It cannot fail: whatever is there is what the API server goes by.
func ReadPublished(webhook string, caBundle []byte) Published {
	p := Published{Webhook: webhook, trusted: ScanBundle(caBundle)}
	strict, err := ParseBundle(caBundle)
	p.clean = err == nil && strict.Equal(p.trusted)
	return p
}

// Holds tells whether the bundle is this one and nothing else. Other white space is no difference: a rewrite of the
// same certificates is not worth an answer.
func (p Published) Holds(want Bundle) bool { return p.clean && p.trusted.Equal(want) }

// Trusts tells whether the API server accepts leaves of this CA.
func (p Published) Trusts(c *x509.Certificate) bool { return p.trusted.Contains(c) }

// Verifies returns nil if the API server accepts the leaf when it calls this webhook under this name.
func (p Published) Verifies(leaf *x509.Certificate, dnsName string, now time.Time) error {
	return Verifies(p.trusted, leaf, dnsName, now)
}
