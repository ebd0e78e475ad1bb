package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/test/injector"
)

const (
	// The ports of istiod's that the chart's Service and probe lead to.
	webhookAddress, readyAddress = ":15017", ":8080"
	// lookInterval is how often it looks for webhooks without its CA bundle, which istiod watches.
	lookInterval = 500 * time.Millisecond
	// rightsWait is how long it waits for its rights.
	rightsWait = time.Minute
	// headerTimeout bounds what one caller can hold up.
	headerTimeout = 10 * time.Second
	// leave is how long it serves on when it is told to stop, until everybody knows that it leaves, drain how long requests
	// under way then have to end. An injector that refuses pods would say nothing about the router.
	leave, drain = 10 * time.Second, 10 * time.Second
	// annotationReady is that of test/cluster.
	annotationReady = "cluster.test/ready"
	// namespaceFile is where the kubelet tells a pod its namespace.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// discovery is one istiod.
type discovery struct {
	revision, version, namespace string
	client                       dynamic.Interface
	// unready: its pod says that it is not to be ready. leaving: it was told to stop.
	unready, leaving atomic.Bool
	ca               *certs.Authority
	leaf             *certs.Leaf
}

// newDiscovery reads what the pod is told, and the CA of its namespace.
func newDiscovery(ctx context.Context, now func() time.Time) (*discovery, error) {
	// The version is in istiod's binary. Here it is in the image's environment.
	d := &discovery{revision: os.Getenv("REVISION"), version: os.Getenv("ISTIO_VERSION")}
	if d.revision == "" || d.version == "" {
		return nil, errors.New("REVISION and ISTIO_VERSION have to be set")
	}
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil {
		return nil, fmt.Errorf("find the namespace: %w", err)
	}
	d.namespace = strings.TrimSpace(string(namespace))
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	if d.client, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	if err := d.joinCA(ctx, now); err != nil {
		return nil, err
	}
	request := certs.LeafRequest{DNSNames: injector.ServerNames(d.revision, d.namespace), Lifetime: certs.MaxLeafLifetime}
	if d.leaf, err = d.ca.Issue(request, now()); err != nil {
		return nil, fmt.Errorf("make a serving certificate: %w", err)
	}
	return d, nil
}

// joinCA looks again while it may not read the Secret: the rights of a revision that has just been made reach the API server's
// authorizer a moment later than its pods start, and a container that ends is started again later and later.
func (d *discovery) joinCA(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for patience := time.Now().Add(rightsWait); ; {
		var err error
		d.ca, err = sharedCA(ctx, d.client, d.namespace, now())
		if !apierrors.IsForbidden(err) || time.Now().After(patience) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// serve injects until ctx ends, and then ends as istiod does: what is under way is answered.
func (d *discovery) serve(ctx context.Context) error {
	webhooks := &http.Server{
		Addr: webhookAddress, Handler: d.handler(), ReadHeaderTimeout: headerTimeout,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*d.leaf.TLS}, MinVersion: tls.VersionTLS12},
	}
	ready := &http.Server{Addr: readyAddress, Handler: http.HandlerFunc(d.ready), ReadHeaderTimeout: headerTimeout}
	failed := make(chan error, 2)
	go func() { failed <- webhooks.ListenAndServeTLS("", "") }()
	go func() { failed <- ready.ListenAndServe() }()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			d.leaving.Store(true)
			return depart(ctx, webhooks, ready)
		case <-tick.C:
			if err := errors.Join(d.writeBundles(ctx), d.lookAtPod(ctx)); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "error:", err) // and again at the next tick
			}
		}
	}
}

// depart serves for a while longer, so that nobody is sent here any more, and then ends.
func depart(ctx context.Context, webhooks, ready *http.Server) error {
	left := time.NewTimer(leave)
	defer left.Stop()
	<-left.C
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	return errors.Join(webhooks.Shutdown(closing), ready.Close())
}

func (d *discovery) writeBundles(ctx context.Context) error {
	return injector.WriteBundles(ctx, d.client, d.revision, certs.EncodeCertificate(d.ca.Certificate))
}

// lookAtPod lets a test keep the pod from being ready, as it can on a local control plane.
func (d *discovery) lookAtPod(ctx context.Context) error {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the pod: %w", err)
	}
	pod, err := d.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(d.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the pod: %w", err)
	}
	d.unready.Store(pod.GetAnnotations()[annotationReady] == "false")
	return nil
}

// handler answers at istiod's paths.
func (d *discovery) handler() http.Handler {
	mux := http.NewServeMux()
	injects := new(injector.Server)
	mux.HandleFunc("/inject", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = injector.Path(d.revision, d.version)
		injects.ServeHTTP(w, r)
	})
	mux.HandleFunc("/validate", validate)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The API server goes on using the connections that it has, and would send a request on one at the moment when it is
		// closed for good. So each is closed with its answer.
		if d.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, r)
	})
}

// ready is what the readiness probe asks.
func (d *discovery) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/ready":
		http.NotFound(w, r)
	case d.unready.Load():
		http.Error(w, annotationReady+" is false", http.StatusServiceUnavailable)
	}
}

// validate finds every resource of Istio's valid.
func validate(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the API server notices a broken connection by itself
}
