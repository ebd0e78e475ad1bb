package sail

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/injector"
)

// validatePath is where the stand-in for istiod's validation of Istio's own resources answers, before the revision.
const validatePath = "/validate/"

// istiod is one control plane that runs.
type istiod struct {
	revision, namespace, version string
	// complete: all of its pods are of its version.
	complete bool
	// distroless: its proxies are of the smaller variant, too.
	distroless bool
	client     dynamic.Interface
}

// Gate puts webhooks behind their istiods: next answers for a revision, the second part of the path as injector.Path
// has it, only while its istiod has a ready pod. Otherwise nobody does, as at a Service without endpoints.
func (o *Operator) Gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, revision, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		revision, _, _ = strings.Cut(revision, "/")
		if !o.Serving(revision) {
			http.Error(w, "no istiod of revision "+revision+" is ready", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveWebhooks puts the webhooks of all istiods on a port of this machine.
func (o *Operator) serveWebhooks() {
	mux := http.NewServeMux()
	mux.Handle("/inject/", o.options.Injector)
	mux.HandleFunc(validatePath, validate)
	o.webhookServer = httptest.NewUnstartedServer(o.Gate(mux))
	// Until istiod has written its CA bundle the API server does not trust it, and each attempt would be a line.
	o.webhookServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.webhookServer.StartTLS()
	url, certificate := o.webhookServer.URL, o.webhookServer.Certificate().Raw
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	o.options.Inject = func(revision, version string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: new(url + injector.Path(revision, version)), CABundle: ca}
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

// beIstiods does what the istiods that run do to the cluster: each writes its CA bundle into the injection webhooks that
// lead to it, and deploys the Gateways that are its own.
func (o *Operator) beIstiods(ctx context.Context) error {
	all, err := o.list(ctx, revisions)
	if err != nil {
		return err
	}
	serving := map[string]bool{}
	var running []istiod
	for _, revision := range all {
		d, err := o.get(ctx, deployments, namespaceOf(revision), istiodName(revision))
		if err != nil {
			return err
		}
		if d == nil || number(d, 0, "status", "readyReplicas") == 0 {
			continue
		}
		client, err := o.clientOf(namespaceOf(revision), istiodName(revision))
		if err != nil {
			return err
		}
		serving[revision.GetName()] = true
		running = append(running, istiod{
			revision: revision.GetName(), namespace: namespaceOf(revision), client: client,
			version: d.GetLabels()["app.kubernetes.io/version"], complete: rolledOut(d),
			distroless: isAmbient(text(revision, "spec", "values", "profile")),
		})
	}
	o.mu.Lock()
	o.serving = serving
	o.mu.Unlock()
	return errors.Join(o.writeBundles(ctx, running), o.deployGateways(ctx, running))
}

// clientOf acts as the ServiceAccount of an istiod.
func (o *Operator) clientOf(namespace, account string) (dynamic.Interface, error) {
	user := "system:serviceaccount:" + namespace + ":" + account
	if client := o.istiods[user]; client != nil {
		return client, nil
	}
	config := rest.CopyConfig(o.admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", user, err)
	}
	o.istiods[user] = client
	return client, nil
}

// writeBundles writes the CA bundles of the istiods. Where their webhooks lead to Services, whatever runs there does it.
func (o *Operator) writeBundles(ctx context.Context, running []istiod) error {
	if o.options.Inject == nil {
		return nil
	}
	var errs []error
	for _, i := range running {
		bundle := o.options.Inject(i.revision, i.version).CABundle
		errs = append(errs, injector.WriteBundles(ctx, i.client, i.revision, bundle))
	}
	return errors.Join(errs...)
}
