package events

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/routing"
)

// The reasons of Events about tags, besides [routing.DanglingTag].
const (
	// TagHeldBack: the tag leads to another revision than its target, because that takes no pods.
	TagHeldBack = "TagHeldBack"
	// RolloutUnreadable: the annotation of the tag's rollout cannot be read, and moves nobody.
	RolloutUnreadable = "RolloutUnreadable"
	// TagRecovered: what was told of the tag before is over.
	TagRecovered = "TagRecovered"
)

const (
	// lookEvery is the time between two looks at the tags.
	lookEvery = 10 * time.Second
	// grace is how long a tag may be in a state before anybody is told: one that was created or moved a moment ago is the
	// operator's to bring in order.
	grace = 30 * time.Second
	// repeat is how often what is still so is told again, well within the hour for which Events are kept.
	repeat = 30 * time.Minute
)

// Tags looks at the revision tags and tells of those that lead elsewhere than they should. All fields are required.
type Tags struct {
	// Mesh is nil before the first snapshot.
	Mesh  func() *routing.Mesh
	Tell  func(Event)
	Clock clock.WithTicker

	seen map[tagState]*sighting
}

// tagState is one thing that can be wrong with a tag.
type tagState struct{ name, uid, reason string }

type sighting struct{ since, told time.Time }

// Start looks until the context is done.
func (t *Tags) Start(ctx context.Context) error {
	ticker := t.Clock.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			t.look()
		}
	}
}

func (t *Tags) look() {
	m := t.Mesh()
	if m == nil {
		return
	}
	now := t.Clock.Now()
	still := map[tagState]*sighting{}
	there := map[string]routing.Tag{}
	for _, tag := range m.Tags() {
		if tag.Origin != routing.Sail || tag.Deleting {
			continue // those of istioctl are labels of a webhook configuration, and nobody's object
		}
		there[tag.UID] = tag
		for reason, message := range wrong(m, tag) {
			state := tagState{tag.Name, tag.UID, reason}
			s := t.seen[state]
			if s == nil {
				s = &sighting{since: now}
			}
			still[state] = s
			if now.Sub(s.since) >= grace && (s.told.IsZero() || now.Sub(s.told) >= repeat) {
				s.told = now
				t.Tell(aboutTag(tag, reason, message))
			}
		}
	}
	for state, s := range t.seen {
		tag, ok := there[state.uid]
		if still[state] == nil && ok && !s.told.IsZero() {
			t.Tell(aboutTag(tag, TagRecovered, recovered(m, tag, state.reason)))
		}
	}
	t.seen = still
}

// wrong lists what is wrong with a tag, by reason.
func wrong(m *routing.Mesh, tag routing.Tag) map[string]string {
	list := map[string]string{}
	if tag.RolloutProblem != "" {
		list[RolloutUnreadable] = RolloutUnreadable + ": the rollout of the tag moves nobody: " + tag.RolloutProblem +
			". Next: kubectl annotate istiorevisiontag " + tag.Name + " " + routing.AnnotationRollout + "=REVISION=PERCENT --overwrite"
	}
	found := m.Resolve(tag.Name)
	switch {
	case found.Tag == nil: // a revision of its name comes first
	case found.Revision == nil:
		list[string(found.Reason)] = string(found.Reason) + ": " + routing.ExplainTag(m, tag.Name) +
			". Pods that ask for it have no sidecar to get. Next: kubectl get istiorevisiontag " + tag.Name + " -o yaml"
	case found.Followed == routing.FollowedLastGood:
		list[TagHeldBack] = TagHeldBack + ": " + routing.ExplainTag(m, tag.Name) + ". Next: router status"
	}
	return list
}

func recovered(m *routing.Mesh, tag routing.Tag, reason string) string {
	if where := routing.ExplainTag(m, tag.Name); where != "" {
		return reason + " is over: " + where
	}
	return reason + " is over"
}

func aboutTag(tag routing.Tag, reason, message string) Event {
	return Event{
		Object: Object{APIVersion: sailAPIVersion, Kind: "IstioRevisionTag", Name: tag.Name, UID: tag.UID},
		State:  true, Warning: reason != TagRecovered, Reason: reason, Action: "Resolve", Message: message,
	}
}

// sailAPIVersion is that of the Sail Operator's stable objects.
const sailAPIVersion = "sailoperator.io/v1"
