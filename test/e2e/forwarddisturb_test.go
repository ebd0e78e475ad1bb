//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/injector"
)

// disturb moves the tags, takes endpoints away, and restarts injectors, over and over.
func (s *storm) disturb(ctx context.Context, t *testing.T) {
	t.Helper()
	for round := 1; ctx.Err() == nil && !s.created(); round++ {
		if err := s.round(ctx, round); err != nil {
			t.Errorf("round %d: %v", round, err)
			return
		}
	}
}

func (s *storm) round(ctx context.Context, round int) error {
	ready := func(yes bool) func(context.Context) error {
		return func(ctx context.Context) error { return s.mesh.SetReady(ctx, newRevision, yes) }
	}
	point := func(revision string) func(context.Context) error {
		return func(ctx context.Context) error { return s.pointTags(ctx, revision) }
	}
	steps := []struct {
		revision string
		do       func(context.Context) error
	}{
		{newRevision, point(newRevision)}, {oldRevision, ready(false)}, {newRevision, ready(true)}, {oldRevision, point(oldRevision)},
	}
	for _, step := range steps {
		s.history.push(oldRevision, newRevision)
		if err := s.changeNow(ctx, leads(step.revision), step.do); err != nil {
			return err
		}
		s.history.push(step.revision)
		s.flips.Add(1)
		if err := s.settle(ctx); err != nil {
			return err
		}
		if err := s.mesh.Replace(step.revision); err != nil {
			return err
		}
		s.restarts.Add(1)
		if round%3 != 0 {
			continue
		}
		worse := s.crash
		if step.revision == oldRevision {
			worse = s.fail
		}
		if err := worse(ctx, step.revision); err != nil {
			return err
		}
	}
	return nil
}

// fail has an injector that pods are sent to answer without a review, until a pod was refused for it.
func (s *storm) fail(ctx context.Context, revision string) error {
	s.mesh.Break(revision, injector.Say(http.StatusInternalServerError, "out of order"))
	defer s.mesh.Break(revision, nil)
	s.failures.Add(1)
	before := s.refusals(notInjected)
	return await(ctx, "a pod is refused because its injector fails", func(context.Context) error {
		if s.refusals(notInjected) == before && !s.created() {
			return errors.New("none was")
		}
		return nil
	})
}

// created tells whether nothing creates pods any more.
func (s *storm) created() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// settle lets some pods be created between two changes: only of those it is known which one revision they must get.
func (s *storm) settle(ctx context.Context) error {
	enough := s.admitted.Load() + settledPods
	return await(ctx, "pods are admitted between two changes", func(context.Context) error {
		if s.admitted.Load() < enough && !s.created() {
			return errors.New("too few were")
		}
		return nil
	})
}

// crash ends an injector that pods are sent to, and starts it again a second later.
func (s *storm) crash(ctx context.Context, revision string) error {
	if err := s.mesh.Stop(revision); err != nil {
		return err
	}
	s.crashes.Add(1)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.mesh.Resume(revision)
}

// replaceRouters replaces every router by a new one, and later kills one.
func (s *storm) replaceRouters(ctx context.Context, t *testing.T) {
	t.Helper()
	if !s.until(ctx, s.total/5) {
		return
	}
	if err := s.env.Deployment.Restart(ctx); err != nil {
		t.Errorf("replacing the routers: %v", err)
	}
	if n := s.refusals(notCalled); n > 0 {
		t.Errorf("%d pods found no router while the routers were replaced one by one", n)
	}
	if !s.until(ctx, s.total*3/5) {
		return
	}
	victim := s.env.Deployment.Replicas()[0]
	lost, err := s.env.Deployment.Kill(victim)
	if err != nil {
		t.Errorf("killing a router: %v", err)
	}
	if err := s.env.Deployment.Gone(ctx, victim); err != nil {
		t.Error(err)
	}
	s.bound.Store(int64(lost().All()))
	if err := s.env.Deployment.Scale(ctx, routers); err != nil {
		t.Errorf("replacing the router that was killed: %v", err)
	}
}

func (s *storm) until(ctx context.Context, pods int) bool {
	select {
	case <-s.milestones[pods]:
		return true
	case <-ctx.Done():
		return false
	}
}
