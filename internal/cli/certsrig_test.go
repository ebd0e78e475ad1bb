package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/test/cluster"
)

// certsRig is a namespace with a configuration of its own on a real API server.
type certsRig struct {
	t         *testing.T
	cluster   *cluster.Cluster
	client    kubernetes.Interface
	namespace string
	mutating  string
}

func newCertsRig(t *testing.T) *certsRig {
	t.Helper()
	c := cluster.Shared(t)
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "certs-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &certsRig{t: t, cluster: c, client: client, namespace: namespace.Name, mutating: "0-" + namespace.Name}
	_, err = client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: r.mutating},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "a.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionregistrationv1.SideEffectClassNone),
				ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: new("https://localhost:9/never")},
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"nowhere": "ever"}},
			}},
		}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(context.WithoutCancel(t.Context()), r.mutating, metav1.DeleteOptions{})
	})
	return r
}

// replica runs what a router would until the test ends, or until stop is called.
func (r *certsRig) replica() (_ *secretca.Manager, stop func()) {
	r.t.Helper()
	m, err := secretca.New(secretca.Options{
		Client: r.client, Namespace: r.namespace, DNSNames: []string{r.servingName()}, Clock: clock.RealClock{}, Log: logr.Discard(),
		MutatingWebhookConfigurations: []string{r.mutating}, Settle: time.Second,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				r.t.Error(err)
			}
		}
	}
	r.t.Cleanup(stop)
	r.waitFor(m.Ready)
	return m, stop
}

func (r *certsRig) servingName() string { return "revision-router." + r.namespace + ".svc" }

func (r *certsRig) waitFor(check func() error) {
	r.t.Helper()
	var last error
	if wait.PollUntilContextTimeout(r.t.Context(), 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	}) != nil {
		r.t.Fatal(last)
	}
}

// later is a clock that is ahead.
type later struct {
	clock.RealClock
	by time.Duration
}

func (c later) Now() time.Time { return c.RealClock.Now().Add(c.by) }

func (r *certsRig) runAt(by time.Duration, args ...string) said {
	r.t.Helper()
	var out, errOut bytes.Buffer
	cmd := NewCertsCommand(Streams{In: strings.NewReader(""), Out: &out, Err: &errOut}, later{by: by})
	own := []string{"--kubeconfig", r.cluster.Kubeconfig(), "-n", r.namespace, "--mutating-webhook", r.mutating, "--validating-webhook", r.namespace}
	cmd.SetArgs(slices.Concat(args[:1], own, args[1:]))
	err := cmd.ExecuteContext(r.t.Context())
	got := said{stdout: out.String(), stderr: errOut.String()}
	if err != nil {
		got.code = ExitUsage
		if exit, ok := errors.AsType[ExitError](err); ok {
			got.code = exit.Code
		}
		got.stderr += err.Error()
	}
	return got
}

func (r *certsRig) run(args ...string) said { r.t.Helper(); return r.runAt(0, args...) }

// said is what a command tells a user.
type said struct {
	code           int
	stdout, stderr string
}

func (o said) expect(t *testing.T, code int, parts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	for _, part := range parts {
		if !strings.Contains(o.stdout+o.stderr, part) {
			t.Errorf("no %q in\n%s%s", part, o.stdout, o.stderr)
		}
	}
}

// listen serves TLS with the Manager's certificate.
func (r *certsRig) listen(source *certs.Source) string {
	r.t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: source.GetCertificate, MinVersion: tls.VersionTLS12})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				if c, ok := c.(*tls.Conn); ok {
					_ = c.Handshake()
				}
				_ = c.Close()
			}(connection)
		}
	}()
	return listener.Addr().String()
}
