package certs_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

func TestBundleIsASetInOneOrder(t *testing.T) {
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	b := mustAuthority(t, start().Add(time.Hour), certs.DefaultCALifetime)
	c := mustAuthority(t, start().Add(2*time.Hour), certs.DefaultCALifetime)
	want := slices.Concat(certs.EncodeCertificate(a.Certificate), certs.EncodeCertificate(b.Certificate), certs.EncodeCertificate(c.Certificate))
	for name, order := range map[string][]*certs.Authority{
		"oldest first": {a, b, c}, "newest first": {c, b, a}, "twice": {b, a, c, a, b},
	} {
		if got := bundleOf(order...).PEM(); !bytes.Equal(got, want) {
			t.Errorf("%s: the bytes differ", name)
		}
	}

	all := bundleOf(a, b, c)
	if got := all.Remove(b.Certificate); !got.Equal(bundleOf(a, c)) || got.Contains(b.Certificate) || !all.Contains(b.Certificate) {
		t.Error("Remove did not remove one from a new bundle only")
	}
	if !all.ContainsAll(bundleOf(c, a)) || bundleOf(a).ContainsAll(all) || !all.ContainsAll(certs.Bundle{}) {
		t.Error("ContainsAll is wrong")
	}
	if got := bundleOf(a).Union(bundleOf(b, a)); !got.Equal(bundleOf(a, b)) {
		t.Error("Union is wrong")
	}
	if all.Len() != 3 || len(all.Certificates()) != 3 || (certs.Bundle{}).PEM() != nil {
		t.Error("the number of certificates is wrong")
	}
	all.Certificates()[0] = nil
	if all.Certificates()[0] == nil {
		t.Error("the caller can change the bundle")
	}
}

func TestOwnAtLeavesOutWhatIsOfNoUse(t *testing.T) {
	mine, expired := mustAuthority(t, start(), 30*day), mustAuthority(t, start().Add(-60*day), 30*day)
	foreign := foreignCA(t)
	b := certs.NewBundle(mine.Certificate, expired.Certificate, foreign)
	if got := b.OwnAt(start()); !got.Equal(bundleOf(mine)) {
		t.Errorf("%d certificates, want only the own one that is valid", got.Len())
	}
}

func TestBundlesAreReadStrictly(t *testing.T) {
	a, b := mustAuthority(t, start(), certs.DefaultCALifetime), mustAuthority(t, start(), certs.DefaultCALifetime)
	ca, other := certs.EncodeCertificate(a.Certificate), certs.EncodeCertificate(b.Certificate)
	leaf := certs.EncodeCertificate(mustLeaf(t, a, start()).Certificate())
	cases := map[string]struct {
		data []byte
		// strict is how many certificates ParseBundle finds; -1: it refuses. trusted is what the API server makes of it.
		strict, trusted int
	}{
		"nothing":                               {nil, 0, 0},
		"white space":                           {[]byte(" \n\n"), 0, 0},
		"one":                                   {ca, 1, 1},
		"two":                                   {slices.Concat(ca, other), 2, 2},
		"one, twice":                            {slices.Concat(ca, ca), 1, 1},
		"two, with blank lines between":         {slices.Concat(ca, []byte("\n\n"), other, []byte("\n")), 2, 2},
		"a comment before":                      {slices.Concat([]byte("# mine\n"), ca), -1, 1},
		"a comment between":                     {slices.Concat(ca, []byte("# mine\n"), other), -1, 2},
		"a comment after":                       {slices.Concat(ca, []byte("# mine\n")), -1, 1},
		"a private key beside it":               {slices.Concat(ca, mustKeyPEM(t, a)), -1, 1},
		"a leaf":                                {leaf, -1, 0},
		"a leaf among CAs":                      {slices.Concat(ca, leaf, other), -1, 2},
		"a block that is cut off":               {ca[:len(ca)-30], -1, 0},
		"a block that is cut off, then another": {slices.Concat(ca[:len(ca)-30], []byte("\n"), other), -1, -1},
		"a block with a header":                 {bytes.Replace(ca, []byte("-----\n"), []byte("-----\nName: x\n\n"), 1), -1, 0},
		"garbage":                               {[]byte("garbage"), -1, 0},
		"a certificate of garbage":              {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), -1, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bundle, err := certs.ParseBundle(tc.data)
			if (err != nil) != (tc.strict < 0) || (err == nil && bundle.Len() != tc.strict) {
				t.Errorf("ParseBundle found %d, %v; want %d", bundle.Len(), err, tc.strict)
			}
			if got := certs.ScanBundle(tc.data).Len(); tc.trusted >= 0 && got != tc.trusted {
				t.Errorf("ScanBundle found %d, want %d", got, tc.trusted)
			}
		})
	}
}

