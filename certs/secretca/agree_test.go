package secretca_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

func TestFiveReplicasThatStartAtOnceAgreeOnOneCA(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"), e.idleWebhook("b.example.com"))
	e.createValidating("c.example.com")
	var managers []*secretca.Manager
	for range 5 {
		m, _ := e.start(e.options())
		managers = append(managers, m)
	}
	e.waitReady(managers...)

	bundle := mustBundle(t, e.secret().Data["ca.crt"])
	if bundle.Len() != 1 {
		t.Fatalf("the bundle holds %d CAs, want the one that all agreed on", bundle.Len())
	}
	serials := map[string]bool{}
	for _, m := range managers {
		leaf := m.Source().Leaf()
		if err := certs.Verifies(bundle, leaf, servingName, e.clock.Now()); err != nil {
			t.Error(err)
		}
		serials[leaf.SerialNumber.String()] = true
	}
	if len(serials) != len(managers) {
		t.Errorf("%d different leaves, want one of its own for each of %d replicas", len(serials), len(managers))
	}
	if err := e.holdsBundle(); err != nil {
		t.Error(err)
	}
	status, err := managers[0].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range status.Webhooks {
		if !w.InOrder || !w.TrustsLeaf {
			t.Errorf("webhook %s: %+v, want it in order and trusting", w.Name, w)
		}
	}
	if len(status.Webhooks) != 3 || status.Action != certs.Nothing || status.Current == nil || status.Leaf == nil {
		t.Errorf("status %+v, want three webhooks, a current CA, a leaf, and nothing to do", status)
	}
}

func TestWhatAppliesBeforeTheFirstCertificate(t *testing.T) {
	e := newEnvironment(t)
	m, err := secretca.New(e.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(); !errors.Is(err, certs.ErrNotAvailable) {
		t.Errorf("Ready: %v, want %v", err, certs.ErrNotAvailable)
	}
	if _, err := m.Source().GetCertificate(nil); !errors.Is(err, certs.ErrNotAvailable) {
		t.Errorf("GetCertificate: %v, want %v", err, certs.ErrNotAvailable)
	}
	if err := m.Rotate(t.Context()); !errors.Is(err, secretca.ErrNoSecret) {
		t.Errorf("Rotate: %v, want %v", err, secretca.ErrNoSecret)
	}
	status, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.SecretState != certs.SecretMissing || status.Action != certs.CreateCA {
		t.Errorf("status %+v, want a missing Secret and %s", status, certs.CreateCA)
	}
}

func TestAConfigurationIsPickedUpWhenItAppears(t *testing.T) {
	e := newEnvironment(t)
	m, _ := e.start(e.options())
	e.waitReady(m) // none exists, and none is needed
	e.createMutating(e.idleWebhook("late.example.com"))
	e.waitFor("the bundle in the new configuration", e.holdsBundle)
	e.waitReady(m)
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	var leads [2]atomic.Bool
	var recorders [2]recorder
	var managers []*secretca.Manager
	for i := range leads {
		o := e.options()
		o.IsLeader, o.Recorder = leads[i].Load, &recorders[i]
		m, _ := e.start(o)
		managers = append(managers, m)
	}
	e.waitFor("both replicas to wait for a leader", func() error {
		for _, m := range managers {
			if err := m.Ready(); err == nil {
				return errors.New("a replica is ready although nobody may create the CA")
			}
			if _, err := m.Status(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	leads[1].Store(true)
	e.waitReady(managers...)
	if written := recorders[0].writes(); len(written) > 0 {
		t.Errorf("the replica that does not lead did %v", written)
	}
	if written := recorders[1].writes(); len(written) == 0 {
		t.Error("the leader recorded no write")
	}
}

func TestADamagedSecretIsReplaced(t *testing.T) {
	damages := map[string]map[string][]byte{
		"it is empty":               nil,
		"the key is of another":     {"tls.key": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		"the certificate is cut":    {"tls.crt": []byte("-----BEGIN CERTIFICATE-----\nMIIB")},
		"a time is not a time":      {"previous-until": []byte("soon")},
		"the next CA has no key":    {"next-tls.crt": []byte("x")},
		"there is no CA whatsoever": {"tls.crt": nil, "tls.key": nil},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.createMutating(e.idleWebhook("a.example.com"))
			m, _ := e.start(e.options())
			e.waitReady(m)
			before := e.secret().Data["tls.crt"]
			e.updateSecret(func(data map[string][]byte) {
				if damage == nil {
					clear(data)
				}
				maps.Copy(data, damage)
			})
			e.waitForNewCA(before, []*secretca.Manager{m})
			if !mustBundle(t, e.secret().Data["ca.crt"]).ContainsAll(mustBundle(t, before)) {
				t.Error("the bundle does not hold the old CA, whose leaves may still be served")
			}
			log := e.log.String()
			if !strings.Contains(log, "replaced a CA Secret that could not be used") {
				t.Error("the log does not tell of it")
			}
			if strings.Contains(log, "PRIVATE KEY") {
				t.Error("the log shows a key")
			}
		})
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	e := newEnvironment(t)
	cases := map[string]func(*secretca.Options){
		"there is no client":                      func(o *secretca.Options) { o.Client = nil },
		"there is no namespace":                   func(o *secretca.Options) { o.Namespace = "" },
		"there is no clock":                       func(o *secretca.Options) { o.Clock = nil },
		"there is no name to serve":               func(o *secretca.Options) { o.DNSNames = nil },
		"a name is not a DNS name":                func(o *secretca.Options) { o.DNSNames = []string{"a b"} },
		"the leaf would outlive every overlap":    func(o *secretca.Options) { o.LeafLifetime = certs.MaxLeafLifetime + 1 },
		"the leaf would never be ready for long":  func(o *secretca.Options) { o.LeafLifetime = certs.MinLeafLifetime - 1 },
		"the CA would leave no time for overlaps": func(o *secretca.Options) { o.CALifetime = certs.MinCALifetime - 1 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			o := e.options()
			change(&o)
			if _, err := secretca.New(o); err == nil {
				t.Error("New accepted them")
			}
		})
	}
}

// recorder keeps what was done.
type recorder struct {
	done atomic.Pointer[[]string]
}

func (r *recorder) CertificateAction(kind certs.Kind, outcome secretca.Outcome) {
	for {
		old := r.done.Load()
		var done []string
		if old != nil {
			done = append(done, *old...)
		}
		done = append(done, fmt.Sprintf("%s %s", kind, outcome))
		if r.done.CompareAndSwap(old, &done) {
			return
		}
	}
}

func (r *recorder) writes() []string {
	var writes []string
	if done := r.done.Load(); done != nil {
		for _, d := range *done {
			if !strings.HasPrefix(d, string(certs.RenewLeaf)) {
				writes = append(writes, d)
			}
		}
	}
	return writes
}
