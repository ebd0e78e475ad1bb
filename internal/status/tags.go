package status

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// tags lists the revision tags and how many of their workloads are where they lead.
func (b *builder) tags() {
	reach := b.reach()
	for i := range b.Mesh.Tags() {
		t := &b.Mesh.Tags()[i]
		out := Tag{Name: t.Name, Origin: t.Origin, Wants: b.wants(t), Namespaces: []string{}}
		if t.TargetName != "" {
			out.Target = t.TargetKind + "/" + t.TargetName
		}
		b.lead(&out, t)
		if s := reach[t.Name]; s != nil {
			out.Share = *s
		}
		out.Share.Revision, out.Share.Percent = t.Rollout.Revision, t.Rollout.Percent
		for _, n := range b.Skew.Namespaces {
			if ns, _ := b.Mesh.Namespace(n.Name); asked(ns) == t.Name && !n.Deleting {
				out.Namespaces = append(out.Namespaces, n.Name)
			}
		}
		slices.Sort(out.Namespaces)
		b.report.Tags = append(b.report.Tags, out)
	}
}

// wants is the revision that the target of a tag means now.
func (b *builder) wants(t *routing.Tag) string {
	switch {
	case t.Target != "":
		return t.Target
	case t.TargetKind == string(skew.KindRevision):
		return t.TargetName
	case t.TargetKind != string(skew.KindIstio):
		return ""
	}
	for _, o := range b.Skew.Istios {
		if o.Name == t.TargetName && o.Active != "" {
			return o.Active
		}
	}
	for _, p := range b.state.ControlPlanes {
		if p.Istio == t.TargetName && p.Active {
			return p.Name
		}
	}
	return ""
}

// lead tells where a tag leads and why.
func (b *builder) lead(out *Tag, t *routing.Tag) {
	found := b.Mesh.Resolve(t.Name)
	if found.Tag == nil {
		out.State, out.Why = Shadowed, "the revision "+t.Name+" has the same name and comes first"
		return
	}
	out.Followed = found.Followed
	if found.Revision == nil {
		out.State, out.Why = Dangling, b.dangles(found, t)
		return
	}
	out.Revision, out.Version = found.Revision.Name, found.Revision.Version
	out.State = Following
	switch {
	case found.Followed == routing.FollowedLastGood && found.Meant != nil:
		out.State = Lagging
		out.Why = "revision " + found.Meant.Name + " takes no pods: " + routing.ExplainUnroutable(found.Meant.Unroutable)
	case out.Wants != "" && out.Wants != out.Revision:
		out.State = Lagging
		out.Why = "its target means " + out.Wants + ": the operator has yet to move the webhook of the tag"
	}
	if t.Rollout.Set() && b.Mesh.Mode() != routing.Forward && out.Why == "" {
		out.Why = "its rollout has no effect: the router does not inject"
	}
}

func (b *builder) dangles(found routing.Resolution, t *routing.Tag) string {
	switch {
	case found.Meant != nil:
		return "revision " + found.Meant.Name + " takes no pods: " + routing.ExplainUnroutable(found.Meant.Unroutable)
	case t.Revision != "":
		return "it points at revision " + t.Revision + ", which does not exist"
	case t.TargetName != "":
		return "its target, the " + t.TargetKind + " " + t.TargetName + ", has no revision"
	}
	return "it points at nothing"
}

// reach counts the workloads of each tag, and those that run where the tag sends them.
func (b *builder) reach() map[string]*Share {
	type key struct {
		tag string
		owner
	}
	type place struct{ reached, moved bool }
	places := map[key]place{}
	for _, d := range b.decided {
		if d.decision.Action != routing.Inject || d.decision.Tag == "" || d.role == skew.Ambient {
			continue
		}
		k := key{d.decision.Tag, d.owner()}
		at, known := places[k]
		if !known {
			at = place{true, true}
		}
		// A workload is there once all its pods are.
		at.reached = at.reached && d.proxied() && d.Runs.Revision == d.decision.Revision
		tag := b.Mesh.Resolve(d.decision.Wanted).Tag
		at.moved = at.moved && d.proxied() && tag != nil && tag.Rollout.Set() && d.Runs.Revision == tag.Rollout.Revision
		places[k] = at
	}
	shares := map[string]*Share{}
	for k, at := range places {
		if shares[k.tag] == nil {
			shares[k.tag] = &Share{}
		}
		s := shares[k.tag]
		s.Workloads++
		if at.reached {
			s.Reached++
		}
		if at.moved {
			s.Moved++
		}
	}
	return shares
}
