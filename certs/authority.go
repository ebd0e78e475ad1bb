package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	day = 24 * time.Hour

	// DefaultCALifetime is a year: long enough that rotation is rare, short enough that it is not forgotten code.
	DefaultCALifetime = 365 * day
	// MinCALifetime leaves room for an overlap (see Overlap) in the third of its life that is left when an
	// Authority is due for replacement.
	MinCALifetime = 28 * day

	// MaxLeafLifetime is the longest that a leaf may live, and the default. It is a limit and not only a default
	// because Overlap is derived from it: replicas of different releases, or with different flags, must agree on
	// when the last leaf of an old Authority has expired.
	MaxLeafLifetime = 7 * day
	// MinLeafLifetime makes a third of a leaf's life clearly longer than MinRemaining, so that a leaf which is
	// renewed on time never makes a replica unready.
	MinLeafLifetime = 6 * time.Hour

	// backdate is how far in the past a certificate begins to be valid: clocks of the API server that checks it and
	// of the replica that signs it differ, and a certificate that is not valid yet fails as surely as an expired one.
	backdate = time.Hour

	// organization marks the Authorities that this package makes, so that they can be told from other CAs in a bundle.
	organization = "revision-router.io"
)

// Authority is a CA certificate with its key. It is not modified after it was made.
type Authority struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
}

// NewAuthority makes a self-signed ECDSA P-256 CA that is valid for lifetime from now on. P-256, because every call
// on a new connection pays for a handshake, and P-384 and RSA-2048 make it twice as dear.
func NewAuthority(now time.Time, lifetime time.Duration) (*Authority, error) {
	if lifetime <= 0 {
		return nil, fmt.Errorf("create CA: lifetime is %s, want more than zero", lifetime)
	}
	key, serial, err := keyAndSerial()
	if err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// Several Authorities are in one bundle during a rotation. The date tells people which is which; machines
		// go by the key identifiers that x509.CreateCertificate adds.
		Subject: pkix.Name{
			Organization: []string{organization},
			CommonName:   "revision-router-ca " + now.UTC().Format(time.DateOnly),
		},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs leaves only
	}
	certificate, err := create(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	return &Authority{Certificate: certificate, Key: key}, nil
}

// ValidAt tells whether the Authority can sign leaves that verify at this time.
func (a *Authority) ValidAt(now time.Time) bool {
	return a != nil && validAt(a.Certificate, now)
}

func validAt(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// own tells whether a certificate is an Authority that this package made, as far as its content shows. It decides
// which CAs of a published bundle are worth keeping when the Secret is lost, never whether anything is trusted.
func own(c *x509.Certificate) bool {
	return c.IsCA && len(c.Subject.Organization) == 1 && c.Subject.Organization[0] == organization
}

// check tells what is wrong with an Authority that was read from outside.
func (a *Authority) check() error {
	public, ok := a.Certificate.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || public.Curve != elliptic.P256():
		return errors.New("the certificate's key is not ECDSA P-256")
	case !public.Equal(a.Key.Public()):
		return errors.New("the key does not belong to the certificate")
	case a.Certificate.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("the certificate may not sign certificates")
	}
	// A CA that is in the bundle is trusted as it is, so its signature is checked only to notice damage.
	if err := a.Certificate.CheckSignatureFrom(a.Certificate); err != nil {
		return fmt.Errorf("the certificate is not self-signed: %w", err)
	}
	return nil
}

func keyAndSerial() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	// RFC 5280 4.1.2.2 allows 20 octets with the sign bit clear: 159 bits.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
	if err != nil {
		return nil, nil, fmt.Errorf("generate serial number: %w", err)
	}
	return key, serial.Add(serial, big.NewInt(1)), nil
}

// create signs template and parses the result, because only a parsed certificate has its key identifiers and Raw set.
func create(template, parent *x509.Certificate, subject, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse signed certificate: %w", err)
	}
	return certificate, nil
}
