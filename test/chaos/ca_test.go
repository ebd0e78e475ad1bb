//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/certs/secretca"
)

// secretLost deletes the CA Secret. The replicas agree on a new CA, and go on trusting the old one until none serves
// a certificate of it. Rows 13 and 14 of the catalogue.
func secretLost(w *world) result {
	t := w.t
	w.setClock(t, 0)
	w.scale(t, 2)
	_, stop := w.load(t)
	pairs := w.watchPairs(t)
	old := w.leaves(t)
	if err := w.kube.CoreV1().Secrets("revision-router").Delete(w.ctx, secretca.DefaultSecretName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.eventually(t, 2*time.Minute, "every replica serves a certificate of the new CA", func(context.Context) error {
		return eachLeaf(w.leaves(t), func(name string, leaf *x509.Certificate) bool {
			return !bytes.Equal(leaf.AuthorityKeyId, old[name].AuthorityKeyId)
		})
	})
	took := time.Since(began)
	w.sleep(time.Second)
	pairs.end()
	pairs.check(t)
	report := stop()
	noneFailed(t, report)
	if _, authorities := pairs.renewals(); authorities != 1 {
		t.Errorf("%d CAs followed the lost one, want that all replicas agree on 1", authorities)
	}
	res := of(report)
	res.done = "Secret revision-router-ca deleted"
	res.figure = fmt.Sprintf("all replicas on one new CA after %.0f s; %d looks, every leaf verifies with every bundle", took.Seconds(), pairs.samples)
	return res
}

// bundleOverwritten has somebody empty the CA bundles, as a tool does that applies a manifest without it. Until that is
// mended, the API server can call nobody on a new connection. Row 16 of the catalogue.
func bundleOverwritten(w *world) result {
	t := w.t
	const times = 3
	w.scale(t, 2)
	_, stop := w.load(t)
	w.sleep(time.Second)
	var longest time.Duration
	for range times {
		want := w.bundles(t)
		w.overwriteBundles(t)
		began := time.Now()
		w.eventually(t, 30*time.Second, "the CA bundles are back", func(ctx context.Context) error {
			got, err := w.readBundles(ctx)
			if err != nil {
				return err
			}
			for i := range want {
				if !bytes.Equal(bytes.TrimSpace(got[i].pem), bytes.TrimSpace(want[i].pem)) {
					return errors.New("webhook " + want[i].webhook + " has another one")
				}
			}
			return nil
		})
		longest = max(longest, time.Since(began))
		w.sleep(time.Second)
	}
	during := stop()
	_, stop = w.load(t)
	w.sleep(2 * time.Second)
	noneFailed(t, stop())
	res := of(during)
	res.done = fmt.Sprintf("CA bundles overwritten with another CA %d times", times)
	res.figure = fmt.Sprintf("mended after %d ms at most; %d pods failed meanwhile (failurePolicy Fail), 0 after",
		longest.Milliseconds(), during.Failed())
	return res
}

// overwriteBundles puts a CA of somebody else into every webhook for pods.
func (w *world) overwriteBundles(t *testing.T) {
	t.Helper()
	stranger := strangersCA(t)
	client := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	current, err := client.Get(w.ctx, mutatingConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var patch bytes.Buffer
	for i := range current.Webhooks {
		fmt.Fprintf(&patch, `,{"op":"replace","path":"/webhooks/%d/clientConfig/caBundle","value":%q}`, i, stranger)
	}
	body := append([]byte("["), patch.Bytes()[1:]...)
	body = append(body, ']')
	if _, err := client.Patch(w.ctx, mutatingConfiguration, types.JSONPatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// strangersCA is a CA certificate that the router did not make, encoded as in JSON.
func strangersCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "somebody else"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
