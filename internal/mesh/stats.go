package mesh

import "time"

// Stats describe the latest snapshot, and how well the cluster is followed. The zero value of a time means never,
// or not now.
type Stats struct {
	// Generation counts the snapshots, from 1. PublishedAt is when the latest was published: that it is long ago says
	// nothing by itself, since a snapshot is made only where something has changed.
	Generation  uint64
	PublishedAt time.Time
	// Rebuild is how long building it took. Lag is the time from the first change that it holds to its publication.
	Rebuild, Lag time.Duration
	// Revisions, Tags and Namespaces count what it holds.
	Revisions, Tags, Namespaces int
	// Workloads counts the owners of pods of the mesh, for each version and revision of their proxies, and Pods their
	// pods. Only [Skew.Stats] knows them.
	Workloads, Pods int
	// PendingSince is when the first change came that it does not hold.
	PendingSince time.Time
	// LastHeard is when the API server last told anything, be it that nothing has changed.
	LastHeard time.Time
	// StaleSince is since when at least one kind is not followed, so that the snapshot may miss changes.
	StaleSince time.Time
	// Kinds tells how each kind is followed, in a fixed order.
	Kinds []KindStats
}

// KindStats describe how a kind is followed.
type KindStats struct {
	// Name is the resource with its group, such as istiorevisions.sailoperator.io.
	Name  string
	Phase Phase
	// Since is when the phase began.
	Since time.Time
	// Objects counts what is known of the kind.
	Objects int
	// Verb is the request that fails, Err what it came to. Both are empty unless the kind is Failing.
	Verb string
	Err  error
}

// Stats returns the present figures.
func (s *Source) Stats() Stats {
	var out Stats
	if now := s.current.Load(); now != nil {
		out = Stats{Generation: now.generation, PublishedAt: now.at, Rebuild: now.rebuild, Lag: now.lag}
		if m := now.mesh; m != nil {
			out.Revisions, out.Tags, out.Namespaces = len(m.Revisions()), len(m.Tags()), m.NamespaceCount()
		}
		if m := now.skew; m != nil {
			out.Revisions, out.Tags, out.Namespaces = len(m.Revisions), len(m.Tags), len(m.Namespaces)
			out.Workloads, out.Pods = len(m.Workloads), podsOf(m.Workloads)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.PendingSince, out.LastHeard = s.changedAt, s.heardAt
	out.Kinds = make([]KindStats, 0, len(s.kinds))
	for _, k := range s.kinds {
		out.Kinds = append(out.Kinds, KindStats{
			Name: k.name(), Phase: k.phase, Since: k.since, Objects: k.objects.size(), Verb: k.verb, Err: k.err,
		})
		if !k.current() && (out.StaleSince.IsZero() || k.since.Before(out.StaleSince)) {
			out.StaleSince = k.since
		}
	}
	return out
}
