package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// Bundle is a set of CA certificates: what a client of the webhook trusts. It is a value that never changes, without
// duplicates and in one order (oldest first), so that every replica writes the same bytes. The zero Bundle is empty.
type Bundle struct {
	certificates []*x509.Certificate
}

// NewBundle holds the given CA certificates.
func NewBundle(certificates ...*x509.Certificate) Bundle { return Bundle{}.Add(certificates...) }

// ParseBundle reads what PEM wrote. Anything that is not a CA certificate is an error, so that what a stranger wrote
// is noticed and replaced. No certificate at all is an empty Bundle.
func ParseBundle(data []byte) (Bundle, error) {
	certificates, err := parseCertificates(data)
	if err != nil {
		return Bundle{}, fmt.Errorf("read CA bundle: %w", err)
	}
	return NewBundle(certificates...), nil
}

// ScanBundle reads a bundle as the API server does, with x509.CertPool.AppendCertsFromPEM: certificates that can be
// read count, the rest is skipped. It answers what is trusted at this moment; ParseBundle whether that is in order.
func ScanBundle(data []byte) Bundle {
	var certificates []*x509.Certificate
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != certificateBlock || len(block.Headers) > 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && certificate.IsCA {
			certificates = append(certificates, certificate)
		}
	}
	return NewBundle(certificates...)
}

// Add returns a Bundle that also holds these certificates.
func (b Bundle) Add(certificates ...*x509.Certificate) Bundle {
	all := slices.Concat(b.certificates, certificates)
	slices.SortFunc(all, func(x, y *x509.Certificate) int {
		if c := x.NotBefore.Compare(y.NotBefore); c != 0 {
			return c
		}
		return bytes.Compare(x.Raw, y.Raw)
	})
	return Bundle{certificates: slices.CompactFunc(all, (*x509.Certificate).Equal)}
}

// Union returns a Bundle of all certificates of both.
func (b Bundle) Union(other Bundle) Bundle { return b.Add(other.certificates...) }

// Remove returns a Bundle without these certificates.
func (b Bundle) Remove(certificates ...*x509.Certificate) Bundle {
	return b.keep(func(c *x509.Certificate) bool { return !slices.ContainsFunc(certificates, c.Equal) })
}

// OwnAt returns the Authorities of this package that are valid at this time.
func (b Bundle) OwnAt(now time.Time) Bundle {
	return b.keep(func(c *x509.Certificate) bool { return own(c) && validAt(c, now) })
}

func (b Bundle) keep(wanted func(*x509.Certificate) bool) Bundle {
	var kept []*x509.Certificate
	for _, c := range b.certificates {
		if wanted(c) {
			kept = append(kept, c)
		}
	}
	return Bundle{certificates: kept}
}

// Contains tells whether the Bundle holds this very certificate.
func (b Bundle) Contains(c *x509.Certificate) bool {
	return slices.ContainsFunc(b.certificates, c.Equal)
}

// ContainsAll tells whether the Bundle holds every certificate of the other.
func (b Bundle) ContainsAll(other Bundle) bool {
	return len(other.Remove(b.certificates...).certificates) == 0
}

// Equal tells whether both hold the same certificates.
func (b Bundle) Equal(other Bundle) bool {
	return slices.EqualFunc(b.certificates, other.certificates, (*x509.Certificate).Equal)
}

// Len is the number of certificates.
func (b Bundle) Len() int { return len(b.certificates) }

// Certificates returns the certificates, oldest first. The slice is the caller's.
func (b Bundle) Certificates() []*x509.Certificate { return slices.Clone(b.certificates) }

// PEM is the form that goes into a webhook configuration's caBundle. It is nil for an empty Bundle.
func (b Bundle) PEM() []byte {
	var out []byte
	for _, c := range b.certificates {
		out = append(out, EncodeCertificate(c)...)
	}
	return out
}

func (b Bundle) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range b.certificates {
		pool.AddCert(c)
	}
	return pool
}
