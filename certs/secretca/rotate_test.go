package secretca_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// updateSecret changes the Secret as a person would.
func (e *environment) updateSecret(change func(map[string][]byte)) {
	e.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		secret := e.secret()
		change(secret.Data)
		_, err := e.client.CoreV1().Secrets(e.namespace).Update(e.t.Context(), secret, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// underLoad starts three replicas behind a webhook that the API server has to call for each request of a load.
func underLoad(t *testing.T) (*environment, []*secretca.Manager, *webhookServer, *load) {
	t.Helper()
	e := newEnvironment(t)
	var managers []*secretca.Manager
	for range 3 {
		m, _ := e.start(e.options())
		managers = append(managers, m)
	}
	server := serveWebhook(t, managers...)
	e.createMutating(e.mutatingWebhook("called.example.com", server.url), e.idleWebhook("idle.example.com"))
	e.createValidating("validating.example.com")
	e.waitReady(managers...)
	e.waitFor("the API server to call the webhook", func() error { return e.request(t.Context()) })
	requests := e.startLoad()
	return e, managers, server, requests
}

func TestTheAPIServerCallsAWebhookThroughThePublishedBundle(t *testing.T) {
	e := newEnvironment(t)
	m, stop := e.start(e.options())
	server := serveWebhook(t, m)
	e.waitReady(m)
	stop() // so that nothing is published
	e.createMutating(e.mutatingWebhook("called.example.com", server.url))
	e.waitFor("the API server to refuse a certificate that it has no CA for", func() error {
		if err := e.request(t.Context()); err == nil {
			return errors.New("the request was admitted")
		}
		return nil
	})
	if got := server.calls.Load(); got != 0 {
		t.Errorf("the webhook was called %d times without a CA bundle", got)
	}

	other, _ := e.start(e.options())
	e.waitReady(other)
	e.waitFor("the API server to call the webhook", func() error { return e.request(t.Context()) })
	if server.calls.Load() == 0 {
		t.Error("the request was admitted, but the webhook was not called")
	}
}

func TestRotationsUnderLoadFailNoRequest(t *testing.T) {
	e, managers, server, load := underLoad(t)
	for i := range 5 {
		before := e.secret().Data["tls.crt"]
		if err := managers[i%len(managers)].Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.waitForNewCA(before, managers)
		if _, asked := e.secret().Annotations[secretca.RotateAnnotation]; asked {
			t.Error("the request for a rotation is still there after it")
		}
		e.waitForRequests(load, 20)
		// As if the overlap were over: every replica has a leaf of the new CA.
		e.updateSecret(func(data map[string][]byte) {
			data["previous-until"] = []byte(e.clock.Now().UTC().Format(time.RFC3339))
		})
		e.waitFor("the old CA to be dropped", func() error {
			if n := mustBundle(t, e.secret().Data["ca.crt"]).Len(); n != 1 {
				return fmt.Errorf("the bundle holds %d CAs", n)
			}
			return e.holdsBundle()
		})
		e.waitForRequests(load, 20)
	}
	load.end(t)
	if server.calls.Load() < load.requests.Load() {
		t.Errorf("%d requests, but only %d calls: some were admitted without the webhook", load.requests.Load(), server.calls.Load())
	}
}

// waitForNewCA waits until the Secret has another signer, every replica serves a leaf of it, and nothing is due.
func (e *environment) waitForNewCA(before []byte, managers []*secretca.Manager) {
	e.t.Helper()
	e.waitFor("a new CA", func() error {
		secret := e.secret()
		current, err := certs.ParseAuthority(secret.Data["tls.crt"], secret.Data["tls.key"])
		if err != nil {
			return err
		}
		if bytes.Equal(secret.Data["tls.crt"], before) {
			return errors.New("the CA is the old one")
		}
		if len(secret.Data["next-tls.crt"]) != 0 {
			return errors.New("the rotation is not finished")
		}
		for i, m := range managers {
			if err := certs.Verifies(certs.NewBundle(current.Certificate), m.Source().Leaf(), servingName, e.clock.Now()); err != nil {
				return fmt.Errorf("replica %d: %w", i, err)
			}
			if err := m.Ready(); err != nil {
				return fmt.Errorf("replica %d: %w", i, err)
			}
		}
		return nil
	})
}

func TestLosingTheSecretUnderLoadFailsNoRequest(t *testing.T) {
	losses := map[string]func(*environment){
		"it is deleted": func(e *environment) {
			if err := e.client.CoreV1().Secrets(e.namespace).Delete(e.t.Context(), secretName, metav1.DeleteOptions{}); err != nil {
				e.t.Fatal(err)
			}
		},
		"it is damaged": func(e *environment) {
			e.updateSecret(func(data map[string][]byte) { data["tls.key"] = []byte("garbage") })
		},
		"it is replaced by the CA of another cluster": func(e *environment) {
			other := newEnvironment(e.t)
			m, stop := other.start(other.options())
			other.waitReady(m)
			stop()
			data := other.secret().Data
			e.updateSecret(func(into map[string][]byte) { maps.Copy(into, data) })
		},
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			e, managers, _, load := underLoad(t)
			before := e.secret().Data["tls.crt"]
			e.waitForRequests(load, 10)
			lose(e)
			e.waitFor("the Secret to be back", func() error {
				_, err := e.client.CoreV1().Secrets(e.namespace).Get(t.Context(), secretName, metav1.GetOptions{})
				return err
			})
			e.waitForNewCA(before, managers)
			e.waitForRequests(load, 20)
			load.end(t)
			if !mustBundle(t, e.secret().Data["ca.crt"]).ContainsAll(mustBundle(t, before)) {
				t.Error("the CA of before is not in the bundle for the time of an overlap")
			}
		})
	}
}

