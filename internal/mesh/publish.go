package mesh

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/webhook/forward"
)

// snapshot is what is published, all at once.
type snapshot struct {
	mesh   *routing.Mesh
	istios []sail.Istio
	// injectors and overlaps are set in routing.Forward only.
	injectors map[string]forward.Injector
	overlaps  []sail.Overlap
	// skew and the parts that it was made from are those of a [Skew], which publishes nothing else.
	skew       *skew.Mesh
	parts      inventory.Parts
	generation uint64
	at         time.Time
	rebuild    time.Duration
	lag        time.Duration
}

// publishWhenDue builds snapshots until the context is done: the first change after a quiet time at once, then at
// most one in each interval.
func (s *Source) publishWhenDue(ctx context.Context) {
	var earliest time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stale:
		}
		if wait := earliest.Sub(s.clock.Now()); wait > 0 {
			s.sleep(ctx, wait)
		}
		if ctx.Err() == nil && s.publish() {
			earliest = s.clock.Now().Add(s.interval)
		}
	}
}

// publish builds a snapshot if one is due: something has changed, and every kind was once known in full. A kind
// that cannot be followed at the moment does not hold the others up.
func (s *Source) publish() bool {
	start := s.clock.Now()
	s.mu.Lock()
	if s.rebuild {
		s.adjust()
	}
	if !s.rebuild || slices.ContainsFunc(s.kinds, s.awaits) {
		s.mu.Unlock()
		return false
	}
	changedAt := s.changedAt
	s.rebuild, s.changedAt = false, time.Time{}
	build := s.copyKnown()
	s.mu.Unlock()

	next := build()
	next.generation = 1
	last := s.current.Load()
	if last != nil {
		next.generation = last.generation + 1
	}
	next.at = s.clock.Now()
	next.rebuild = next.at.Sub(start)
	if !changedAt.IsZero() {
		next.lag = next.at.Sub(changedAt)
	}
	s.current.Store(next)
	if last == nil {
		close(s.first)
	}
	s.onPublish(next.mesh, s.Stats())
	return true
}

// awaits reports whether the next snapshot has to wait for the kind. One that is local is waited for at the beginning
// only: a namespace that cannot be read must not keep the rest of the mesh from changing.
func (s *Source) awaits(k *kind) bool { return !k.synced && (!k.local || s.current.Load() == nil) }

// copyKnown copies what is known, and returns what makes a snapshot of the copy. The caller holds the lock, but not
// for the rest.
func (w *watched) copyKnown() (build func() *snapshot) {
	known, istios := w.inventory()
	if w.forwarding == nil {
		return func() *snapshot {
			return &snapshot{mesh: routing.NewMesh(known.Objects()), istios: istios}
		}
	}
	w.forwarding.complete(&known, w.revisions.values)
	webhooks, excluded := w.webhooks(), w.forwarding.excluded
	return func() *snapshot {
		known.Active = sail.ActiveRevisions(istios)
		injectors := known.Targets()
		m := routing.NewMesh(known.Objects())
		return &snapshot{mesh: m, istios: istios, injectors: injectors, overlaps: sail.Overlaps(m, webhooks, excluded)}
	}
}

// inventory copies what is known. The caller holds the lock.
func (w *watched) inventory() (sail.Inventory, []sail.Istio) {
	istios := slices.SortedFunc(maps.Values(w.istios.values), func(a, b sail.Istio) int {
		return cmp.Compare(a.Name, b.Name)
	})
	known := sail.Inventory{
		Tags:       valuesOf(w.tags),
		Istiods:    valuesOf(w.istiods),
		Namespaces: valuesOf(w.namespaces),
		Revisions:  make([]routing.Revision, 0, len(w.revisions.values)),
	}
	for _, r := range w.revisions.values {
		known.Revisions = append(known.Revisions, r.Revision)
	}
	for _, c := range w.configurations.values {
		if c.plain {
			known.Injectors = append(known.Injectors, c.injector)
		}
	}
	return known, istios
}

// webhooks are all injector webhooks of Istio's. The caller holds the lock.
func (w *watched) webhooks() []sail.Webhook {
	var all []sail.Webhook
	for _, c := range w.configurations.values {
		all = append(all, c.webhooks...)
	}
	return all
}

func valuesOf[T any](c *collection[T]) []T {
	return slices.AppendSeq(make([]T, 0, len(c.values)), maps.Values(c.values))
}
