package certs_test

import (
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

const (
	day    = 24 * time.Hour
	dnsSvc = "revision-router.revision-router.svc"
)

// start is the time at which tests begin. It has whole seconds, as certificates have.
func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func mustAuthority(t testing.TB, now time.Time, lifetime time.Duration) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(now, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request() certs.LeafRequest {
	return certs.LeafRequest{DNSNames: []string{dnsSvc}, Lifetime: certs.MaxLeafLifetime}
}

func mustLeaf(t testing.TB, a *certs.Authority, now time.Time) *certs.Leaf {
	t.Helper()
	leaf, err := a.Issue(request(), now)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func mustKeyPEM(t testing.TB, a *certs.Authority) []byte {
	t.Helper()
	key, err := certs.EncodeKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func bundleOf(authorities ...*certs.Authority) certs.Bundle {
	var b certs.Bundle
	for _, a := range authorities {
		b = b.Add(a.Certificate)
	}
	return b
}
