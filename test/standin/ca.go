package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/certs"
)

// As istiod names them (security/pkg/pki/ca).
const (
	caSecret      = "istio-ca-secret"
	caSecretType  = "istio.io/ca-root" //nolint:gosec // a type, not a credential
	caCertificate = "ca-cert.pem"
	caKey         = "ca-key.pem"
)

// sharedCA is the CA of all istiods of a namespace, which the first of them makes. It never changes.
func sharedCA(ctx context.Context, client dynamic.Interface, namespace string, now time.Time) (*certs.Authority, error) {
	secrets := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace)
	found, err := secrets.Get(ctx, caSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if found, err = newSecret(now); err != nil {
			return nil, err
		}
		if found, err = secrets.Create(ctx, found, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			found, err = secrets.Get(ctx, caSecret, metav1.GetOptions{}) // another one was first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("share the CA in Secret %s: %w", caSecret, err)
	}
	data, _, err := unstructured.NestedStringMap(found.Object, "data")
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", caSecret, err)
	}
	certificate, err1 := base64.StdEncoding.DecodeString(data[caCertificate])
	key, err2 := base64.StdEncoding.DecodeString(data[caKey])
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("read Secret %s: it is not base64", caSecret)
	}
	ca, err := certs.ParseAuthority(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", caSecret, err)
	}
	return ca, nil
}

// newSecret holds a new CA.
func newSecret(now time.Time) (*unstructured.Unstructured, error) {
	ca, err := certs.NewAuthority(now, certs.DefaultCALifetime)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	key, err := certs.EncodeKey(ca.Key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	secret := &unstructured.Unstructured{Object: map[string]any{
		"type": caSecretType,
		"data": map[string]any{
			caCertificate: base64.StdEncoding.EncodeToString(certs.EncodeCertificate(ca.Certificate)),
			caKey:         base64.StdEncoding.EncodeToString(key),
		},
	}}
	secret.SetAPIVersion("v1")
	secret.SetKind("Secret")
	secret.SetName(caSecret)
	return secret, nil
}
