package certmanager_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// load creates pods, and dials as the API server does, until stop is called.
type load struct {
	mu           sync.Mutex
	failures     []error
	pods, dials  atomic.Int64
	workers      sync.WaitGroup
	stop         context.CancelFunc
	lastSerial   atomic.Pointer[string]
	certificates sync.Map
}

func (r *rig) startLoad() *load {
	ctx, stop := context.WithCancel(r.t.Context())
	l := &load{stop: stop}
	run := func(count *atomic.Int64, what func(context.Context) error) {
		l.workers.Go(func() {
			for ctx.Err() == nil {
				if err := what(ctx); err != nil && ctx.Err() == nil {
					l.mu.Lock()
					l.failures = append(l.failures, err)
					l.mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	for range 3 {
		run(&l.pods, r.createPod)
	}
	run(&l.dials, func(ctx context.Context) error {
		serial, err := r.dial(ctx)
		if err == nil {
			l.lastSerial.Store(&serial)
			l.certificates.Store(serial, true)
		}
		return err
	})
	return l
}

func (l *load) served() int {
	n := 0
	l.certificates.Range(func(any, any) bool { n++; return true })
	return n
}

func TestTheRouterServesWhatCertManagerKeeps(t *testing.T) {
	r := newRig(t)
	if _, err := r.kube.CoreV1().ServiceAccounts("shop").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.waitReadiness(false, "is cert-manager running? kubectl -n revision-router describe certificate revision-router-tls")

	r.issue(ca)
	r.issue(serving)
	r.mount()
	r.waitReadiness(true, "")
	if err := r.createPod(t.Context()); err == nil {
		t.Error("a pod was created although nobody has injected the CA: the router is not called, and the rest proves nothing")
	}
	r.inject()
	r.waitFor("the API server to trust the router", func() error { return r.createPod(t.Context()) })

	l := r.startLoad()
	for range 5 {
		r.renew(l)
	}
	// The CA, with the key that it has: cert-manager replaces the bundle before the kubelet has brought the new certificate.
	for range 2 {
		r.issue(ca)
		r.issue(serving)
		r.inject()
		r.renew(l)
	}
	l.stop()
	l.workers.Wait()
	if len(l.failures) > 0 {
		t.Errorf("%d of %d pods and %d dials failed: %v", len(l.failures), l.pods.Load(), l.dials.Load(), errors.Join(l.failures...))
	}
	if l.served() != 8 {
		t.Errorf("%d certificates were served, want the first and seven renewals", l.served())
	}
	t.Logf("%d pods and %d new connections during 7 renewals, 2 of them with the CA: %d failed", l.pods.Load(), l.dials.Load(), len(l.failures))
}

// renew lets the kubelet bring a new certificate and waits until it is served.
func (r *rig) renew(l *load) {
	r.t.Helper()
	before := *l.waitSerial(r)
	r.issue(serving)
	r.mount()
	r.waitFor("the new certificate", func() error {
		if *l.lastSerial.Load() == before {
			return errors.New("the old one is served")
		}
		return nil
	})
}

func (l *load) waitSerial(r *rig) *string {
	r.t.Helper()
	r.waitFor("the first connection", func() error {
		if l.lastSerial.Load() == nil {
			return errors.New("none was made")
		}
		return nil
	})
	return l.lastSerial.Load()
}

// dial does what the API server does on a new connection: it verifies the certificate with the published CA bundle. It
// returns the serial number of the certificate.
func (r *rig) dial(ctx context.Context) (serial string, _ error) {
	configuration, err := r.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "0-istio-revision-router", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "revision-router.revision-router.svc", MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", r.webhook)
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	encrypted, ok := connection.(*tls.Conn)
	if !ok {
		return "", fmt.Errorf("the connection is %T", connection)
	}
	return encrypted.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (r *rig) createPod(ctx context.Context) error {
	_, err := r.kube.CoreV1().Pods("shop").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "cart-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}, AutomountServiceAccountToken: new(false)},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}
