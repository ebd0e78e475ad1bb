//go:build chaos

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/local"
)

// injectionPath is where reviews of pods go whose namespace has istio-injection.
const injectionPath = "/mutate-v1-pod/namespace-injection"

// review is what the API server sends for a pod of a namespace.
func review(t *testing.T, namespace string) []byte {
	t.Helper()
	object, err := json.Marshal(somePod(namespace))
	if err != nil {
		t.Fatal(err)
	}
	pods := metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
	kind := metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: kind, Resource: pods, RequestKind: &kind, RequestResource: &pods,
			Namespace: namespace, Operation: admissionv1.Create,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The object is a runtime.RawExtension, which is set here to keep the order of its keys.
	return bytes.Replace(body, []byte(`"object":null`), append([]byte(`"object":`), object...), 1)
}

// asker sends reviews to replicas past the API server, and trusts what the webhook configuration trusts.
type asker struct {
	client *http.Client
	body   []byte
}

func (w *world) asker(t *testing.T, namespace string) *asker {
	t.Helper()
	roots := x509.NewCertPool()
	for _, bundle := range w.bundles(t) {
		roots.AppendCertsFromPEM(bundle.pem)
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 25,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &asker{client: &http.Client{Transport: transport, Timeout: 10 * time.Second}, body: review(t, namespace)}
}

// revision is where the replica sends a pod.
func (a *asker) revision(ctx context.Context, r *local.Replica) (string, error) {
	status, answer, err := a.post(ctx, r, a.body)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", status, answer)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil {
		return "", err
	}
	if review.Response == nil || !review.Response.Allowed {
		return "", fmt.Errorf("not allowed: %s", answer)
	}
	return patched(review.Response.Patch)
}

func (a *asker) post(ctx context.Context, r *local.Replica, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+r.Webhook+injectionPath+"?timeout=3s", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// patched finds the revision in a JSON Patch that sets the label, alone or with the whole map.
func patched(patch []byte) (string, error) {
	var operations []struct {
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	if err := json.Unmarshal(patch, &operations); err != nil {
		return "", fmt.Errorf("the patch %q: %w", patch, err)
	}
	for _, o := range operations {
		switch value := o.Value.(type) {
		case string:
			if o.Path == "/metadata/labels/"+strings.ReplaceAll(routing.LabelRoutedRevision, "/", "~1") {
				return value, nil
			}
		case map[string]any:
			if revision, ok := value[routing.LabelRoutedRevision].(string); ok && o.Path == "/metadata/labels" {
				return revision, nil
			}
		}
	}
	return "", errors.New("the patch sets no revision")
}

// metric reads one number of a replica's metrics, summed over its labels.
func (w *world) metric(t *testing.T, r *local.Replica, name string) float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, r.Metrics, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	total, err := sumOf(response.Body, name)
	if err != nil {
		t.Fatalf("reading metric %s of %s: %v", name, r.Name, err)
	}
	return total
}

// sumOf adds up the samples of one metric.
func sumOf(exposition io.Reader, name string) (float64, error) {
	total := 0.0
	lines := bufio.NewScanner(exposition)
	for lines.Scan() {
		rest, found := strings.CutPrefix(lines.Text(), name)
		if !found || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		total += value
	}
	return total, lines.Err()
}
