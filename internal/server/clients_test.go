package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// clientCA signs certificates of clients.
type clientCA struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newClientCA(t testing.TB) clientCA {
	t.Helper()
	ca := clientCA{t: t}
	ca.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert, _ = x509.ParseCertificate(der)
	return ca
}

func (ca clientCA) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

func (ca clientCA) issue(change func(*x509.Certificate)) *tls.Certificate {
	ca.t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

func TestOnlyClientsThatMayCallGetThrough(t *testing.T) {
	ca, other := newClientCA(t), newClientCA(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, path, ca.pem())
	clients, err := NewClients(ClientsOptions{File: path, Names: []string{"kube-apiserver"}, Now: time.Now, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, handlers(), func(o *Options) { o.Clients = clients })
	get := func(certificate *tls.Certificate) error {
		config := &tls.Config{RootCAs: r.bundle, ServerName: serverName}
		if certificate != nil {
			config.Certificates = []tls.Certificate{*certificate}
		}
		c, err := tls.Dial("tcp", r.address, config)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			return err
		}
		answer, err := io.ReadAll(c)
		if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			err = errors.New(string(answer))
		}
		return err
	}
	good := ca.issue(named("kube-apiserver"))
	cases := map[string]struct {
		shows  *tls.Certificate
		passes bool
	}{
		"the API server":               {good, true},
		"its name as a DNS name":       {ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"x", "kube-apiserver"} }), true},
		"no certificate":               {nil, false},
		"another name of the same CA":  {ca.issue(named("kubelet")), false},
		"no name at all":               {ca.issue(func(*x509.Certificate) {}), false},
		"the right name of another CA": {other.issue(named("kube-apiserver")), false},
		"a certificate that has expired": {ca.issue(func(c *x509.Certificate) {
			c.Subject.CommonName = "kube-apiserver"
			c.NotAfter = time.Now().Add(-time.Minute)
		}), false},
		"a certificate that is for servers": {ca.issue(func(c *x509.Certificate) {
			c.Subject.CommonName = "kube-apiserver"
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), false},
		"a name that only begins like the one": {ca.issue(named("kube-apiserver-x")), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := r.tally.of(string(ClientUnknown))
			if err := get(tc.shows); (err == nil) != tc.passes {
				t.Errorf("error %v, want it to pass: %v", err, tc.passes)
			}
			if !tc.passes {
				waitFor(t, "it is counted", func() bool { return r.tally.of(string(ClientUnknown)) == before+1 })
			}
		})
	}
	t.Run("its own call needs no certificate", func(t *testing.T) {
		shown, err := r.server.Dial(t.Context(), serverName)
		if err != nil || len(shown) == 0 {
			t.Fatalf("%d certificates, error %v", len(shown), err)
		}
	})
	t.Run("a file that is broken changes nothing", func(t *testing.T) {
		writeFile(t, path, []byte("half a certif"))
		clients.Reload()
		if clients.Err() == nil || get(good) != nil {
			t.Errorf("file %v, call %v", clients.Err(), get(good))
		}
	})
	t.Run("another CA in the file counts at once", func(t *testing.T) {
		writeFile(t, path, other.pem())
		clients.Reload()
		if clients.Err() != nil || get(good) == nil || get(other.issue(named("kube-apiserver"))) != nil {
			t.Errorf("file %v; the old CA passes: %v", clients.Err(), get(good) == nil)
		}
	})
}

func TestABadFileOfClientCAsIsAnErrorAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	for name, content := range map[string]string{"a file that is missing": "", "a file without a certificate": "x"} {
		if content != "" {
			writeFile(t, path, []byte(content))
		}
		if _, err := NewClients(ClientsOptions{File: path, Names: []string{"x"}, Now: time.Now, Log: logr.Discard()}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
