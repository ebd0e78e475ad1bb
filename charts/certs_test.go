package charts_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/revision-router/revision-router/charts"
)

// providers are the arguments for each provider of certificates.
func providers(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{
		"self-managed": nil,
		"cert-manager": matrix(t)["cert-manager"],
		"secret":       matrix(t)["mounted-secret"],
	}
}

// bundlesOf returns the annotations of both configurations and the CA bundle of each webhook.
func bundlesOf(t *testing.T, r release) (annotations []map[string]string, bundles []string) {
	t.Helper()
	mutating := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r)
	validating := one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, r)
	for _, w := range mutating.Webhooks {
		bundles = append(bundles, string(w.ClientConfig.CABundle))
	}
	for _, w := range validating.Webhooks {
		bundles = append(bundles, string(w.ClientConfig.CABundle))
	}
	return []map[string]string{mutating.Annotations, validating.Annotations}, bundles
}

func TestWhoWritesTheCABundles(t *testing.T) {
	for provider, args := range providers(t) {
		t.Run(provider, func(t *testing.T) {
			r := renderAs(t, charts.Options{Namespace: "elsewhere", Args: append(slices.Clone(args), set("fullnameOverride=guard")...)})
			annotations, bundles := bundlesOf(t, r)
			var want map[string]string
			if provider == "cert-manager" {
				want = map[string]string{cmapi.WantInjectAnnotation: "elsewhere/guard-tls"}
			}
			for _, got := range annotations {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
			}
			for _, bundle := range bundles {
				if (bundle != "") != (provider == "secret") {
					t.Errorf("a CA bundle of %d bytes", len(bundle))
				}
				if bundle == "" {
					continue
				}
				if certificate, err := pki.DecodeX509CertificateBytes([]byte(bundle)); err != nil || certificate.Subject.CommonName != "an example" {
					t.Errorf("the CA bundle is not the one of the values: %v", err)
				}
			}
		})
	}
}

// A router that does not keep a CA may not read a Secret, nor write anything but Events.
func TestOnlyItsOwnCANeedsPermissionsToWrite(t *testing.T) {
	for provider, args := range providers(t) {
		t.Run(provider, func(t *testing.T) {
			r := render(t, args...)
			var writes []string
			for _, p := range granted(t, r) {
				if p.resource == "events" {
					continue
				}
				if p.resource == "secrets" || !slices.Contains([]string{"get", "list", "watch"}, p.verb) {
					writes = append(writes, p.String())
				}
			}
			if selfManaged := provider == "self-managed"; (len(writes) > 0) != selfManaged || (len(all[*rbacv1.Role](r)) > 0) != selfManaged {
				t.Errorf("it may %v", writes)
			}
		})
	}
}

func TestTheCertificateIsMounted(t *testing.T) {
	for provider, args := range providers(t) {
		t.Run(provider, func(t *testing.T) {
			r := render(t, args...)
			if got := flagOf(t, r, "cert-provider"); got != provider {
				t.Errorf("--cert-provider=%s, want %s", got, provider)
			}
			volumes := one[*appsv1.Deployment](t, r).Spec.Template.Spec.Volumes
			at := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Secret != nil })
			if provider == "self-managed" {
				if at >= 0 {
					t.Error("a Secret is mounted, and nobody needs it")
				}
				return
			}
			secret := volumes[at].Secret
			if want := flagOf(t, r, "cert-secret"); secret.SecretName != want || secret.Optional == nil || !*secret.Optional {
				t.Errorf("mounted is %+v, want %s, optional: a pod that waits for it could not say so", secret, want)
			}
			mounts := container(t, r).VolumeMounts
			mount := mounts[slices.IndexFunc(mounts, func(m corev1.VolumeMount) bool { return m.Name == volumes[at].Name })]
			if mount.MountPath != flagOf(t, r, "cert-dir") || mount.SubPath != "" || !mount.ReadOnly {
				t.Errorf("mount %+v, want all of it at --cert-dir: a subPath never changes", mount)
			}
			for _, flag := range []string{"--lease", "--ca-secret"} {
				if slices.ContainsFunc(container(t, r).Args, func(a string) bool { return strings.HasPrefix(a, flag) }) {
					t.Errorf("%s is given to a router that keeps no CA", flag)
				}
			}
		})
	}
}

