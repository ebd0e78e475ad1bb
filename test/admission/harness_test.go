// Package admission tests the pod webhook where it counts: a real kube-apiserver calls it through the configuration
// that the chart renders, next to stand-ins for Istio's injectors with Istio's own names and selectors.
package admission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/webhook"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	os.Exit(cluster.Main(m))
}

const loopback = "127.0.0.1"

// harness is an API server with a router of this process, so that a test can hold up its watches.
type harness struct {
	t       *testing.T
	cluster *cluster.Cluster
	config  *rest.Config
	kube    kubernetes.Interface
	dyn     dynamic.Interface

	source    *mesh.Source
	injectors *local.Injectors
	server    *http.Server

	mu   sync.Mutex
	hold func(kind string)
}

// newHarness starts a control plane of its own, so that tests do not see each other's webhooks.
func newHarness(t *testing.T, values ...string) *harness {
	t.Helper()
	h := newBareHarness(t, sail.CRDs())
	var err error
	h.injectors, err = local.StartInjectors()
	h.must(err)
	t.Cleanup(func() { h.must(h.injectors.Close()) })
	h.startRouter(values)
	return h
}

// newBareHarness starts a control plane with CustomResourceDefinitions and without a router.
func newBareHarness(t *testing.T, definitions ...fs.FS) *harness {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	h := &harness{t: t, cluster: c, config: c.Config()}
	h.config.WarningHandler = rest.NoWarnings{} // thousands of combinations warn, as they should
	for _, crds := range definitions {
		h.must(cluster.InstallCRDs(t.Context(), h.config, crds))
	}
	h.kube, err = kubernetes.NewForConfig(h.config)
	h.must(err)
	h.dyn, err = dynamic.NewForConfig(h.config)
	h.must(err)
	return h
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// startRouter serves the router and installs the webhook configuration as the chart renders it.
func (h *harness) startRouter(values []string) {
	h.t.Helper()
	var err error
	h.source, err = mesh.New(mesh.Options{Config: h.config, Intercept: h.intercept})
	h.must(err)
	ctx, cancel := context.WithCancel(h.t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = h.source.Start(ctx) })
	h.t.Cleanup(func() { cancel(); done.Wait() })

	recorder, err := metrics.NewRecorder(prometheus.NewRegistry())
	h.must(err)
	pods := webhook.NewPodRouter(webhook.PodRouterOptions{
		Meshes: h.source, Namespaces: h.source, Policy: routing.DefaultPolicy,
		Recorder: recorder, Log: logr.Discard(), Now: time.Now,
	})
	mux := http.NewServeMux()
	for _, entry := range webhook.Entries() {
		mux.Handle(entry.Path, pods.Handler(entry))
	}
	base, ca := h.serve(mux)
	objects, err := local.Chart(h.t.Context(), values...)
	h.must(err)
	for _, object := range objects {
		if object.GetKind() == "MutatingWebhookConfiguration" {
			h.must(local.CallByURL(object, base, ca))
			h.install(object)
		}
	}
	h.eventually("the first snapshot", func() error { return h.source.Ready() })
}

// serve answers on a free loopback port with a certificate of its own.
func (h *harness) serve(handler http.Handler) (base string, ca []byte) {
	h.t.Helper()
	now := time.Now()
	authority, err := certs.NewAuthority(now, 24*time.Hour)
	h.must(err)
	leaf, err := authority.Issue(certs.LeafRequest{
		IPs: []netip.Addr{netip.MustParseAddr(loopback)}, Lifetime: 24 * time.Hour,
	}, now)
	h.must(err)
	listener, err := net.Listen("tcp", loopback+":0")
	h.must(err)
	h.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	config := &tls.Config{Certificates: []tls.Certificate{*leaf.TLS}, MinVersion: tls.VersionTLS12}
	go func() { _ = h.server.Serve(tls.NewListener(listener, config)) }()
	h.t.Cleanup(func() { _ = h.server.Close() })
	return "https://" + listener.Addr().String(), certs.EncodeCertificate(authority.Certificate)
}

func (h *harness) intercept(kind string) {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if hold != nil {
		hold(kind)
	}
}

func (h *harness) install(object *unstructured.Unstructured) {
	h.t.Helper()
	var configuration admissionregistrationv1.MutatingWebhookConfiguration
	h.must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration))
	h.configure(&configuration)
}

func (h *harness) configure(c *admissionregistrationv1.MutatingWebhookConfiguration) {
	h.t.Helper()
	_, err := h.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Create(h.t.Context(), c, metav1.CreateOptions{})
	h.must(err)
}

// namespace creates a namespace; nil labels are none.
func (h *harness) namespace(name string, labels map[string]string) {
	h.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	_, err := h.kube.CoreV1().Namespaces().Create(h.t.Context(), ns, metav1.CreateOptions{})
	h.must(err)
}

// create submits a pod, as a dry run so that nothing piles up.
func (h *harness) create(pod *corev1.Pod) (*corev1.Pod, error) {
	return h.kube.CoreV1().Pods(pod.Namespace).
		Create(h.t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func newPod(namespace string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app", Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
}

// eventually waits for a condition that something else brings about.
func (h *harness) eventually(what string, try func() error) {
	h.t.Helper()
	deadline := time.NewTimer(2 * time.Minute) // the garbage collector takes half a minute until it knows new kinds
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			h.t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// awaitWebhooks waits until the API server has taken up all configurations, which it does asynchronously.
func (h *harness) awaitWebhooks(withDefault bool) {
	h.t.Helper()
	names := []string{"a", "b", "prod"}
	if withDefault {
		names = append(names, "default")
	}
	for _, name := range names {
		h.namespace("await-"+name, map[string]string{routing.LabelRevision: name})
		h.eventually("webhooks of "+name, func() error {
			pod, err := h.create(newPod("await-"+name, nil))
			if err != nil {
				return err
			}
			injected, routed := pod.Annotations[routing.LabelRevision], pod.Labels[routing.LabelRoutedRevision]
			if injected == "" || injected != routed {
				return fmt.Errorf("injected by %q, routed to %q", injected, routed)
			}
			return nil
		})
	}
}

func (h *harness) apply(resource string, object map[string]any) {
	h.t.Helper()
	client := h.dyn.Resource(sail.GroupVersion().WithResource(resource))
	created, err := client.Create(h.t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	h.must(err)
	if status, ok := object["status"]; ok {
		created.Object["status"] = status
		_, err = client.UpdateStatus(h.t.Context(), created, metav1.UpdateOptions{})
		h.must(err)
	}
}

// notYet is the error of a condition that does not hold yet.
func notYet(holds bool) error {
	if holds {
		return nil
	}
	return errors.New("not yet")
}

func refused(err error) bool { return apierrors.IsForbidden(err) }
