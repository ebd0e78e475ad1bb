package mesh

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Phase is how well a kind can be followed.
type Phase string

// The phases.
const (
	// Connecting: the objects are being listed, or a watch is being opened, for the first time or again.
	Connecting Phase = "Connecting"
	// Following: the objects were listed, and a watch tells every change.
	Following Phase = "Following"
	// NotInstalled: the kind has no CustomResourceDefinition, and so no objects. It is looked for again every
	// second, by [Skew] every three.
	NotInstalled Phase = "NotInstalled"
	// Failing: the API server does not answer, or refuses. What was known last still counts.
	Failing Phase = "Failing"
)

// The verbs of the requests that follow a kind.
const (
	verbList  = "list"
	verbWatch = "watch"
)

// progress is how far following a kind has come. The lock of the source guards it.
type progress struct {
	phase Phase
	// listed: the collection holds what the last list told. watching: a watch is open. Both make it Following.
	listed, watching bool
	// synced: the kind was once known in full. It never becomes false again.
	synced bool
	// since is when the phase began; verb and err tell why it is Failing. reason is the API server's word for err.
	since  time.Time
	verb   string
	err    error
	reason metav1.StatusReason
}

// current reports whether what is known of the kind is the present state of the cluster.
func (p *progress) current() bool { return p.phase == Following || p.phase == NotInstalled }

// enter sets the phase and returns what to log: one line for each change, of the phase or of why it is Failing.
func (k *kind) enter(to Phase, now time.Time) func(logr.Logger) {
	from, reason := k.phase, apierrors.ReasonForError(k.err)
	if from == to && reason == k.reason {
		return nil
	}
	if from != to {
		k.phase, k.since = to, now
	}
	k.reason = reason
	if k.current() {
		k.synced, k.verb, k.err, k.reason = true, "", nil, metav1.StatusReasonUnknown
	}
	if to == Connecting {
		return nil // it happens all the time, and takes milliseconds
	}
	name, verb, err := k.name(), k.verb, k.err
	return func(log logr.Logger) {
		log = log.WithValues("kind", name)
		switch {
		case to == Failing:
			log.Info("Kind cannot be followed; what was known of it last still counts", "verb", verb, "err", err.Error())
		case to == NotInstalled:
			log.Info("Kind is not installed and counts as empty")
		case from == NotInstalled:
			log.Info("Kind was installed")
		case from == Failing:
			log.Info("Kind is followed again")
		}
	}
}

// update runs a change with the lock held, logs what it returns, and has a snapshot made if one is due.
func (s *Source) update(change func(now time.Time) func(logr.Logger)) {
	s.mu.Lock()
	line := change(s.clock.Now())
	s.mu.Unlock()
	if line != nil {
		line(s.log)
	}
	s.poke()
}

// closed notes that the watch is over. Another one may continue where it ended.
func (s *Source) closed(k *kind) {
	s.update(func(now time.Time) func(logr.Logger) { return k.lose(now) })
}

// ended notes that no watch can continue: the kind has to be listed anew, and until that is done, an open watch
// alone says nothing.
func (s *Source) ended(k *kind) {
	s.update(func(now time.Time) func(logr.Logger) {
		k.listed = false
		return k.lose(now)
	})
}

// lose notes that no watch is open. The caller holds the lock.
func (k *kind) lose(now time.Time) func(logr.Logger) {
	k.watching = false
	if k.phase != Following {
		return nil
	}
	return k.enter(Connecting, now)
}

// opened notes that a watch is open.
func (s *Source) opened(k *kind) {
	s.update(func(now time.Time) func(logr.Logger) {
		k.watching = true
		s.heardAt = now
		return k.follows(now)
	})
}

// follows enters Following where both halves of it are there. The caller holds the lock.
func (k *kind) follows(now time.Time) func(logr.Logger) {
	if !k.listed || !k.watching {
		return nil
	}
	return k.enter(Following, now)
}

// failed notes that a request failed. The collection stays as it is: it is better to decide by what was known
// last than by nothing.
func (s *Source) failed(ctx context.Context, k *kind, verb string, err error) {
	if ctx.Err() == nil {
		s.fail(k, verb, err)
	}
}

// fail is failed for what does not end with a context.
func (s *Source) fail(k *kind, verb string, err error) {
	s.update(func(now time.Time) func(logr.Logger) {
		k.watching, k.verb, k.err = false, verb, err
		return k.enter(Failing, now)
	})
}

// notInstalled empties the kind.
func (s *Source) notInstalled(k *kind) {
	s.update(func(now time.Time) func(logr.Logger) {
		k.listed, k.watching = false, false
		s.heardAt = now
		if k.objects.replace(nil) {
			s.changed(now)
		}
		return k.enter(NotInstalled, now)
	})
}

// wants says what is missing before the first snapshot; nil where nothing is. The caller holds the lock.
func (k *kind) wants() error {
	switch {
	case k.synced:
		return nil
	case apierrors.IsForbidden(k.err):
		return fmt.Errorf("%s: the router may not %s them: grant the verb %q on resource %q of API group %q to its "+
			"ServiceAccount, as the chart's ClusterRole does: %w",
			k.name(), k.verb, k.verb, k.resource.Resource, k.resource.Group, k.err)
	case k.err != nil:
		return fmt.Errorf("%s: cannot %s them: %w", k.name(), k.verb, k.err)
	}
	return fmt.Errorf("%s: not listed yet", k.name())
}

// listOptions adds the kind's selectors.
func (k *kind) listOptions(o metav1.ListOptions) metav1.ListOptions {
	o.LabelSelector, o.FieldSelector = k.selector, k.fields
	return o
}
