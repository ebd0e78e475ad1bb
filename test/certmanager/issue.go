package certmanager

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// caKey is where cert-manager puts the certificate of the issuer.
const caKey = "ca.crt"

// Issuer does for the Certificates of a namespace what cert-manager would.
type Issuer struct {
	kube    kubernetes.Interface
	objects dynamic.Interface
}

// NewIssuer connects to an API server that has cert-manager's kinds: see Install.
func NewIssuer(config *rest.Config) (*Issuer, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &Issuer{kube: kube, objects: objects}, nil
}

// place is where an object of cert-manager's is.
type place struct{ resource, namespace, name string }

func (p place) String() string { return p.resource + " " + p.namespace + "/" + p.name }

// read gets an object and decodes it into its type, strictly.
func (i *Issuer) read(ctx context.Context, from place, into any) error {
	gvr := schema.GroupVersionResource{Group: cmapi.SchemeGroupVersion.Group, Version: cmapi.SchemeGroupVersion.Version, Resource: from.resource}
	found, err := i.objects.Resource(gvr).Namespace(from.namespace).Get(ctx, from.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading %s: %w", from, err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found.Object, into, true); err != nil {
		return fmt.Errorf("decoding %s: %w", from, err)
	}
	return nil
}

// Issue signs a Certificate anew and writes its Secret. It follows the chain of issuers: a CA that has no Secret yet is
// issued first, one that has is used as it is.
func (i *Issuer) Issue(ctx context.Context, namespace, name string) error {
	var certificate cmapi.Certificate
	if err := i.read(ctx, place{"certificates", namespace, name}, &certificate); err != nil {
		return err
	}
	template, err := pki.CertificateTemplateFromCertificate(&certificate)
	if err != nil {
		return fmt.Errorf("making a certificate of Certificate %s: %w", name, err)
	}
	key, err := i.keyFor(ctx, &certificate)
	if err != nil {
		return err
	}
	parent, signer, err := i.signerFor(ctx, &certificate)
	if err != nil {
		return err
	}
	if parent == nil { // self-signed
		parent, signer = template, key
	}
	certificatePEM, signed, err := pki.SignCertificate(template, parent, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing Certificate %s: %w", name, err)
	}
	if parent == template {
		parent = signed
	}
	return i.store(ctx, &certificate, issued{certificatePEM, parent, key})
}

// keyFor makes a key, or takes the one that there is where the Certificate says so.
func (i *Issuer) keyFor(ctx context.Context, certificate *cmapi.Certificate) (crypto.Signer, error) {
	if certificate.Spec.PrivateKey != nil && certificate.Spec.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever {
		secret, err := i.kube.CoreV1().Secrets(certificate.Namespace).Get(ctx, certificate.Spec.SecretName, metav1.GetOptions{})
		if err == nil {
			return pki.DecodePrivateKeyBytes(secret.Data[corev1.TLSPrivateKeyKey])
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading the key of Certificate %s: %w", certificate.Name, err)
		}
	}
	key, err := pki.GeneratePrivateKeyForCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("making a key for Certificate %s: %w", certificate.Name, err)
	}
	return key, nil
}

// signerFor returns the CA of the Certificate's issuer; nil for one that signs itself.
func (i *Issuer) signerFor(ctx context.Context, certificate *cmapi.Certificate) (*x509.Certificate, crypto.Signer, error) {
	ref := certificate.Spec.IssuerRef
	if ref.Kind != cmapi.IssuerKind || ref.Group != cmapi.SchemeGroupVersion.Group {
		return nil, nil, fmt.Errorf("certificate %s: issuer %+v is none that this stands in for", certificate.Name, ref)
	}
	var issuer cmapi.Issuer
	if err := i.read(ctx, place{"issuers", certificate.Namespace, ref.Name}, &issuer); err != nil {
		return nil, nil, err
	}
	switch {
	case issuer.Spec.SelfSigned != nil:
		return nil, nil, nil
	case issuer.Spec.CA == nil:
		return nil, nil, fmt.Errorf("issuer %s is neither self-signed nor a CA", issuer.Name)
	}
	secret, err := i.kube.CoreV1().Secrets(certificate.Namespace).Get(ctx, issuer.Spec.CA.SecretName, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the CA of issuer %s: %w", issuer.Name, err)
	}
	parent, err1 := pki.DecodeX509CertificateBytes(secret.Data[corev1.TLSCertKey])
	signer, err2 := pki.DecodePrivateKeyBytes(secret.Data[corev1.TLSPrivateKeyKey])
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, fmt.Errorf("reading the CA of issuer %s: %w", issuer.Name, err)
	}
	return parent, signer, nil
}

