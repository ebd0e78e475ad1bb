package skew

// aliases warns of a version alias with RevisionBased.
//
// Source: Sail Operator, getActiveRevisionName, and sail#2080: the revision is named after the version as it is
// written, so that its name stays when the alias moves, and the operator updates it in place, without a canary and
// without a write of the Istio. The fix under way there (sail#2262) names revisions after the resolved version.
func aliases(k *check) []violation {
	if k.change.Operation == Delete {
		return nil
	}
	switch o := k.change.New.(type) {
	case Istio:
		old, _ := k.change.Old.(Istio)
		if !aliased(o) || aliased(old) && old.Version == o.Version {
			return nil
		}
		return []violation{{
			rule: AliasWithRevisionBased,
			what: k.subject() + " is an alias: when it moves, the operator updates revision " + o.target() +
				" in place, despite RevisionBased.",
			todo:    "Name a version to get a new revision for every update",
			steps:   []string{k.patches(specVersion(Parse(o.Version).Minor() + ".<patch>"))},
			instead: true, objects: []Ref{o.Ref()},
		}}
	case Revision:
		old, _ := k.change.Old.(Revision)
		owner, _ := k.after.mesh.find(Ref{Kind: KindIstio, Name: o.Istio}).(Istio)
		if k.change.Operation != Update || old.Version == o.Version || !aliased(owner) {
			return nil
		}
		return []violation{{
			rule: AliasWithRevisionBased,
			what: k.subject() + " is updated in place from " + show(Parse(old.Version)) + ", because Istio " + owner.Name +
				" has the alias " + owner.Version + ".",
			todo: "Restart its workloads", steps: restart(k.after.plane(o.Name).users.sorted().workloads),
			objects: []Ref{o.Ref(), owner.Ref()},
		}}
	}
	return nil
}

func aliased(o Istio) bool { return o.strategy() == RevisionBased && Parse(o.Version).Alias() }
