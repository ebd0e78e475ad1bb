package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
)

// The whole life of a router in forward mode with a webhook of Istio's: it does not become ready while there is one, it
// does when the webhook has gone, and it stays so, and tells, when the webhook is back.
func TestARouterInForwardModeWaitsUntilIstiosWebhooksAreGone(t *testing.T) {
	c := cluster.Shared(t)
	if err := cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"waits-router", "waits-mesh"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := kube.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	createRevision(t, dynamic.NewForConfigOrDie(c.Config()), "waits-v1-30-3", "waits")
	webhooks := kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	own := ownConfiguration()
	if _, err := webhooks.Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	url := "https://127.0.0.1:1/inject"
	theirs := injector.RevisionConfiguration(injector.Target{
		Revision: "waits-v1-30-3", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &url},
	})
	if _, err := webhooks.Create(t.Context(), theirs.DeepCopy(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	health, metrics := freeAddress(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(freeAddress(t))
	o := parsed(t, "--kubeconfig="+c.Kubeconfig(), "--namespace=waits-router", "--mode=forward", "--webhook-host=127.0.0.1",
		"--webhook-port="+port, "--health-address="+health, "--metrics-address="+metrics, "--drain-delay=0s",
		"--mutating-webhook="+own.Name, "--changes=false", "--exclude-namespace=waits-router,waits-mesh,kube-system")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, *o, logr.Discard()) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	const blamed = "MutatingWebhookConfiguration istio-sidecar-injector-waits-v1-30-3"
	awaitPage(t, health+"/readyz?verbose", http.StatusInternalServerError, "[-]overlap failed", blamed,
		"Next: kubectl patch istio waits --type=merge", "[+]certificate ok", "[+]snapshot ok")
	awaitPage(t, metrics+"/metrics", http.StatusOK, "istio_revision_router_injector_overlaps ",
		`istio_revision_router_revision_routable{revision="waits-v1-30-3"} 0`, `istio_revision_router_unroutable_revisions{reason="NoCA"} 1`)
	if err := webhooks.Delete(t.Context(), theirs.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPage(t, health+"/readyz?verbose", http.StatusOK, "[+]overlap ok")
	awaitPage(t, metrics+"/metrics", http.StatusOK, "istio_revision_router_injector_overlaps 0")
	if _, err := webhooks.Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPage(t, health+"/readyz?verbose", http.StatusOK, "[+]overlap ok", "[!]overlap: ", blamed)
	if page, _ := pageOf(t, health+"/readyz?verbose"); strings.Contains(page, "no_injector") {
		t.Errorf("an injector webhook is missed in forward mode:\n%s", page)
	}
	if err := webhooks.Delete(t.Context(), theirs.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func createRevision(t *testing.T, client dynamic.Interface, name, istio string) {
	t.Helper()
	revision := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "IstioRevision",
		"metadata": map[string]any{"name": name, "ownerReferences": []any{map[string]any{
			"apiVersion": "sailoperator.io/v1", "kind": "Istio", "name": istio, "uid": "1", "controller": true,
		}}},
		"spec": map[string]any{"version": "v1.30.3", "namespace": "waits-mesh"},
	}}
	kind := schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: "istiorevisions"}
	if _, err := client.Resource(kind).Create(t.Context(), revision, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func ownConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "0-waits-revision-router"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "pod-revision.pods.revision-router.io", AdmissionReviewVersions: []string{"v1"},
			SideEffects:       new(admissionregistrationv1.SideEffectClassNone),
			FailurePolicy:     new(admissionregistrationv1.Ignore),
			ClientConfig:      admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "waits-router", Name: "router"}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"none": "has-this"}},
		}},
	}
}

// freeAddress is one that nothing listens on at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func pageOf(t *testing.T, url string) (string, int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error(), 0
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), 0
	}
	return string(body), resp.StatusCode
}

// awaitPage waits until a page says all of this.
func awaitPage(t *testing.T, url string, code int, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		page, got := pageOf(t, url)
		missing := slices.DeleteFunc(slices.Clone(parts), func(part string) bool { return strings.Contains(page, part) })
		if got == code && len(missing) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: status %d, want %d, and without %q:\n%s", url, got, code, missing, page)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
