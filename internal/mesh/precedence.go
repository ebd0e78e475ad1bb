package mesh

import (
	"context"
	"reflect"

	"github.com/revision-router/revision-router/routing"
)

// SetPrecedence replaces the rules that flag namespaces. Of a namespace no more labels are kept than routing reads, so
// that all of them are listed anew; until that is done the snapshot is that of the old rules. It has an effect in
// routing.Forward only.
func (s *Source) SetPrecedence(p routing.Precedence) {
	old := s.watched.precedence.Swap(&p)
	if s.watched.forwarding == nil || reflect.DeepEqual(*old, p) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		// A kind that is not running yet, or between two runs, begins with the new rules.
		if k.objects == objects(s.watched.namespaces) && k.restart != nil {
			k.restart()
		}
	}
}

// restartable gives the kind's next run a context that ends it early, so that another one lists all objects anew.
func (s *Source) restartable(ctx context.Context, k *kind) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	k.restart = cancel
	s.mu.Unlock()
	return ctx, cancel
}
