package secretca_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/test/cluster"
)

const (
	secretName  = "revision-router-ca"
	servingName = "localhost"
	// patience is how long a test waits for what has to come. It is no measurement: the machine may be busy.
	patience = time.Minute
	// settle is short because one API server on the same machine learns of a write within milliseconds.
	settle = time.Second
)

// environment is a namespace and two names of webhook configurations, used by one test only.
type environment struct {
	t                               *testing.T
	cluster                         *cluster.Cluster
	client                          kubernetes.Interface
	namespace, mutating, validating string
	clock                           *testClock
	log                             *logBuffer
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	return newEnvironmentIn(t, cluster.Shared(t))
}

func newEnvironmentIn(t *testing.T, c *cluster.Cluster) *environment {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "certs-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{
		t: t, cluster: c, client: client, namespace: namespace.Name,
		mutating: "0-" + namespace.Name, validating: namespace.Name,
		clock: &testClock{}, log: &logBuffer{},
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		configurations := client.AdmissionregistrationV1()
		_ = configurations.MutatingWebhookConfigurations().Delete(ctx, e.mutating, metav1.DeleteOptions{})
		_ = configurations.ValidatingWebhookConfigurations().Delete(ctx, e.validating, metav1.DeleteOptions{})
		if t.Failed() {
			t.Log(e.log.String())
		}
	})
	return e
}

func (e *environment) options() secretca.Options {
	return secretca.Options{
		Client: e.client, Namespace: e.namespace, DNSNames: []string{servingName},
		MutatingWebhookConfigurations:   []string{e.mutating},
		ValidatingWebhookConfigurations: []string{e.validating},
		Clock:                           e.clock, Log: e.log.logger(), Settle: settle,
	}
}

// start runs a Manager until the test ends, or until the returned function is called.
func (e *environment) start(o secretca.Options) (started *secretca.Manager, stop func()) {
	e.t.Helper()
	m, err := secretca.New(o)
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			e.t.Errorf("Start returned %v after its context was done", err)
		}
	})
	e.t.Cleanup(stop)
	return m, stop
}

// waitFor waits until check returns nil.
func (e *environment) waitFor(what string, check func() error) {
	e.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(e.t.Context(), 20*time.Millisecond, patience, true,
		func(context.Context) (bool, error) {
			last = check()
			return last == nil, nil
		})
	if err != nil {
		e.t.Fatalf("waited for %s: %v", what, last)
	}
}

func (e *environment) waitReady(managers ...*secretca.Manager) {
	e.t.Helper()
	for _, m := range managers {
		e.waitFor("a replica to be ready", m.Ready)
	}
}

func (e *environment) secret() *corev1.Secret {
	e.t.Helper()
	secret, err := e.client.CoreV1().Secrets(e.namespace).Get(e.t.Context(), secretName, metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return secret
}

func (e *environment) createMutating(webhooks ...admissionregistrationv1.MutatingWebhook) {
	e.t.Helper()
	_, err := e.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(e.t.Context(),
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: e.mutating}, Webhooks: webhooks,
		}, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *environment) createValidating(name string) {
	e.t.Helper()
	w := e.mutatingWebhook(name, "https://localhost:9/never")
	_, err := e.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(e.t.Context(),
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: e.validating},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: w.Name, ClientConfig: w.ClientConfig, AdmissionReviewVersions: w.AdmissionReviewVersions,
				SideEffects: w.SideEffects, NamespaceSelector: nowhere(),
			}},
		}, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		e.t.Fatal(err)
	}
}

// mutatingWebhook is called for ConfigMaps in the namespace of the test, and has to be: it fails closed.
func (e *environment) mutatingWebhook(name, url string) admissionregistrationv1.MutatingWebhook {
	return admissionregistrationv1.MutatingWebhook{
		Name:                    name,
		ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url},
		AdmissionReviewVersions: []string{"v1"},
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		FailurePolicy:           new(admissionregistrationv1.Fail),
		TimeoutSeconds:          new(int32(10)),
		NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: e.namespace}},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
			},
		}},
	}
}

// idleWebhook matches no namespace.
func (e *environment) idleWebhook(name string) admissionregistrationv1.MutatingWebhook {
	w := e.mutatingWebhook(name, "https://localhost:9/never")
	w.NamespaceSelector = nowhere()
	return w
}

func nowhere() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "there-is-none"}}
}

// published returns the caBundle of each webhook of the mutating configuration.
func (e *environment) published() map[string][]byte {
	e.t.Helper()
	c, err := e.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(e.t.Context(), e.mutating, metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	bundles := map[string][]byte{}
	for i := range c.Webhooks {
		bundles[c.Webhooks[i].Name] = c.Webhooks[i].ClientConfig.CABundle
	}
	return bundles
}

// holdsBundle tells whether every webhook holds what the Secret says.
func (e *environment) holdsBundle() error {
	want := e.secret().Data["ca.crt"]
	for name, got := range e.published() {
		if !bytes.Equal(got, want) || len(want) == 0 {
			return fmt.Errorf("webhook %s holds %d bytes, want the %d of the Secret", name, len(got), len(want))
		}
	}
	return nil
}

// testClock is a wall clock that can be set. Its timers are the machine's, as with a real one, unless tick fires them.
type testClock struct {
	mu     sync.Mutex
	offset time.Duration
	timers []chan time.Time
	// longest is the longest time that anybody has asked to wait.
	longest time.Duration
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *testClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, d)
	timer := make(chan time.Time, 1)
	c.timers = append(c.timers, timer)
	time.AfterFunc(d, func() { fire(timer) })
	return timer
}

func (c *testClock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

func (c *testClock) longestWait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.longest
}

// tick lets all timers fire that are set, as if a minute had passed.
func (c *testClock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, timer := range c.timers {
		fire(timer)
	}
	c.timers = nil
}

func fire(timer chan time.Time) {
	select {
	case timer <- time.Now():
	default:
	}
}

// logBuffer keeps what managers log.
type logBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBuffer) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, time.Now().Format("05.000 ")+prefix+" "+args)
	}, funcr.Options{})
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func mustBundle(t *testing.T, data []byte) certs.Bundle {
	t.Helper()
	bundle, err := certs.ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}
