package skew

import "github.com/revision-router/revision-router/routing"

// tags finds a revision tag whose target cannot work.
//
// Source: Sail Operator, controllers/istiorevisiontag: RefNotFound for a target that is missing,
// and "IstioRevisionTag cannot reference a remote IstioRevision". A target that is being deleted takes the tag's
// webhook with it: pods are then refused by a Service that is gone.
func tags(k *check) []violation {
	t, ok := k.change.New.(Tag)
	if k.change.Operation == Delete || !ok {
		return nil
	}
	old, _ := k.change.Old.(Tag)
	if k.change.Operation == Update && old.TargetKind == t.TargetKind && old.TargetName == t.TargetName {
		return nil
	}
	target := Ref{Kind: Kind(t.TargetKind), Name: t.TargetName}
	problem, todo := k.after.targetProblem(target)
	if problem == "" {
		return nil
	}
	return []violation{{
		rule: TagTarget,
		what: k.subject() + " points at " + target.String() + ", which " + problem + ".",
		todo: todo, objects: []Ref{t.Ref(), target},
	}}
}

// targetProblem is what is wrong with the target of a tag; empty where nothing is.
func (v *view) targetProblem(target Ref) (problem, todo string) {
	const (
		deleting = "is being deleted"
		remote   = "is remote: the operator makes no tag for it"
		missing  = "does not exist"
	)
	switch o := v.mesh.find(target).(type) {
	case Istio:
		switch {
		case o.Deleting:
			return deleting, "Point it at an Istio or IstioRevision that stays"
		case o.Remote || v.anyRemote(v.refTargets(string(KindIstio), o.Name)):
			return remote, "Create the tag with istioctl tag set, or label the namespaces with the revision itself"
		}
		return "", ""
	case Revision:
		switch {
		case o.Origin == routing.Webhook:
			return missing, "Create it first, or point the tag at one that exists"
		case o.Deleting:
			return deleting, "Point it at an Istio or IstioRevision that stays"
		case o.Remote:
			return remote, "Create the tag with istioctl tag set, or label the namespaces with the revision itself"
		}
		return "", ""
	}
	return missing, "Create it first, or point the tag at one that exists"
}

func (v *view) anyRemote(names []string) bool {
	for _, name := range names {
		if p := v.plane(name); p != nil && p.remote {
			return true
		}
	}
	return false
}
