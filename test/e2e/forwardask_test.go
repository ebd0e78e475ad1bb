//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/local"
)

// asker sends reviews to replicas past the API server, which says of each what it would do now.
type asker struct{ client *http.Client }

// newAsker trusts what the webhook configuration trusts.
func newAsker(t *testing.T, kube kubernetes.Interface) *asker {
	t.Helper()
	roots := x509.NewCertPool()
	eventually(t, "the router has a CA bundle", func(ctx context.Context) error {
		c, err := kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "0-istio-revision-router", metav1.GetOptions{})
		if err == nil && !roots.AppendCertsFromPEM(c.Webhooks[0].ClientConfig.CABundle) {
			err = errors.New("there is none")
		}
		return err
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &asker{client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// answer is what a replica would do with a pod that asks for a tag: the revision that it would give it, or the message
// that it would refuse it with.
func (a *asker) answer(ctx context.Context, r *local.Replica, tag string) (revision, refused string, err error) {
	pod := aPod("asked-"+tag, "asked", nil)
	body, raw, err := reviewOf(pod)
	if err != nil {
		return "", "", err
	}
	url := "https://" + r.Webhook + "/mutate-v1-pod/namespace-revision?timeout=5s"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	if body, err = io.ReadAll(response.Body); err != nil {
		return "", "", err
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil || review.Response == nil {
		return "", "", fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	if !review.Response.Allowed {
		return "", review.Response.Result.Message, nil
	}
	patched, err := patch(raw, review.Response.Patch)
	if err != nil {
		return "", "", err
	}
	revision, err = forward.Sidecar(patched)
	return revision, "", err
}

// reviewOf is what the API server sends for a dry run.
func reviewOf(pod *corev1.Pod) (body, raw []byte, err error) {
	if raw, err = json.Marshal(pod); err != nil {
		return nil, nil, err
	}
	kind := metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	resource := metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
	body, err = json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
			Namespace: pod.Namespace, Operation: admissionv1.Create, DryRun: new(true), Object: runtime.RawExtension{Raw: raw},
		},
	})
	return body, raw, err
}

func patch(raw, operations []byte) (*corev1.Pod, error) {
	if len(operations) > 0 {
		decoded, err := jsonpatch.DecodePatch(operations)
		if err != nil {
			return nil, fmt.Errorf("the patch %s: %w", operations, err)
		}
		if raw, err = decoded.Apply(raw); err != nil {
			return nil, fmt.Errorf("the patch %s: %w", operations, err)
		}
	}
	var pod corev1.Pod
	return &pod, json.Unmarshal(raw, &pod)
}

// meaning is what both tags lead to: a revision, or a refusal with this reason, or any if it is empty.
type meaning struct{ revision, refused string }

func (m meaning) is(revision, refused string) bool {
	if m.revision != "" {
		return revision == m.revision && refused == ""
	}
	return refused != "" && strings.HasPrefix(refused, m.refused)
}

func leads(revision string) meaning { return meaning{revision: revision} }

func refuses(reason routing.Reason) meaning { return meaning{refused: string(reason)} }

// change does something to the mesh, and waits until every router that runs answers accordingly, those included that
// still drain. From then on no pod may be answered by what was before.
func (w *forwardWorld) change(t *testing.T, want meaning, do func(context.Context) error) {
	t.Helper()
	if err := w.changeNow(t.Context(), want, do); err != nil {
		t.Fatal(err)
	}
}

func (w *forwardWorld) changeNow(ctx context.Context, want meaning, do func(context.Context) error) error {
	replicas := w.env.Deployment.Replicas()
	if err := do(ctx); err != nil {
		return err
	}
	// One that starts from here on reads the mesh as it is now.
	for _, r := range w.env.Deployment.Replicas() {
		if !slices.Contains(replicas, r) {
			replicas = append(replicas, r)
		}
	}
	for _, r := range replicas {
		for _, tag := range []string{prod, routing.DefaultRevision} {
			err := await(ctx, fmt.Sprintf("%s answers %+v for %s", r.Name, want, tag), func(ctx context.Context) error {
				revision, refused, err := w.ask.answer(ctx, r, tag)
				switch {
				case !r.Running():
					return nil // it has ended meanwhile
				case err != nil:
					return err
				case !want.is(revision, refused):
					return fmt.Errorf("it answers %q %q", revision, refused)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
