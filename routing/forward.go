package routing

import "cmp"

// share is the part of a tag's workloads that a rollout sends elsewhere.
type share struct {
	rollout Rollout
	to      Resolution
}

// Mode returns who injects.
func (m *Mesh) Mode() Mode { return cmp.Or(m.mode, Guard) }

// UsesWorkloads reports whether a rollout is under way, so that [Decide] needs Pod.Workload.
func (m *Mesh) UsesWorkloads() bool { return len(m.shares) > 0 }

// PodFirst reports whether a pod's istio.io/rev beats that of its namespace anywhere.
func (m *Mesh) PodFirst() bool { return m.mode == Forward && m.podFirst }

// ResolveFor tells what name means as the value of istio.io/rev for the pods of a workload. It differs from
// [Mesh.Resolve] only for workloads that a rollout moves.
func (m *Mesh) ResolveFor(name, namespace string, w Workload) Resolution {
	if s, ok := m.shares[name]; ok && s.rollout.Includes(name, namespace, w) {
		return s.to
	}
	return m.Resolve(name)
}

// Routable reports whether pods can be sent to the revision's injector by the router. Revisions of plain Istio are
// not: their own webhooks inject.
func (r *Revision) Routable() bool { return r != nil && r.Origin == Sail && r.Unroutable == "" }

// forward replaces what the names of the Sail Operator's objects mean to pods by what they mean where the router
// injects. What plain Istio's webhooks serve stays as it is, and what owns a Gateway does, too: istiod decides that.
func (m *Mesh) forward(byName map[string]*Revision) {
	m.owners = m.names
	m.names = make(map[string]Resolution, len(m.owners))
	m.shares = map[string]share{}
	for name, r := range m.owners {
		switch {
		case r.Tag == nil && r.Revision.Origin == Sail && !r.Revision.Routable():
			r = Resolution{Meant: r.Revision, Reason: NotRoutable}
		case r.Tag != nil && r.Tag.Origin == Sail:
			r = m.follow(r.Tag, byName)
			if to, ok := rollOut(r, byName); ok {
				m.shares[name] = share{r.Tag.Rollout, to}
			}
		}
		m.names[name] = r
	}
}

// follow tells where a tag leads: to its target where that takes pods, else to the last good revision. It depends on
// the objects alone and on no history, so that every replica, a new one too, finds the same.
func (m *Mesh) follow(t *Tag, byName map[string]*Revision) Resolution {
	target, installed := ofSail(byName[t.Target]), ofSail(byName[t.Revision])
	if target.Routable() {
		return Resolution{Revision: target, Tag: t, Meant: target}
	}
	meant := target
	if meant == nil {
		meant = installed
	}
	if meant == nil {
		return Resolution{Tag: t, Reason: DanglingTag}
	}
	good := installed
	if !good.Routable() {
		good = m.newestUpTo(meant)
	}
	if good == nil {
		return Resolution{Tag: t, Meant: meant, Reason: NotRoutable}
	}
	return Resolution{Revision: good, Tag: t, Meant: meant, Followed: FollowedLastGood}
}

// newestUpTo finds the newest revision that takes pods, among those of the same Istio that are not newer than the
// limit: a proxy may not run ahead of its control plane when the tag comes back. nil where there is none, and where
// versions cannot be compared.
func (m *Mesh) newestUpTo(limit *Revision) *Revision {
	if limit.Istio == "" || limit.Order == 0 {
		return nil
	}
	var best *Revision
	for i := range m.revisions { // in order of name, so that a full tie has an answer, too
		r := &m.revisions[i]
		if r.Istio != limit.Istio || !r.Routable() || r.Order == 0 || r.Order > limit.Order {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(r.Order, best.Order), r.Created.Compare(best.Created)) > 0 {
			best = r
		}
	}
	return best
}

// rollOut tells what the tag means to the share of its rollout, and false where that is the same as for the rest.
// base is what it means for the rest.
func rollOut(base Resolution, byName map[string]*Revision) (Resolution, bool) {
	t := base.Tag
	if t.Rollout.Percent == 0 {
		return base, false
	}
	r := ofSail(byName[t.Rollout.Revision])
	switch {
	case r.Routable() && r == base.Revision:
		return base, false
	case r.Routable():
		return Resolution{Revision: r, Tag: t, Meant: r, Followed: FollowedRollout}, true
	case base.Revision == nil:
		return base, false
	}
	// The share stays where it would be without the rollout: that is the last good revision to send it to.
	base.Meant, base.Followed = r, FollowedLastGood
	return base, true
}

// ofSail leaves out revisions of plain Istio: no object of the Sail Operator leads there.
func ofSail(r *Revision) *Revision {
	if r == nil || r.Origin != Sail {
		return nil
	}
	return r
}
