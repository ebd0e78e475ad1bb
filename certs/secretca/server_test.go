package secretca_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/certs/secretca"
)

// webhookServer stands for the replicas behind a Service: each new connection gets the next replica's certificate, and
// no connection serves a second request, so that every request meets a handshake.
type webhookServer struct {
	url   string
	calls atomic.Int64
}

func serveWebhook(t *testing.T, replicas ...*secretca.Manager) *webhookServer {
	t.Helper()
	s := &webhookServer{}
	var next atomic.Uint64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			replica := replicas[next.Add(1)%uint64(len(replicas))]
			return replica.Source().GetCertificate(hello)
		},
	}
	server := &http.Server{Handler: http.HandlerFunc(s.review), TLSConfig: config, ReadHeaderTimeout: patience}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + net.JoinHostPort(servingName, port) + "/mutate"
	return s
}

func (s *webhookServer) review(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

// request makes the API server call the webhook once.
func (e *environment) request(ctx context.Context) error {
	_, err := e.client.CoreV1().ConfigMaps(e.namespace).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}},
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// load makes requests without a pause.
type load struct {
	stop     context.CancelFunc
	running  sync.WaitGroup
	requests atomic.Int64
	mu       sync.Mutex
	failures []string
}

func (e *environment) startLoad() *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	l := &load{stop: cancel}
	for range 2 {
		l.running.Go(func() {
			for ctx.Err() == nil {
				err := e.request(context.WithoutCancel(ctx))
				l.requests.Add(1)
				if err != nil {
					l.mu.Lock()
					l.failures = append(l.failures, time.Now().Format("05.000 ")+err.Error())
					l.mu.Unlock()
				}
			}
		})
	}
	e.t.Cleanup(func() { l.stop(); l.running.Wait() })
	return l
}

// end stops the load and fails the test if any request failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.running.Wait()
	t.Logf("%d requests, %d failed", l.requests.Load(), len(l.failures))
	if len(l.failures) > 0 {
		t.Errorf("requests failed, the first with: %s", l.failures[0])
	}
	if l.requests.Load() == 0 {
		t.Error("no request was made")
	}
}

// waitForRequests waits until the load has made some more.
func (e *environment) waitForRequests(l *load, more int64) {
	e.t.Helper()
	want := l.requests.Load() + more
	e.waitFor("requests", func() error {
		if got := l.requests.Load(); got < want {
			return fmt.Errorf("%d requests, want %d", got, want)
		}
		return nil
	})
}
