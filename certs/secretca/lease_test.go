package secretca_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/internal/lease"
)

// elected is a Manager that writes while its replica holds the lease.
type elected struct {
	manager *secretca.Manager
	lease   *lease.Lease
	did     *recorder
	stop    func()
}

func (e *environment) startElected(identity string) elected {
	e.t.Helper()
	part, err := lease.New(lease.Options{
		Client: e.client, Namespace: e.namespace, Name: "revision-router", Identity: identity, Now: time.Now, Log: logr.Discard(),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	done := make(chan error, 1)
	go func() { done <- part.Start(ctx) }()
	did := &recorder{}
	o := e.options()
	o.IsLeader, o.Recorder = part.Writes, did
	m, stop := e.start(o)
	stopBoth := sync.OnceFunc(func() {
		stop()
		cancel()
		if err := <-done; err != nil {
			e.t.Error(err)
		}
	})
	e.t.Cleanup(stopBoth)
	return elected{m, part, did, stopBoth}
}

func TestReplicasThatElectAWriterAllServe(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	var replicas []elected
	for i := range 5 {
		replicas = append(replicas, e.startElected(fmt.Sprintf("replica-%d", i)))
	}
	for len(replicas) > 1 {
		for _, r := range replicas {
			e.waitReady(r.manager)
		}
		holder := -1
		e.waitFor("a holder", func() error {
			for i, r := range replicas {
				if r.lease.Held() {
					holder = i
					return nil
				}
			}
			return errors.New("nobody holds the lease")
		})
		for i, r := range replicas {
			if written := r.did.writes(); i != holder && len(written) > 0 {
				t.Errorf("a replica that never held the lease did %v", written)
			}
		}
		if len(replicas[holder].did.writes()) == 0 {
			t.Error("the holder recorded no write")
		}
		// The holder leaves, and something overwrites the bundle: the next holder mends it, and all go on serving.
		replicas[holder].stop()
		replicas = append(replicas[:holder:holder], replicas[holder+1:]...)
		for _, r := range replicas {
			if err := r.manager.Ready(); err != nil {
				t.Errorf("a replica is not ready after another has left: %v", err)
			}
		}
		if err := e.patchMutating(types.JSONPatchType, `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`); err != nil {
			t.Fatal(err)
		}
		e.waitHealed()
	}
}

func TestReportTellsWhatTheLastLookFound(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"), e.idleWebhook("b.example.com"))
	var writes leading
	o := e.options()
	o.IsLeader = writes.get
	unstarted, err := secretca.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := unstarted.Report(); got.Phase != certs.NoCA || got.Leaf != nil || got.Webhooks != 0 {
		t.Errorf("before the first look: %+v", got)
	}
	writes.set(true)
	m, _ := e.start(o)
	e.waitReady(m)
	e.waitFor("the report", func() error {
		r := m.Report()
		if r.Leaf == nil || r.Current == nil || r.Phase != certs.Settled || r.Webhooks != 2 || r.InOrder != 2 || r.Failed || !r.Writes || r.Published.IsZero() {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	phases := map[certs.Phase]bool{}
	e.waitFor("the overlap", func() error {
		r := m.Report()
		phases[r.Phase] = true
		if r.Phase != certs.Overlapping || len(r.Previous) != 1 || r.Next != nil {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if !phases[certs.Settling] {
		t.Errorf("phases %v, want %s among them", phases, certs.Settling)
	}
	writes.set(false)
	if m.Report().Writes {
		t.Error("the replica that lost the lease reports that it writes")
	}
}

// leading is whether a replica leads, as a test says.
type leading struct {
	mu    sync.Mutex
	leads bool
}

func (l *leading) get() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads
}

func (l *leading) set(leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leads = leads
}
