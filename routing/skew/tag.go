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
	problem := k.after.targetProblem(target)
	if problem == "" {
		return nil
	}
	v := violation{
		rule: TagTarget, what: k.subject() + " points at " + target.String() + ", which " + problem + ".",
		objects: []Ref{t.Ref(), target},
	}
	if target.Kind == "" || target.Name == "" {
		v.what, v.objects = k.subject()+" points at nothing: its targetRef "+problem+".", v.objects[:1]
	}
	k.retarget(&v, t, problem)
	return []violation{v}
}

const (
	noTarget       = "names no Istio and no IstioRevision"
	targetDeleting = "is being deleted"
	targetRemote   = "is remote: the operator makes no tag for it"
	targetMissing  = "does not exist"
)

// retarget says what the tag can point at.
func (k *check) retarget(v *violation, t Tag, problem string) {
	target := Ref{Kind: Kind(t.TargetKind), Name: t.TargetName}
	v.instead = true
	if problem == targetRemote {
		to := t.TargetName
		if names := k.after.refTargets(t.TargetKind, t.TargetName); len(names) > 0 {
			to = names[0]
		}
		v.todo = "Create the tag with istioctl, or label the namespaces with the revision itself"
		v.steps = []string{"istioctl tag set " + t.Name + " --revision " + to}
		return
	}
	to, ok := k.after.pointable(t.Name, target)
	if !ok {
		k.installTarget(v, target)
		return
	}
	v.todo, v.steps = "Point it at one that exists", []string{k.patches(targetRef(to))}
	if problem == targetDeleting {
		v.todo = "Point it at one that stays"
	}
}

// installTarget says how there comes to be something that the tag can point at.
func (k *check) installTarget(v *violation, target Ref) {
	istio := Ref{Kind: KindIstio, Name: "default"}
	if target.Kind == KindIstio && target.Name != "" {
		istio = target
	}
	v.todo, v.instead = "Create an Istio first", istio != target
	if _, exists := k.after.mesh.find(istio).(Istio); exists {
		v.steps = append(v.steps, "kubectl wait --for=delete istio/"+istio.Name+" --timeout=5m")
	}
	v.steps = append(v.steps, install(istio.Name))
	if v.instead {
		v.steps = append(v.steps, k.patches(targetRef(istio)))
	}
}

// targetProblem is what is wrong with the target of a tag; empty where nothing is.
func (v *view) targetProblem(target Ref) string {
	if target.Kind == "" || target.Name == "" {
		return noTarget
	}
	switch o := v.mesh.find(target).(type) {
	case Istio:
		switch {
		case o.Deleting:
			return targetDeleting
		case o.Remote || v.anyRemote(v.refTargets(string(KindIstio), o.Name)):
			return targetRemote
		}
		return ""
	case Revision:
		switch {
		case o.Origin == routing.Webhook:
			return targetMissing
		case o.Deleting:
			return targetDeleting
		case o.Remote:
			return targetRemote
		}
		return ""
	}
	return targetMissing
}

func (v *view) anyRemote(names []string) bool {
	for _, name := range names {
		if p := v.plane(name); p != nil && p.remote {
			return true
		}
	}
	return false
}
