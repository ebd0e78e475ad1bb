package secretca_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestAnOutageOfTheAPIServerIsSurvived(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane of its own; run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	e := newEnvironmentIn(t, c)
	e.createMutating(e.idleWebhook("a.example.com"))
	m, _ := e.start(e.options())
	e.waitReady(m)
	bundle, leaf := mustBundle(t, e.secret().Data["ca.crt"]), m.Source().Leaf()

	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	e.clock.jump(5 * 24 * time.Hour)
	e.waitFor("a new leaf without an API server", func() error {
		e.clock.tick()
		if m.Source().Leaf().Equal(leaf) {
			return errors.New("the leaf is the old one")
		}
		return m.Ready()
	})
	if err := certs.Verifies(bundle, m.Source().Leaf(), servingName, e.clock.Now()); err != nil {
		t.Errorf("the new leaf is not of the CA that is published: %v", err)
	}

	if err := c.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	e.waitFor("the API server to take a write", func() error {
		return e.patchMutating(types.JSONPatchType, `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`)
	})
	e.waitHealed()
	e.waitReady(m)
}
