package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// overlapGate keeps a replica from becoming ready while a webhook of Istio's injects pods that the router would inject
// as well. It fails closed at the start: two injectors on one pod can break the pod, and whoever installs or
// restarts the router is there to read why.
//
// A replica that was ready once stays so. Such a webhook is there for all replicas at once: with failurePolicy Fail no
// pod of the mesh could be created any more if all of them became unready, because of one object that anybody may have
// applied, while most pods do not match it. It is logged, counted and remarked on instead.
type overlapGate struct {
	overlaps func() []mesh.Overlap
	mesh     func() *routing.Mesh
	log      logr.Logger

	passed atomic.Bool

	mu     sync.Mutex
	logged []mesh.Overlap
}

// checker is the gate, which opens for good once all the others are content and nothing overlaps.
func (g *overlapGate) checker(others map[string]healthz.Checker) healthz.Checker {
	return func(r *http.Request) error {
		if g.passed.Load() {
			return nil
		}
		m := g.mesh()
		if m == nil {
			return errors.New("the mesh is not known yet")
		}
		if err := g.describe(m, g.overlaps()); err != nil {
			return err
		}
		if allContent(others, r) { // else the replica is not ready anyway
			g.passed.Store(true)
		}
		return nil
	}
}

func allContent(checks map[string]healthz.Checker, r *http.Request) bool {
	for _, check := range checks {
		if check(r) != nil {
			return false
		}
	}
	return true
}

// remark is what overlaps now, where that does not keep the replica from being ready.
func (g *overlapGate) remark() error {
	if m := g.mesh(); m != nil && g.passed.Load() {
		return g.describe(m, g.overlaps())
	}
	return nil
}

// published logs each overlap when it comes and when it goes.
func (g *overlapGate) published() {
	now, m := g.overlaps(), g.mesh()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range now {
		if !slices.Contains(g.logged, o) {
			g.log.Info("a webhook of Istio's injects pods that the router injects as well", "configuration", o.Configuration,
				"webhook", o.Webhook, "wanted", o.Wanted, "ready", g.passed.Load(), "next", o.Remedy(m).String())
		}
	}
	for _, o := range g.logged {
		if !slices.Contains(now, o) {
			g.log.Info("a webhook of Istio's is no longer in the way", "configuration", o.Configuration, "webhook", o.Webhook)
		}
	}
	g.logged = now
}

// describe is an error that names each overlap, and what to do about it; nil where there is none.
func (g *overlapGate) describe(m *routing.Mesh, found []mesh.Overlap) error {
	if len(found) == 0 {
		return nil
	}
	var what, next []string
	for _, o := range found {
		what = append(what, o.String())
		if command := o.Remedy(m).String(); !slices.Contains(next, command) {
			next = append(next, command)
		}
	}
	return fmt.Errorf("these inject %s: %s. Next: %s", sail.OverlapHarm, strings.Join(what, ", "), strings.Join(next, "; "))
}
