package certs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// MinRemaining is the time that a serving certificate must have left for a replica to be ready. Open connections hide
// an expired certificate, and the first burst that needs new ones would fail.
const MinRemaining = time.Hour

// Ready returns nil if the API server can call this replica: it has a serving certificate with time left, and every
// webhook configuration that exists trusts it. A configuration that does not exist needs nothing.
//
// It judges what was read last. While the API server cannot be reached, that stays as it was: a replica that works is
// not made unready by an outage of somebody else.
func (s State) Ready(now time.Time) error {
	switch {
	case s.Leaf == nil && len(s.Unread) > 0: // without it, no leaf is safe to sign
		return fmt.Errorf("not ready to serve: %w: %s has not been read yet", ErrNotAvailable, s.Unread[0])
	case s.Leaf == nil:
		return fmt.Errorf("not ready to serve: %w", ErrNotAvailable)
	}
	if err := CheckRemaining(s.Leaf.Certificate(), now); err != nil {
		return fmt.Errorf("not ready to serve: %w", err)
	}
	if len(s.Unread) > 0 {
		return fmt.Errorf("not ready to serve: %s has not been read yet", s.Unread[0])
	}
	for _, p := range s.Published {
		if !p.Trusts(s.Leaf.Issuer) {
			return fmt.Errorf("not ready to serve: the CA bundle of webhook %s does not hold the CA of the serving certificate", p.Webhook)
		}
	}
	return nil
}

// CheckRemaining returns nil if a serving certificate is valid, and for longer than MinRemaining.
func CheckRemaining(leaf *x509.Certificate, now time.Time) error {
	if validAt(leaf, now) && leaf.NotAfter.Sub(now) > MinRemaining {
		return nil
	}
	return fmt.Errorf("the serving certificate is valid from %s to %s, want more than %s left at %s",
		stamp(leaf.NotBefore), stamp(leaf.NotAfter), MinRemaining, stamp(now))
}
