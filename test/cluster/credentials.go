package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The files that kube-apiserver reads, in the cluster's directory.
const (
	caFile                = "ca.crt"
	servingCertFile       = "apiserver.crt"
	servingKeyFile        = "apiserver.key"
	serviceAccountKeyFile = "sa.key"
	kubeconfigFile        = "kubeconfig"
)

// kubeconfigName names the context, the cluster and the user in the kubeconfig file.
const kubeconfigName = "revision-router-local"

const (
	// backdate allows for a clock that was set back a little.
	backdate = time.Hour
	// lifetime is longer than anybody keeps a cluster: it ends with its process.
	lifetime = 30 * 24 * time.Hour
)

// credentials are everything by which the parts of one cluster know each other, PEM-encoded. No other cluster trusts
// them, so a client that reaches the wrong one finds out.
type credentials struct {
	ca                []byte
	serving, admin    pair
	serviceAccountKey []byte
	// components are the client certificates of those that run workloads, by their names.
	components map[string]pair
}

type pair struct{ cert, key []byte }

// issuer signs certificates; its own are not kept on disk.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
}

func newCredentials(now time.Time) (*credentials, error) {
	ca, err := newIssuer(now)
	if err != nil {
		return nil, fmt.Errorf("the CA: %w", err)
	}
	serving, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.ParseIP(loopback)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("the serving certificate: %w", err)
	}
	admin, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("the administrator's certificate: %w", err)
	}
	components, err := ca.issueComponents()
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("the key of ServiceAccount tokens: %w", err)
	}
	serviceAccountKey, err := encodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("the key of ServiceAccount tokens: %w", err)
	}
	return &credentials{
		ca:                encodeCert(ca.cert.Raw),
		serving:           serving,
		admin:             admin,
		serviceAccountKey: serviceAccountKey,
		components:        components,
	}, nil
}

// issueComponents gives Kubernetes' components the names that its own ClusterRoleBindings know. kwok acts as the
// kubelets of all nodes, for which there is no such role without the Node authorizer.
func (i *issuer) issueComponents() (map[string]pair, error) {
	components := map[string]pair{}
	for name, subject := range map[string]pkix.Name{
		controllerManager: {CommonName: "system:kube-controller-manager"},
		scheduler:         {CommonName: "system:kube-scheduler"},
		kwok:              {CommonName: "kwok", Organization: []string{"system:masters"}},
	} {
		issued, err := i.issue(&x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			return nil, fmt.Errorf("the certificate of %s: %w", name, err)
		}
		components[name] = issued
	}
	return components, nil
}

func newIssuer(now time.Time) (*issuer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "revision-router local control plane"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	ca := &issuer{cert: template, key: key, now: now}
	der, err := ca.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	ca.cert, err = x509.ParseCertificate(der)
	return ca, err
}

func (i *issuer) issue(template *x509.Certificate) (pair, error) {
	key, err := newKey()
	if err != nil {
		return pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := i.sign(template, key.Public())
	if err != nil {
		return pair{}, err
	}
	encoded, err := encodeKey(key)
	return pair{cert: encodeCert(der), key: encoded}, err
}

func (i *issuer) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = i.now.Add(-backdate), i.now.Add(lifetime)
	return x509.CreateCertificate(rand.Reader, template, i.cert, public, i.key)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// encodeKey writes SEC 1: in PKCS #8, kube-apiserver finds no public key for ServiceAccount tokens.
func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func (c *credentials) write(dir string) error {
	for name, content := range map[string][]byte{
		caFile:                c.ca,
		servingCertFile:       c.serving.cert,
		servingKeyFile:        c.serving.key,
		serviceAccountKeyFile: c.serviceAccountKey,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write the credentials of the control plane: %w", err)
		}
	}
	return nil
}

func writeKubeconfig(path string, config *rest.Config) error {
	file := clientcmdapi.NewConfig()
	file.Clusters[kubeconfigName] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		CertificateAuthorityData: config.CAData,
	}
	file.AuthInfos[kubeconfigName] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
	}
	file.Contexts[kubeconfigName] = &clientcmdapi.Context{Cluster: kubeconfigName, AuthInfo: kubeconfigName}
	file.CurrentContext = kubeconfigName
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write the kubeconfig file: %w", err)
	}
	return nil
}
