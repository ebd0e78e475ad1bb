package webhook

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
)

// world is a real API server with the router as its webhook, and a mesh that the test changes.
type world struct {
	client    *kubernetes.Clientset
	mesh      atomic.Pointer[routing.Mesh]
	nilMeshes atomic.Int64 // so many requests find no snapshot
	live      atomic.Pointer[routing.Namespace]
	auditLog  string

	mu       sync.Mutex
	bodies   [][]byte
	warnings []string
}

// Mesh makes world a MeshSource.
func (w *world) Mesh() *routing.Mesh {
	if w.nilMeshes.Add(-1) >= 0 {
		return nil
	}
	return w.mesh.Load()
}

// Namespace makes world a NamespaceGetter: the snapshot knows no namespace, so that it is asked for each pod.
func (w *world) Namespace(ctx context.Context, name string) (routing.Namespace, error) {
	if ns := w.live.Load(); ns != nil {
		return *ns, nil
	}
	ns, err := w.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return routing.Namespace{}, fmt.Errorf("get namespace %s: %w", name, err)
	}
	return routing.NamespaceOf(name, ns.Labels), nil
}

// HandleWarningHeader makes world the handler of the client's warnings.
func (w *world) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warnings = append(w.warnings, text)
}

func (w *world) takeWarnings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.warnings
	w.warnings = nil
	return taken
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	audit := filepath.Join(t.TempDir(), "audit.log")
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n" +
		"- level: Metadata\n  resources: [{group: \"\", resources: [pods]}]\n- level: None\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Args: []string{
		"--audit-policy-file=" + policy, "--audit-log-path=" + audit, "--audit-log-mode=blocking",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &world{auditLog: audit}
	w.mesh.Store(meshOf(plainMesh))
	config := c.Config()
	config.WarningHandler = w
	w.connect(t, config)
	return w
}

func (w *world) connect(t *testing.T, config *rest.Config) {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	router := NewPodRouter(PodRouterOptions{
		Meshes: w, Namespaces: w, Policy: routing.DefaultPolicy, Recorder: discard{}, Log: logr.Discard(), Now: time.Now,
	})
	mux := http.NewServeMux()
	router.Register(keepingBodies{mux, w})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	mwc := mutatingConfiguration(server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if _, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), mwc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// keepingBodies registers handlers that also keep what they are sent.
type keepingBodies struct {
	mux *http.ServeMux
	w   *world
}

func (k keepingBodies) Register(path string, hook http.Handler) {
	k.mux.HandleFunc(path, func(rw http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		k.w.mu.Lock()
		k.w.bodies = append(k.w.bodies, body)
		k.w.mu.Unlock()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		hook.ServeHTTP(rw, req)
	})
}

// mutatingConfiguration has the selectors that the entries stand for. The deadline leaves room for one retry.
func mutatingConfiguration(url string, ca []byte) *admissionregistrationv1.MutatingWebhookConfiguration {
	exists := func(key string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpExists}
	}
	absent := func(key string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}
	}
	namespaces := map[NamespaceState][]metav1.LabelSelectorRequirement{
		HasInjection: {exists(routing.LabelInjection)},
		HasRevision:  {exists(routing.LabelRevision), absent(routing.LabelInjection)},
		HasNeither:   {absent(routing.LabelRevision), absent(routing.LabelInjection)},
	}
	pods := [][]metav1.LabelSelectorRequirement{
		nil, nil,
		{exists(routing.LabelRevision)},
		{absent(routing.LabelRevision), exists(routing.LabelInject)},
		{absent(routing.LabelRevision), absent(routing.LabelInject)},
	}
	fail, none, seconds := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, int32(3)
	c := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "0-istio-revision-router"}}
	for i, e := range Entries() {
		path := url + e.Path
		c.Webhooks = append(c.Webhooks, admissionregistrationv1.MutatingWebhook{
			Name:         e.Name,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &path, CABundle: ca},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			NamespaceSelector:       &metav1.LabelSelector{MatchExpressions: namespaces[e.Namespace]},
			ObjectSelector:          &metav1.LabelSelector{MatchExpressions: pods[i]},
			FailurePolicy:           &fail,
			SideEffects:             &none,
			TimeoutSeconds:          &seconds,
			AdmissionReviewVersions: []string{"v1"},
		})
	}
	return c
}

func (w *world) namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns, err := w.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "router-", Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

func (w *world) create(ctx context.Context, namespace string, labels map[string]string) (*corev1.Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "web-", Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
	}
	created, err := w.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, fmt.Errorf("create a pod: %w", err)
	}
	return created, nil
}

// await waits until check has nothing to say: the API server takes configurations in when it gets to it.
func (w *world) await(t *testing.T, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(errors.Join(ctx.Err(), err))
		}
	}
}

// configureV1beta1 adds a configuration that wrongly asks for the older review, for pods with a label.
func (w *world) configureV1beta1(t *testing.T, namespace string) {
	t.Helper()
	configurations := w.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := configurations.Get(t.Context(), "0-istio-revision-router", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.ObjectMeta = metav1.ObjectMeta{Name: "v1beta1"}
	c.Webhooks = c.Webhooks[:1]
	c.Webhooks[0].AdmissionReviewVersions = []string{"v1beta1"}
	c.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
	c.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"review": "v1beta1"}}
	if _, err := configurations.Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// wantAudit looks for an event with all of the texts. The log is written before the answer is sent.
func (w *world) wantAudit(t *testing.T, texts ...string) {
	t.Helper()
	log, err := os.ReadFile(w.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(log), "\n") {
		found := true
		for _, text := range texts {
			found = found && strings.Contains(line, text)
		}
		if found {
			return
		}
	}
	t.Errorf("no audit event has %v:\n%s", texts, log)
}
