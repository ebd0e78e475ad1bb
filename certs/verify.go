package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Renewal is when a certificate should be replaced: after two thirds of its life. The last third is the time to
// notice, and repair, that it was not.
func Renewal(notBefore, notAfter time.Time) time.Time {
	return notAfter.Add(-notAfter.Sub(notBefore) / 3)
}

// Verifies returns nil if a client that trusts the bundle and dials this name (or IP address) accepts the leaf at
// this time: the check that the API server makes on every new connection.
func Verifies(bundle Bundle, leaf *x509.Certificate, dnsName string, now time.Time) error {
	if dnsName == "" {
		// x509 would take an empty name to mean "do not check the name". Fail closed.
		return errors.New("verify serving certificate: no name to verify it for")
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		DNSName:     dnsName,
		Roots:       bundle.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("verify serving certificate: %w", err)
	}
	return nil
}
