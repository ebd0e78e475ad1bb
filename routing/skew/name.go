package skew

import (
	"fmt"
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// names finds a revision and a revision tag of one name, and two Istios that want revisions of one name.
//
// Source: Sail Operator, pkg/validation (the older object keeps the name, the other one fails
// with NameAlreadyExists). The usual case is an Istio that goes from InPlace to RevisionBased: tag "default" cannot
// exist before revision "default" is gone, which its namespaces keep in use.
func names(k *check) []violation {
	if k.change.Operation == Delete {
		return nil
	}
	switch o := k.change.New.(type) {
	case Tag:
		if k.change.Operation == Create {
			return k.tagName(o)
		}
	case Revision:
		if k.change.Operation == Create {
			return k.revisionName(o.Name, "")
		}
	case Istio:
		if old, ok := k.change.Old.(Istio); !ok || old.target() != o.target() {
			return k.revisionName(o.target(), o.Name)
		}
	}
	return nil
}

// tagName judges a new tag.
func (k *check) tagName(t Tag) []violation {
	p := k.before.plane(t.Name)
	if p == nil {
		return nil
	}
	v := violation{
		rule: NameConflict, what: k.subject() + " cannot have the name of the older " + p.String() + p.because() + ".",
		todo: "Move the users of the revision and let it go first, or choose another name", objects: []Ref{t.Ref(), p.ref()},
	}
	gone := "kubectl wait --for=delete istiorevision/" + p.name + " --timeout=5m" // the operator prunes it
	if p.istio == "" {
		gone = on("delete", p.ref())
	}
	switch {
	case p.active:
		v.todo, v.instead = "Choose another name", true
		v.steps = []string{k.patches(rename(t.Name + "-tag"))}
	case !p.live():
		v.todo, v.steps = "Let the revision go first, or choose another name", []string{gone}
	default:
		v.steps = append(k.before.leave(p, k.before.newest(p.itself)), gone)
	}
	return []violation{v}
}

// rename is the body of a patch that gives a manifest another name.
func rename(to string) string { return fmt.Sprintf(`{"metadata":{"name":%q}}`, to) }

// revisionName judges the name of a revision that is new, or new for the Istio.
func (k *check) revisionName(name, istio string) []violation {
	if slices.ContainsFunc(k.before.mesh.Tags, func(t routing.Tag) bool { return t.Name == name && t.Origin != routing.Webhook }) {
		tag := Ref{Kind: KindTag, Name: name}
		return []violation{{
			rule: NameConflict,
			what: k.subject() + " needs a revision named " + name + ", but there is an " + tag.String() +
				", which is older and keeps the name.",
			todo: "Delete the tag once nothing uses it, or choose another name", steps: []string{on("delete", tag)},
			objects: []Ref{k.change.New.Ref(), tag},
		}}
	}
	p := k.before.plane(name)
	if p == nil || istio == "" || p.istio == istio || p.istio == "" && !p.pending {
		return nil
	}
	v := violation{
		rule: NameConflict,
		what: k.subject() + " needs a revision named " + name + ", which belongs to Istio " + p.istio + ".",
		todo: "Choose another name for the Istio", objects: []Ref{k.change.New.Ref(), p.ref()},
		steps: []string{k.patches(rename(istio + "-2"))}, instead: true,
	}
	if k.change.Operation == Update {
		v.todo, v.steps = "Keep its version and strategy, or choose others, so that it needs a name that is free", k.otherName()
	}
	return []violation{v}
}

// otherName is what the write of an Istio could say to need a revision of another name: the same version with the other
// strategy. Where that name is taken as well, the new version is called by its alias.
func (k *check) otherName() []string {
	o, _ := k.change.New.(Istio)
	strategy := RevisionBased
	if o.strategy() == RevisionBased {
		strategy = InPlace
	}
	other := o
	other.Strategy = strategy
	if p := k.before.plane(other.target()); p != nil && p.istio != o.Name {
		other.Strategy, other.Version = RevisionBased, Parse(o.Version).alias().String()
	}
	return []string{k.patches(fmt.Sprintf(`{"spec":{"version":%q,"updateStrategy":{"type":%q}}}`, other.Version, string(other.Strategy)))}
}
