package files_test

import (
	"crypto/ecdsa"
	"testing"

	"github.com/revision-router/revision-router/certs"
)

func keyOf(t *testing.T, leaf *certs.Leaf) *ecdsa.PrivateKey {
	t.Helper()
	key, ok := leaf.TLS.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("the key is %T", leaf.TLS.PrivateKey)
	}
	return key
}