// signed lets cert-manager's own library make the certificate that a Certificate asks for, signed by itself.
func signed(t *testing.T, certificate *cmapi.Certificate) *x509.Certificate {
	t.Helper()
	template, err1 := pki.CertificateTemplateFromCertificate(certificate)
	key, err2 := pki.GeneratePrivateKeyForCertificate(certificate)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	_, made, err := pki.SignCertificate(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if made.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("the key of %s is %s", certificate.Name, made.PublicKeyAlgorithm)
	}
	return made
}

func TestCertificatesOfCertManager(t *testing.T) {
	r := renderAs(t, charts.Options{Namespace: "elsewhere", Args: append(matrix(t)["cert-manager"], set("fullnameOverride=guard")...)})
	byName := map[string]*cmapi.Certificate{}
	for _, certificate := range all[*cmapi.Certificate](r) {
		byName[certificate.Name] = certificate
	}
	serving, ca := byName["guard-tls"], byName["guard-cert-manager-ca"]
	if len(byName) != 2 || serving == nil || ca == nil {
		t.Fatalf("certificates %v", byName)
	}
	template := signed(t, serving)
	want := []string{"guard.elsewhere.svc", "guard.elsewhere.svc.cluster.local"}
	if diff := cmp.Diff(want, template.DNSNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if service := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Webhooks[0].ClientConfig.Service; want[0] != service.Name+"."+service.Namespace+".svc" {
		t.Errorf("the API server dials %s.%s.svc", service.Name, service.Namespace)
	}
	if template.IsCA || template.NotAfter.Sub(template.NotBefore) != 720*time.Hour {
		t.Errorf("CA %t, life %s", template.IsCA, template.NotAfter.Sub(template.NotBefore))
	}
	authority := signed(t, ca)
	if !authority.IsCA || ca.Spec.PrivateKey.RotationPolicy != cmapi.RotationPolicyNever {
		t.Errorf("CA %t, rotation of its key %s: with a new key, leaves of the old CA fail at once", authority.IsCA, ca.Spec.PrivateKey.RotationPolicy)
	}
	issuers := map[string]cmapi.IssuerConfig{}
	for _, issuer := range all[*cmapi.Issuer](r) {
		issuers[issuer.Name] = issuer.Spec.IssuerConfig
	}
	if issuer := issuers[serving.Spec.IssuerRef.Name]; issuer.CA == nil || issuer.CA.SecretName != ca.Spec.SecretName {
		t.Errorf("the serving certificate is signed by %+v, want the Secret %s", issuer, ca.Spec.SecretName)
	}
	if issuers[ca.Spec.IssuerRef.Name].SelfSigned == nil {
		t.Errorf("the CA is signed by %+v, want itself", issuers[ca.Spec.IssuerRef.Name])
	}
	if secret := one[*appsv1.Deployment](t, r).Spec.Template.Spec.Volumes[1].Secret.SecretName; secret != serving.Spec.SecretName {
		t.Errorf("mounted is %s, the certificate is in %s", secret, serving.Spec.SecretName)
	}
}

func TestAnIssuerOfThePlatformSignsAlone(t *testing.T) {
	r := render(t, matrix(t)["cert-manager-issuer"]...)
	serving := one[*cmapi.Certificate](t, r)
	if got := serving.Spec.IssuerRef; got.Name != "platform" || got.Kind != "ClusterIssuer" || got.Group != "cert-manager.io" {
		t.Errorf("signed by %+v", got)
	}
	if found := all[*cmapi.Issuer](r); len(found) > 0 {
		t.Errorf("%d issuers of the router's own, which nobody needs", len(found))
	}
}