// issued is what goes into a Secret.
type issued struct {
	certificatePEM []byte
	parent         *x509.Certificate
	key            crypto.Signer
}

func (i *Issuer) store(ctx context.Context, certificate *cmapi.Certificate, content issued) error {
	parentPEM, err := pki.EncodeX509(content.parent)
	if err != nil {
		return fmt.Errorf("encoding the CA of Certificate %s: %w", certificate.Name, err)
	}
	keyPEM, err := pki.EncodePrivateKey(content.key, cmapi.PKCS1)
	if err != nil {
		return fmt.Errorf("encoding the key of Certificate %s: %w", certificate.Name, err)
	}
	data := map[string][]byte{
		corev1.TLSCertKey: content.certificatePEM, corev1.TLSPrivateKeyKey: keyPEM, caKey: parentPEM,
	}
	secrets := i.kube.CoreV1().Secrets(certificate.Namespace)
	secret, err := secrets.Get(ctx, certificate.Spec.SecretName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: certificate.Spec.SecretName}, Type: corev1.SecretTypeTLS, Data: data,
		}
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	case err == nil:
		secret.Data = data
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s: %w", certificate.Spec.SecretName, err)
	}
	return nil
}

// Inject does what the cainjector would: it writes the CA of the Secret that each webhook configuration's annotation
// leads to into all of its webhooks, and returns how many configurations it wrote.
func (i *Issuer) Inject(ctx context.Context) (int, error) {
	mutating, err := i.injectMutating(ctx)
	if err != nil {
		return mutating, err
	}
	validating, err := i.injectValidating(ctx)
	return mutating + validating, err
}

func (i *Issuer) injectMutating(ctx context.Context) (written int, _ error) {
	api := i.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("listing configurations: %w", err)
	}
	for n := range list.Items {
		c := &list.Items[n]
		bundle, err := i.bundleFor(ctx, c)
		if err != nil {
			return written, err
		}
		if bundle == nil {
			continue
		}
		for w := range c.Webhooks {
			c.Webhooks[w].ClientConfig.CABundle = bundle
		}
		if _, err := api.Update(ctx, c, metav1.UpdateOptions{FieldManager: "cainjector"}); err != nil {
			return written, fmt.Errorf("injecting into %s: %w", c.Name, err)
		}
		written++
	}
	return written, nil
}

func (i *Issuer) injectValidating(ctx context.Context) (written int, _ error) {
	api := i.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("listing configurations: %w", err)
	}
	for n := range list.Items {
		c := &list.Items[n]
		bundle, err := i.bundleFor(ctx, c)
		if err != nil {
			return written, err
		}
		if bundle == nil {
			continue
		}
		for w := range c.Webhooks {
			c.Webhooks[w].ClientConfig.CABundle = bundle
		}
		if _, err := api.Update(ctx, c, metav1.UpdateOptions{FieldManager: "cainjector"}); err != nil {
			return written, fmt.Errorf("injecting into %s: %w", c.Name, err)
		}
		written++
	}
	return written, nil
}

// bundleFor is nil for a configuration without the annotation.
func (i *Issuer) bundleFor(ctx context.Context, configuration metav1.Object) ([]byte, error) {
	namespace, name, found := strings.Cut(configuration.GetAnnotations()[cmapi.WantInjectAnnotation], "/")
	if !found {
		return nil, nil
	}
	var certificate cmapi.Certificate
	if err := i.read(ctx, place{"certificates", namespace, name}, &certificate); err != nil {
		return nil, err
	}
	secret, err := i.kube.CoreV1().Secrets(namespace).Get(ctx, certificate.Spec.SecretName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the CA for %s: %w", configuration.GetName(), err)
	}
	return secret.Data[caKey], nil
}
