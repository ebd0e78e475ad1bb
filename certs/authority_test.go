package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"net/netip"
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

func TestAuthority(t *testing.T) {
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	c := a.Certificate
	public, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		t.Errorf("the key is %T, want ECDSA P-256", c.PublicKey)
	}
	if !c.IsCA || !c.MaxPathLenZero || c.KeyUsage&x509.KeyUsageCertSign == 0 {
		t.Errorf("IsCA %t, path length zero %t, key usage %b: want a CA of leaves", c.IsCA, c.MaxPathLenZero, c.KeyUsage)
	}
	if got := c.NotAfter; !got.Equal(start().Add(certs.DefaultCALifetime)) {
		t.Errorf("it expires at %s, want a year from %s", got, start())
	}
	for name, tc := range map[string]struct {
		at   time.Time
		want bool
	}{
		"on a machine whose clock is behind": {start().Add(-59 * time.Minute), true},
		"long before":                        {start().Add(-2 * time.Hour), false},
		"at the end":                         {c.NotAfter, true},
		"after the end":                      {c.NotAfter.Add(time.Second), false},
	} {
		if got := a.ValidAt(tc.at); got != tc.want {
			t.Errorf("%s: valid %t, want %t", name, got, tc.want)
		}
	}
	if _, err := certs.NewAuthority(start(), 0); err == nil {
		t.Error("a CA without a lifetime was made")
	}
	var none *certs.Authority
	if none.ValidAt(start()) {
		t.Error("no CA is valid")
	}
}

func TestLeaf(t *testing.T) {
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	leaf, err := a.Issue(certs.LeafRequest{
		DNSNames: []string{dnsSvc, "localhost"}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
		Lifetime: certs.MaxLeafLifetime,
	}, start())
	if err != nil {
		t.Fatal(err)
	}
	c := leaf.Certificate()
	if c.IsCA || !c.BasicConstraintsValid {
		t.Error("the leaf could sign")
	}
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v, want server authentication only", c.ExtKeyUsage)
	}
	if got := c.NotAfter; !got.Equal(start().Add(7 * day)) {
		t.Errorf("it expires at %s, want a week from %s", got, start())
	}
	if !leaf.Issuer.Equal(a.Certificate) {
		t.Error("the issuer is not the CA")
	}
	for _, name := range []string{dnsSvc, "localhost", "127.0.0.1", "::1"} {
		if err := certs.Verifies(bundleOf(a), c, name, start()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	second := mustLeaf(t, a, start())
	if c.SerialNumber.Cmp(second.Certificate().SerialNumber) == 0 {
		t.Error("two leaves have one serial number")
	}
}

func TestALeafNeverOutlivesItsCA(t *testing.T) {
	a := mustAuthority(t, start(), 30*day)
	for _, at := range []time.Time{start(), start().Add(22 * day), start().Add(24 * day), a.Certificate.NotAfter.Add(-time.Second)} {
		leaf := mustLeaf(t, a, at).Certificate()
		if leaf.NotAfter.After(a.Certificate.NotAfter) || leaf.NotBefore.Before(a.Certificate.NotBefore) {
			t.Errorf("a leaf of %s is valid from %s to %s, outside of its CA", at, leaf.NotBefore, leaf.NotAfter)
		}
	}
	for _, at := range []time.Time{start().Add(-2 * time.Hour), a.Certificate.NotAfter.Add(time.Second)} {
		_, err := a.Issue(certs.LeafRequest{DNSNames: []string{dnsSvc}, Lifetime: day}, at)
		if err == nil {
			t.Errorf("a CA that is not valid at %s signed", at)
		}
	}
}

func TestLeavesThatNobodyCouldUseAreRefused(t *testing.T) {
	cases := map[string]certs.LeafRequest{
		"no name":             {Lifetime: day},
		"an empty name":       {DNSNames: []string{""}, Lifetime: day},
		"a name with a blank": {DNSNames: []string{"a b"}, Lifetime: day},
		"a host and port":     {DNSNames: []string{"localhost:443"}, Lifetime: day},
		"an empty label":      {DNSNames: []string{"a..svc"}, Lifetime: day},
		"a trailing dot":      {DNSNames: []string{"a.svc."}, Lifetime: day},
		"no address":          {IPs: []netip.Addr{{}}, Lifetime: day},
		"no lifetime":         {DNSNames: []string{dnsSvc}},
		"too long a lifetime": {DNSNames: []string{dnsSvc}, Lifetime: certs.MaxLeafLifetime + 1},
	}
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	for name, request := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := a.Issue(request, start()); err == nil {
				t.Error("it was signed")
			}
		})
	}
}

func TestVerifies(t *testing.T) {
	a, other := mustAuthority(t, start(), certs.DefaultCALifetime), mustAuthority(t, start(), certs.DefaultCALifetime)
	leaf := mustLeaf(t, a, start()).Certificate()
	cases := map[string]struct {
		bundle certs.Bundle
		leaf   *x509.Certificate
		name   string
		at     time.Time
		fails  bool
	}{
		"its CA is in the bundle":         {bundleOf(a), leaf, dnsSvc, start(), false},
		"its CA is one of two":            {bundleOf(other, a), leaf, dnsSvc, start(), false},
		"the client's clock is behind":    {bundleOf(a), leaf, dnsSvc, start().Add(-59 * time.Minute), false},
		"the bundle is empty":             {certs.Bundle{}, leaf, dnsSvc, start(), true},
		"the bundle holds another CA":     {bundleOf(other), leaf, dnsSvc, start(), true},
		"the name is another":             {bundleOf(a), leaf, "other.svc", start(), true},
		"no name is given":                {bundleOf(a), leaf, "", start(), true},
		"it has expired":                  {bundleOf(a), leaf, dnsSvc, leaf.NotAfter.Add(time.Second), true},
		"it is not valid yet":             {bundleOf(a), leaf, dnsSvc, leaf.NotBefore.Add(-time.Second), true},
		"it is the CA, not a serving one": {bundleOf(a), a.Certificate, dnsSvc, start(), true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := certs.Verifies(tc.bundle, tc.leaf, tc.name, tc.at); (err != nil) != tc.fails {
				t.Errorf("%v, want an error: %t", err, tc.fails)
			}
		})
	}
}

func TestRenewalIsAfterTwoThirds(t *testing.T) {
	if got, want := certs.Renewal(start(), start().Add(3*day)), start().Add(2*day); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
	if got := certs.Renewal(start(), start()); !got.Equal(start()) {
		t.Errorf("%s for a life of no length, want %s", got, start())
	}
}
