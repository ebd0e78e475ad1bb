//go:build chaos

package chaos

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/test/local"
)

// published is the CA bundle of one webhook.
type published struct {
	webhook string
	pem     []byte
}

// bundles are what the API server trusts at this moment.
func (w *world) bundles(t *testing.T) []published {
	t.Helper()
	all, err := w.readBundles(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *world) readBundles(ctx context.Context) ([]published, error) {
	var all []published
	api := w.kube.AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().Get(ctx, mutatingConfiguration, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, hook := range mutating.Webhooks {
		all = append(all, published{hook.Name, hook.ClientConfig.CABundle})
	}
	validating, err := api.ValidatingWebhookConfigurations().Get(ctx, validatingConfiguration, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, hook := range validating.Webhooks {
		all = append(all, published{hook.Name, hook.ClientConfig.CABundle})
	}
	return all, nil
}

// served is the certificate that a replica shows to a new connection.
func served(ctx context.Context, r *local.Replica) (*x509.Certificate, error) {
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 5 * time.Second},
		// The certificate is judged by the caller, who wants it also if it is wrong.
		Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
	conn, err := dialer.DialContext(ctx, "tcp", r.Webhook)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	shake, ok := conn.(*tls.Conn)
	if !ok || len(shake.ConnectionState().PeerCertificates) == 0 {
		return nil, errors.New("no certificate was shown")
	}
	return shake.ConnectionState().PeerCertificates[0], nil
}

// pairWatch holds every certificate that a replica shows against every bundle that is published, again and again.
type pairWatch struct {
	w       *world
	stop    context.CancelFunc
	stopped chan struct{}

	mu        sync.Mutex
	samples   int
	wrong     []string
	leaves    map[string]map[[32]byte]bool // by replica
	authority map[string]bool              // key identifiers
}

// watchPairs looks at everything every 50 ms or as fast as it goes.
func (w *world) watchPairs(t *testing.T) *pairWatch {
	t.Helper()
	ctx, stop := context.WithCancel(w.ctx)
	p := &pairWatch{
		w: w, stop: stop, stopped: make(chan struct{}),
		leaves: map[string]map[[32]byte]bool{}, authority: map[string]bool{},
	}
	go func() {
		defer close(p.stopped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.look(ctx)
			}
		}
	}()
	t.Cleanup(p.end)
	return p
}

func (p *pairWatch) end() {
	p.stop()
	<-p.stopped
}

// look takes the leaves first: a bundle that is read afterwards must still hold their CAs.
func (p *pairWatch) look(ctx context.Context) {
	leaves := map[string]*x509.Certificate{}
	for _, r := range p.w.routers().Replicas() {
		leaf, err := served(ctx, r)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.add(func() { p.wrong = append(p.wrong, fmt.Sprintf("%s: %v", r.Name, err)) })
			continue
		}
		leaves[r.Name] = leaf
	}
	bundles, err := p.w.readBundles(ctx)
	if ctx.Err() != nil {
		return
	}
	p.add(func() {
		p.samples++
		if err != nil {
			p.wrong = append(p.wrong, err.Error())
		}
		for name, leaf := range leaves {
			if p.leaves[name] == nil {
				p.leaves[name] = map[[32]byte]bool{}
			}
			p.leaves[name][sha256.Sum256(leaf.Raw)] = true
			p.authority[string(leaf.AuthorityKeyId)] = true
			for _, b := range bundles {
				if err := verifies(b.pem, leaf); err != nil {
					p.wrong = append(p.wrong, fmt.Sprintf("%s at webhook %s: %v", name, b.webhook, err))
				}
			}
		}
	})
}

func (p *pairWatch) add(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
}

// verifies is the check that the API server makes, at the API server's time.
func verifies(bundle []byte, leaf *x509.Certificate) error {
	return certs.Verifies(certs.ScanBundle(bundle), leaf, "127.0.0.1", time.Now())
}

// renewals counts certificates that followed another one of the same replica, and CAs after the first.
func (p *pairWatch) renewals() (leaves, authorities int) {
	p.add(func() {
		for _, of := range p.leaves {
			leaves += len(of) - 1
		}
		authorities = len(p.authority) - 1
	})
	return leaves, authorities
}

// replicas counts those of which a certificate was seen.
func (p *pairWatch) replicas() (n int) {
	p.add(func() { n = len(p.leaves) })
	return n
}

// check fails the test for every pair that did not verify.
func (p *pairWatch) check(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, text := range p.wrong {
		if i == 5 {
			t.Errorf("and %d more", len(p.wrong)-i)
			break
		}
		t.Error(text)
	}
	if p.samples < 10 {
		t.Errorf("certificates were looked at %d times only", p.samples)
	}
}
