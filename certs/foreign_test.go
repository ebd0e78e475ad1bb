package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"

	"github.com/revision-router/revision-router/certs"
)

func caTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "somebody else"},
		NotBefore: start().Add(-day), NotAfter: start().Add(1000 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// signed is a CA certificate for a key; parent is nil where it signs itself.
func signed(t testing.TB, parent *x509.Certificate, public, signer any) *x509.Certificate {
	t.Helper()
	template := caTemplate()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// foreignCA is a CA that this package did not make.
func foreignCA(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signed(t, nil, key.Public(), key)
}

func rsaCA(t testing.TB) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certs.EncodeCertificate(signed(t, nil, key.Public(), key))
}

// intermediate is a CA certificate of b's key, signed by a.
func intermediate(t testing.TB, a, b *certs.Authority) []byte {
	t.Helper()
	return certs.EncodeCertificate(signed(t, a.Certificate, b.Key.Public(), a.Key))
}
