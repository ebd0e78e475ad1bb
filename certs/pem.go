package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY" // PKCS #8
)

// EncodeCertificate returns the PEM block of one certificate.
func EncodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})
}

// EncodeKey returns the PKCS #8 PEM block of a key.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// ParseAuthority reads what EncodeCertificate and EncodeKey wrote. It accepts exactly one block in each, and only a
// self-signed P-256 CA with its own key: anything else would show only later, as a webhook that nobody can call.
// It does not look at the validity period, which needs a clock.
func ParseAuthority(certificatePEM, keyPEM []byte) (*Authority, error) {
	certificates, err := parseCertificates(certificatePEM)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	if len(certificates) != 1 {
		return nil, fmt.Errorf("read CA certificate: %d certificates, want 1", len(certificates))
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read CA key: %w", err)
	}
	authority := &Authority{Certificate: certificates[0], Key: key}
	if err := authority.check(); err != nil {
		return nil, fmt.Errorf("check CA: %w", err)
	}
	return authority, nil
}

// parseCertificates is strict: only whole CERTIFICATE blocks of CAs, without headers, and nothing around them.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := data; ; {
		block, after, err := nextBlock(rest)
		if err != nil {
			return nil, err
		}
		if block == nil {
			return certificates, nil
		}
		if block.Type != certificateBlock {
			return nil, fmt.Errorf("PEM block %q, want %q", block.Type, certificateBlock)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certificates)+1, err)
		}
		if !certificate.IsCA || !certificate.BasicConstraintsValid {
			return nil, fmt.Errorf("certificate %d is not a CA", len(certificates)+1)
		}
		certificates, rest = append(certificates, certificate), after
	}
}

func parseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, rest, err := nextBlock(data)
	switch {
	case err != nil:
		return nil, err
	case block == nil:
		return nil, errors.New("it is empty")
	case block.Type != keyBlock:
		return nil, fmt.Errorf("PEM block %q, want %q", block.Type, keyBlock)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("there is something after the key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The error of the parser can only describe structure, but nothing about a key is worth the risk of a log.
		return nil, errors.New("it is not a PKCS #8 key")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is not an ECDSA key")
	}
	return key, nil
}

// nextBlock returns the first block, or nil at the end. pem.Decode skips whatever it does not understand; here a
// block must begin where the previous one ended.
func nextBlock(data []byte) (*pem.Block, []byte, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, nil, nil
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, nil, errors.New("it is not PEM")
	case len(block.Headers) > 0:
		return nil, nil, errors.New("a PEM block has headers")
	case !bytes.HasPrefix(data, []byte("-----BEGIN "+block.Type+"-----")) ||
		bytes.Count(data[:len(data)-len(rest)], []byte("-----BEGIN ")) != 1:
		return nil, nil, errors.New("there is something before a PEM block")
	}
	return block, rest, nil
}
