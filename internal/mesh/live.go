package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing/skew"
)

// LiveSkewMesh is the latest snapshot with everything that is few of its kind read from the API server at this
// moment: what the Sail Operator's objects ask for, and how far istiod, IstioCNI and ZTunnel are rolled out. So a write is
// judged right that comes within a millisecond of another one, before any watch has told of it.
// Pods, namespaces, Gateways and waypoints' consumers are those that watches have told of.
//
// A router that has just started waits for its first snapshot until the context is done, unless it lacks a right, which no
// moment's wait mends; after that it takes at most SkewOptions.LiveTimeout. An error says what could not be read; whether the
// write then passes is for the caller to choose.
func (s *Skew) LiveSkewMesh(ctx context.Context) (*skew.Mesh, error) {
	if !apierrors.IsForbidden(s.Ready()) {
		select {
		case <-s.source.first:
		case <-ctx.Done():
		}
	}
	if err := s.Ready(); err != nil {
		return nil, fmt.Errorf("read the mesh from the API server: nothing is known of its other objects yet: %w", err)
	}
	parts := s.source.current.Load().parts
	err := s.live(ctx, func(ctx context.Context) error { return s.refresh(ctx, &parts) })
	if err != nil {
		return nil, fmt.Errorf("read the mesh from the API server: %w", err)
	}
	return parts.Mesh(), nil
}

// Settle waits until the snapshot tells of what had happened before the call: half an [SkewOptions.Interval] for the watches,
// which tell of a write some milliseconds after it, and a whole one for the next snapshot. An error means that the context was
// done before.
func (s *Skew) Settle(ctx context.Context) error {
	s.source.sleep(ctx, s.source.interval+s.source.interval/2)
	return ctx.Err()
}

// LiveGateway reads a Gateway. One that does not exist is an error of which apierrors.IsNotFound is true.
//
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways,verbs=get
func (s *Skew) LiveGateway(ctx context.Context, namespace, name string) (skew.Gateway, error) {
	var found skew.Gateway
	err := s.live(ctx, func(ctx context.Context) error {
		object, err := s.gateways.Get().Namespace(namespace).Resource("gateways").Name(name).Do(ctx).Get()
		if err != nil {
			return err
		}
		found, err = convertTo(s.known.gateways, object)
		return err
	})
	if err != nil {
		return skew.Gateway{}, fmt.Errorf("read Gateway %s/%s from the API server: %w", namespace, name, err)
	}
	return found, nil
}

// LiveGateways reads the Gateways of a namespace. There are none where the Gateway API is not installed.
func (s *Skew) LiveGateways(ctx context.Context, namespace string) ([]skew.Gateway, error) {
	var found []skew.Gateway
	err := s.live(ctx, func(ctx context.Context) error {
		list, err := s.gateways.Get().Namespace(namespace).Resource("gateways").Do(ctx).Get()
		if err != nil {
			return s.unlessNotInstalled(s.known.gateways, err)
		}
		found, err = convertAll(s.known.gateways, list)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the Gateways of namespace %s from the API server: %w", namespace, err)
	}
	return found, nil
}

// LiveNamespace reads a Namespace with all its labels. One that does not exist is an error of which
// apierrors.IsNotFound is true.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
func (s *Skew) LiveNamespace(ctx context.Context, name string) (skew.Namespace, error) {
	var found skew.Namespace
	err := s.live(ctx, func(ctx context.Context) error {
		object, err := s.namespaces.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		found, err = convertTo(s.known.namespaces, object)
		return err
	})
	if err != nil {
		return skew.Namespace{}, fmt.Errorf("read Namespace %s from the API server: %w", name, err)
	}
	return found, nil
}

// live bounds a live read in time, and how many there are at once.
func (s *Skew) live(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%d live reads are under way: %w", cap(s.slots), ctx.Err())
	}
	defer func() { <-s.slots }()
	return read(ctx)
}

// refresh lists what is few of its kind, all at once.
func (s *Skew) refresh(ctx context.Context, parts *inventory.Parts) error {
	w := s.known
	var istiods, cniSets, ztunnelSets []inventory.Rollout
	lists := []func() error{
		func() error { return listInto(ctx, s, w.istios, &parts.Istios) },
		func() error { return listInto(ctx, s, w.revisions, &parts.Revisions) },
		func() error { return listInto(ctx, s, w.tags, &parts.Tags) },
		func() error { return listInto(ctx, s, w.cnis, &parts.CNIs) },
		func() error { return listInto(ctx, s, w.ztunnels, &parts.ZTunnels) },
		func() error { return listInto(ctx, s, w.istiods, &istiods) },
		func() error { return listInto(ctx, s, w.cniSets, &cniSets) },
		func() error { return listInto(ctx, s, w.ztunnelSets, &ztunnelSets) },
	}
	failures := make([]error, len(lists))
	var running sync.WaitGroup
	for n, list := range lists {
		running.Go(func() { failures[n] = list() })
	}
	running.Wait()
	parts.Rollouts = slices.Concat(istiods, cniSets, ztunnelSets)
	s.source.mu.Lock()
	parts.Running = w.running()
	s.source.mu.Unlock()
	return errors.Join(failures...)
}

// listInto lists the kind that a collection keeps.
func listInto[T any](ctx context.Context, s *Skew, c *collection[T], into *[]T) error {
	k := s.kindOf(c)
	list, err := k.client.List(ctx, k.listOptions(metav1.ListOptions{}))
	if err != nil {
		*into = nil
		if err = s.unlessNotInstalled(c, err); err != nil {
			return fmt.Errorf("list %s: %w", k.name(), err)
		}
		return nil
	}
	found, err := convertAll(c, list)
	if err != nil {
		return fmt.Errorf("list %s: %w", k.name(), err)
	}
	*into = found
	return nil
}

func (s *Skew) kindOf(o objects) *kind {
	return s.source.kinds[slices.IndexFunc(s.source.kinds, func(k *kind) bool { return k.objects == o })]
}

// unlessNotInstalled is nil where the error means that there is no such kind, and that is known. A single answer is
// not believed: see [Source.missing].
func (s *Skew) unlessNotInstalled(o objects, err error) error {
	k := s.kindOf(o)
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	if k.maybeNotInstalled(err) && k.phase == NotInstalled {
		return nil
	}
	return err
}

// convertAll tells what counts of the objects of a list.
func convertAll[T any](c *collection[T], list runtime.Object) ([]T, error) {
	var all []T
	err := meta.EachListItem(list, func(object runtime.Object) error {
		counted, err := c.convert(object)
		if err == nil && counted.kept {
			all = append(all, counted.value)
		}
		return err
	})
	return all, err
}

// convertTo tells what counts of one object.
func convertTo[T any](c *collection[T], object runtime.Object) (T, error) {
	counted, err := c.convert(object)
	return counted.value, err
}
