package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/mesh"
)

// keeper keeps one certificate.
type keeper struct{ source certs.Source }

func (k *keeper) Source() *certs.Source           { return &k.source }
func (k *keeper) Ready() error                    { return nil }
func (k *keeper) Start(ctx context.Context) error { return idle(ctx) }

func leafOf(t *testing.T, authority *certs.Authority, lifetime time.Duration, now time.Time) *tls.Certificate {
	t.Helper()
	leaf, err := authority.Issue(certs.LeafRequest{DNSNames: []string{"router.mesh.svc"}, Lifetime: lifetime}, now)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.TLS
}

func newAuthority(t *testing.T, now time.Time) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(now, 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheCertificateThatIsShownIsJudgedAsTheAPIServerDoes(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	trusted, stranger := newAuthority(t, now), newAuthority(t, now)
	shown := func(a *certs.Authority, lifetime time.Duration) []*x509.Certificate {
		return []*x509.Certificate{leafOf(t, a, lifetime, now).Leaf}
	}
	cases := map[string]struct {
		shown  []*x509.Certificate
		bundle []byte
		name   string
		want   string // in the error; none: accepted
	}{
		"what is as it should be":        {shown(trusted, 2*time.Hour), certs.NewBundle(trusted.Certificate).PEM(), "router.mesh.svc", ""},
		"during a rotation":              {shown(trusted, 2*time.Hour), certs.NewBundle(stranger.Certificate, trusted.Certificate).PEM(), "router.mesh.svc", ""},
		"a CA that is not in the bundle": {shown(stranger, 2*time.Hour), certs.NewBundle(trusted.Certificate).PEM(), "router.mesh.svc", "would not accept"},
		"a bundle of nonsense":           {shown(trusted, 2*time.Hour), []byte("nonsense"), "router.mesh.svc", "would not accept"},
		"another name":                   {shown(trusted, 2*time.Hour), certs.NewBundle(trusted.Certificate).PEM(), "other.mesh.svc", "would not accept"},
		"half an hour left":              {shown(trusted, 30*time.Minute), certs.NewBundle(trusted.Certificate).PEM(), "router.mesh.svc", "valid for 30m0s, want more than 1h0m0s"},
		"nothing":                        {nil, certs.NewBundle(trusted.Certificate).PEM(), "router.mesh.svc", "no certificate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := verify(tc.shown, tc.bundle, tc.name, now)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// A replica that has never reached an API server: its webhook port serves and is called, and everything that is wrong
// has a name.
func TestReadinessNamesWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := config.NewStore(path, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	api := &rest.Config{Host: "http://127.0.0.1:1"}
	source, err := mesh.New(mesh.Options{Config: api, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Service: "router", Namespace: "mesh", WebhookHost: "127.0.0.1", DrainDelay: time.Millisecond,
		Server: ServerOptions{MaxConnections: 64, MaxConcurrent: 8, MaxBodyMemory: "32Mi", ShutdownTimeout: time.Second},
	}
	common := shared{api: api, options: o, policy: policy, registry: prometheus.NewPedanticRegistry(), log: logr.Discard()}
	k := &keeper{}
	v, err := common.newServing(servingParts{certificates: k, source: source, panicked: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.server.Start(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	waitUntil(t, func() bool { return v.server.StartedChecker()(nil) == nil })
	readyz := func() (int, string) {
		w := httptest.NewRecorder()
		v.healthHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz?verbose", http.NoBody))
		return w.Code, w.Body.String()
	}
	expect := func(what string, lines ...string) {
		t.Helper()
		v.checked = time.Time{}
		code, body := readyz()
		for _, line := range lines {
			if !strings.Contains(body, line) {
				t.Errorf("%s: %d, %q is not in\n%s", what, code, line, body)
			}
		}
	}
	expect("without a certificate", "[-]certificate failed", "[-]snapshot failed", "[+]webhook ok", "[+]drain ok",
		"[!]registration: the webhook configurations have not been read yet")
	k.source.Set(leafOf(t, newAuthority(t, time.Now()), 2*time.Hour, time.Now()))
	expect("with one", "[+]certificate ok")
	if err := os.WriteFile(path, []byte("kind: Nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy.Reload()
	expect("with a bad policy", "[!]policy: the old policy stays in force")
	v.drain.wait(t.Context())
	expect("while it drains", "[-]drain failed")
	if n, err := testutil.GatherAndCount(common.registry, "istio_revision_router_webhook_registration_problems"); n != 0 || err != nil {
		t.Errorf("%d problems were counted before anything was read; %v", n, err)
	}
}

func waitUntil(t *testing.T, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatal("waited in vain")
		case <-time.After(time.Millisecond):
		}
	}
}
