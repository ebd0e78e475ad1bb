package skew

import (
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
		rule:    NameConflict,
		what:    k.subject() + " has the name of " + p.String() + p.because() + ", which is older and keeps it.",
		todo:    "Choose another name, or move the users of the revision and let it go first",
		steps:   k.before.leave(p, k.before.newest(p.itself)),
		objects: []Ref{t.Ref(), p.ref()},
	}
	if !p.live() {
		v.todo = "Choose another name, or wait until the revision is gone"
	}
	return []violation{v}
}

// revisionName judges the name of a revision that is new, or new for the Istio.
func (k *check) revisionName(name, istio string) []violation {
	if slices.ContainsFunc(k.before.mesh.Tags, func(t routing.Tag) bool { return t.Name == name && t.Origin != routing.Webhook }) {
		tag := Ref{Kind: KindTag, Name: name}
		return []violation{{
			rule: NameConflict,
			what: k.subject() + " needs a revision named " + name + ", but there is an " + tag.String() +
				", which is older and keeps the name.",
			todo: "Choose another name, or delete the tag once nothing uses it", objects: []Ref{k.change.New.Ref(), tag},
		}}
	}
	p := k.before.plane(name)
	if p == nil || istio == "" || p.istio == istio || p.istio == "" && !p.pending {
		return nil
	}
	return []violation{{
		rule: NameConflict,
		what: k.subject() + " needs a revision named " + name + ", which belongs to Istio " + p.istio + ".",
		todo: "Choose another name for the Istio", objects: []Ref{k.change.New.Ref(), p.ref()},
	}}
}