func TestAnAnnotationAsksForARotation(t *testing.T) {
	e := newEnvironment(t)
	m, _ := e.start(e.options())
	e.waitReady(m)
	before := e.secret().Data["tls.crt"]
	patch := []byte(`{"metadata":{"annotations":{"` + secretca.RotateAnnotation + `":"please"}}}`)
	_, err := e.client.CoreV1().Secrets(e.namespace).Patch(t.Context(), secretName, "application/merge-patch+json", patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.waitForNewCA(before, []*secretca.Manager{m})
}

func TestWhatOthersPutInTheSecretStays(t *testing.T) {
	e := newEnvironment(t)
	_, err := e.client.CoreV1().Secrets(e.namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName, Labels: map[string]string{"backup": "no"}},
		Data:       map[string][]byte{"note": []byte("hello")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := e.start(e.options())
	e.waitReady(m)
	secret := e.secret()
	if string(secret.Data["note"]) != "hello" || secret.Labels["backup"] != "no" {
		t.Errorf("labels %v, keys of others %q, want both kept", secret.Labels, secret.Data["note"])
	}
}

// A clock that is set forward by less than a leaf's life, by more, and by more than the CA's.
func TestAfterAJumpOfTheClockCertificatesAreRenewed(t *testing.T) {
	jumps := map[string]struct {
		by    time.Duration
		newCA bool
	}{
		"a day":       {by: 24 * time.Hour},
		"two weeks":   {by: 14 * 24 * time.Hour},
		"nine months": {by: 9 * 30 * 24 * time.Hour, newCA: true},
		"a year":      {by: 366 * 24 * time.Hour, newCA: true},
	}
	for name, tc := range jumps {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.createMutating(e.idleWebhook("a.example.com"))
			o := e.options()
			o.LeafLifetime = 24 * time.Hour
			m, _ := e.start(o)
			e.waitReady(m)
			leaf, ca := m.Source().Leaf(), e.secret().Data["tls.crt"]
			e.clock.jump(tc.by)
			e.waitFor("new certificates", func() error {
				e.clock.tick()
				switch {
				case m.Source().Leaf().Equal(leaf):
					return errors.New("the leaf is the old one")
				case bytes.Equal(e.secret().Data["tls.crt"], ca) == tc.newCA:
					return fmt.Errorf("a new CA: %t, want %t", !tc.newCA, tc.newCA)
				}
				return m.Ready()
			})
			if err := certs.Verifies(mustBundle(t, e.published()["a.example.com"]), m.Source().Leaf(), servingName, e.clock.Now()); err != nil {
				t.Error(err)
			}
			// The test fires timers by hand; with the machine's own, the jump is noticed at the end of the longest one.
			if longest := e.clock.longestWait(); longest > 30*time.Second {
				t.Errorf("somebody waits for %s, want at most half of the minute within which a jump is noticed", longest)
			}
		})
	}
}
