package skew

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// rollouts finds a share of a tag's workloads that would be sent where they cannot go.
//
// It is this router's own annotation (docs/spec.md), so nobody else ever tells that it is misspelt: a value that cannot
// be read, or leads to no revision, moves nothing. Sail Operator, docs/deployment-models/multiple-mesh.adoc: every mesh
// has a namespace for its control plane and a root certificate of its own there. Workloads that are sent into another
// mesh lose their peers.
func rollouts(k *check) []violation {
	t, ok := k.change.New.(Tag)
	if !ok || k.change.Operation == Delete {
		return nil
	}
	problem := k.after.rolloutProblem(t)
	if problem == "" {
		return nil
	}
	if old, ok := k.change.Old.(Tag); ok && k.change.Operation == Update && t.continues(old) && k.before.rolloutProblem(old) != "" {
		return nil
	}
	rollout, err := routing.ParseRollout(t.Share.Value)
	v := violation{
		rule:    TagRollout,
		what:    k.subject() + " sends workloads to revision " + rollout.Revision + ", which " + problem + ".",
		objects: []Ref{t.Ref()}, instead: true,
	}
	if err != nil {
		v.what = k.subject() + " has an annotation " + routing.AnnotationRollout + " that " + problem + "."
	} else {
		v.objects = append(v.objects, Ref{Kind: KindRevision, Name: rollout.Revision})
	}
	v.todo, v.steps = "Take the annotation away", []string{k.edits("annotate", routing.AnnotationRollout+"-")}
	meant, _, _ := strings.Cut(t.Share.Value, "=")
	if names := k.after.rollable(t, meant); len(names) > 0 {
		share := routing.Rollout{Revision: names[0], Percent: cautious}
		if err == nil {
			share.Percent = rollout.Percent
		}
		v.todo = "Name one of " + some(names) + ", and a percentage"
		v.steps = []string{k.edits("annotate", routing.AnnotationRollout+"="+share.String()+" --overwrite")}
	}
	return []violation{v}
}

// cautious is the percentage that a message proposes where the user's own cannot be read.
const cautious = 10

// asObject is a tag of the mesh as a write of it would bring it.
func asObject(t routing.Tag) Tag {
	return Tag{Tag: t, Share: routing.Label{Value: t.Rollout.String(), Present: t.Rollout.Set()}}
}

// stored is the tag as the mesh holds it. An annotation that cannot be read sends nothing anywhere.
func (o Tag) stored() routing.Tag {
	o.Rollout = routing.Rollout{}
	if rollout, err := routing.ParseRollout(o.Share.Value); err == nil {
		o.Rollout = rollout
	}
	return o.Tag
}

// shares reports whether the tag sends a part of its workloads to the control plane, beside its target.
func (p *plane) shares(t routing.Tag) bool {
	return t.Rollout.Percent > 0 && t.Rollout.Revision == p.name
}

// sharesWith reports whether the changed object is a tag that sends a part of its workloads to the control plane.
func (k *check) sharesWith(p *plane) bool {
	t, ok := k.change.New.(Tag)
	return ok && p.shares(t.stored())
}

// continues reports whether the tag sends nothing anywhere that the old one did not.
func (o Tag) continues(old Tag) bool {
	if o.Share == old.Share {
		return true
	}
	now, err := routing.ParseRollout(o.Share.Value)
	was, failed := routing.ParseRollout(old.Share.Value)
	return err == nil && failed == nil && now.Revision == was.Revision && now.Percent <= was.Percent
}

// rolloutProblem is what is wrong with the rollout of a tag; empty where nothing is, or where there is none.
func (v *view) rolloutProblem(t Tag) string {
	if !t.Share.Present {
		return ""
	}
	rollout, err := routing.ParseRollout(t.Share.Value)
	if err != nil {
		return "means nothing: " + err.Error()
	}
	p := v.plane(rollout.Revision)
	if p == nil {
		return "is no IstioRevision"
	}
	if o, ok := v.mesh.find(p.ref()).(Revision); ok && o.Deleting {
		return "is being deleted"
	}
	if o, ok := v.mesh.find(Ref{Kind: KindIstio, Name: p.istio}).(Istio); ok && o.Deleting {
		return "goes with Istio " + p.istio + ", which is being deleted"
	}
	if p.remote {
		return "is remote: its injector is in another cluster"
	}
	return v.foreign(t, p)
}

// foreign says why the control plane is of another mesh than the target of the tag; empty where it is of the same, or
// where the target is not known. One Istio is one mesh, and so are the control planes of one namespace, which share its
// root certificate. Other signs are none: a meshID is seldom set, and nothing makes two of them differ.
func (v *view) foreign(t Tag, p *plane) string {
	home := ""
	for _, name := range v.refTargets(t.TargetKind, t.TargetName) {
		target := v.plane(name)
		switch {
		case target == nil:
		case target.istio != "" && target.istio == p.istio, target.namespace == p.namespace:
			return ""
		default:
			home = target.namespace
		}
	}
	if home == "" {
		return ""
	}
	return "is of another mesh: its control plane is in namespace " + p.namespace + ", that of the tag's target in namespace " + home
}

// rollable lists the revisions that the tag's workloads could go to, the closest to the given name first.
func (v *view) rollable(t Tag, to string) []string {
	var names []string
	for _, p := range v.planes {
		t.Share = routing.Label{Value: routing.Rollout{Revision: p.name}.String(), Present: true}
		if v.rolloutProblem(t) == "" {
			names = append(names, p.name)
		}
	}
	return closest(slices.Compact(names), to)
}
