package mesh

import (
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/cache"
)

// store hands what a reflector tells to the collection of the kind.
type store struct {
	source *Source
	kind   *kind
}

var (
	_ cache.ReflectorStore         = (*store)(nil)
	_ cache.ReflectorBookmarkStore = (*store)(nil)
	_ cache.TransformingStore      = (*store)(nil)
)

// Transformer makes the reflector keep no whole objects while it gathers the first list from a stream.
func (s *store) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return s.kind.objects.read(object) }
}

// Add implements cache.ReflectorStore.
func (s *store) Add(object any) error { return s.Update(object) }

// Update implements cache.ReflectorStore.
func (s *store) Update(object any) error {
	i, err := s.kind.objects.read(object)
	if err != nil {
		return err
	}
	s.apply(func() bool { return s.kind.objects.set(i) }, i)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *store) Delete(object any) error {
	i, err := s.kind.objects.read(object)
	if err != nil {
		return err
	}
	s.apply(func() bool { return s.kind.objects.remove(i.key) })
	return nil
}

// Replace implements cache.ReflectorStore. It is called with complete lists only.
func (s *store) Replace(list []any, _ string) error {
	items := make([]item, len(list))
	for n, object := range list {
		i, err := s.kind.objects.read(object)
		if err != nil {
			err = fmt.Errorf("take over the list of %s: %w", s.kind.name(), err)
			s.source.fail(s.kind, verbList, err) // the reflector begins anew, and tells nobody why
			return err
		}
		items[n] = i
	}
	s.source.intercept(s.kind.resource.Resource)
	s.source.update(func(now time.Time) func(logr.Logger) {
		s.kind.listed = true
		s.source.heardAt = now
		if s.kind.objects.replace(items) {
			s.source.changed(now)
		}
		return s.kind.follows(now)
	})
	s.report(items...)
	return nil
}

// Bookmark implements cache.ReflectorBookmarkStore: nothing has changed, and the watch is alive.
func (s *store) Bookmark(string) error {
	s.apply(func() bool { return false })
	return nil
}

// Resync implements cache.ReflectorStore. There is nothing to do.
func (s *store) Resync() error { return nil }

func (s *store) apply(change func() bool, items ...item) {
	s.source.intercept(s.kind.resource.Resource)
	s.source.update(func(now time.Time) func(logr.Logger) {
		s.source.heardAt = now
		if change() {
			s.source.changed(now)
			return s.problems(items)
		}
		return nil
	})
}

func (s *store) report(items ...item) {
	if line := s.problems(items); line != nil {
		line(s.source.log)
	}
}

// problems tells what of the objects could not be read.
func (s *store) problems(items []item) func(logr.Logger) {
	return func(log logr.Logger) {
		for _, i := range items {
			if i.problem != nil {
				log.Info("Values of an object cannot be read and count as unset",
					"kind", s.kind.name(), "name", i.key, "problem", i.problem.Error())
			}
		}
	}
}