// ScanBundle has to see what the API server sees. Go's own pool is what the API server uses.
func FuzzBundle(f *testing.F) {
	a := mustAuthority(f, start(), certs.DefaultCALifetime)
	ca := certs.EncodeCertificate(a.Certificate)
	f.Add(ca)
	f.Add(slices.Concat(ca, []byte("# x\n"), ca))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add(ca[:100])
	leaf := mustLeaf(f, a, start()).Certificate()
	f.Fuzz(func(t *testing.T, data []byte) {
		scanned := certs.ScanBundle(data)
		if parsed, err := certs.ParseBundle(data); err == nil {
			if !parsed.Equal(scanned) {
				t.Error("what is in order is trusted in another way")
			}
			again, err := certs.ParseBundle(parsed.PEM())
			if err != nil || !again.Equal(parsed) {
				t.Errorf("a bundle does not survive its own encoding: %v", err)
			}
			if !certs.ReadPublished("w", data).Holds(parsed) {
				t.Error("a published bundle does not hold itself")
			}
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(data)
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: start(), DNSName: dnsSvc})
		if mine := certs.Verifies(scanned, leaf, dnsSvc, start()); (err == nil) != (mine == nil) {
			t.Errorf("the API server says %v, this package %v", err, mine)
		}
	})
}

func TestAuthoritiesAreReadStrictly(t *testing.T) {
	a, b := mustAuthority(t, start(), certs.DefaultCALifetime), mustAuthority(t, start(), certs.DefaultCALifetime)
	ca, key := certs.EncodeCertificate(a.Certificate), mustKeyPEM(t, a)
	leaf := mustLeaf(t, a, start())
	cases := map[string]struct {
		certificate, key []byte
		ok               bool
	}{
		"what was written":             {ca, key, true},
		"with blank lines around":      {slices.Concat([]byte("\n"), ca, []byte("\n")), slices.Concat([]byte("\n"), key, []byte("\n")), true},
		"no certificate":               {nil, key, false},
		"no key":                       {ca, nil, false},
		"two certificates":             {slices.Concat(ca, ca), key, false},
		"the key of another":           {ca, mustKeyPEM(t, b), false},
		"two keys":                     {ca, slices.Concat(key, key), false},
		"a certificate in the key":     {ca, ca, false},
		"a key in the certificate":     {key, key, false},
		"the certificate of a leaf":    {certs.EncodeCertificate(leaf.Certificate()), key, false},
		"a key of garbage":             {ca, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), false},
		"something after the key":      {ca, slices.Concat(key, []byte("x")), false},
		"an intermediate CA":           {intermediate(t, a, b), mustKeyPEM(t, b), false},
		"a CA that is of another kind": {rsaCA(t), key, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := certs.ParseAuthority(tc.certificate, tc.key)
			if (err == nil) != tc.ok {
				t.Fatalf("%v, want success: %t", err, tc.ok)
			}
			if tc.ok && (!got.Certificate.Equal(a.Certificate) || !got.Key.Equal(a.Key)) {
				t.Error("it is another CA")
			}
		})
	}
}

func FuzzAuthority(f *testing.F) {
	a := mustAuthority(f, start(), certs.DefaultCALifetime)
	f.Add(certs.EncodeCertificate(a.Certificate), mustKeyPEM(f, a))
	f.Add([]byte("-----BEGIN CERTIFICATE-----"), []byte("-----BEGIN PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, certificate, key []byte) {
		read, err := certs.ParseAuthority(certificate, key)
		if err != nil {
			return
		}
		// Whatever is accepted can sign what verifies.
		now := read.Certificate.NotBefore
		leaf := mustLeaf(t, read, now)
		if err := certs.Verifies(bundleOf(read), leaf.Certificate(), dnsSvc, now); err != nil {
			t.Error(err)
		}
	})
}
