package skew

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// find returns the object of that name, nil where there is none.
func (m *Mesh) find(r Ref) Object {
	switch r.Kind {
	case KindIstio:
		return pick(m.Istios, r)
	case KindRevision:
		return pick(m.Revisions, r)
	case KindTag:
		for _, t := range m.Tags {
			if t.Name == r.Name {
				return asObject(t)
			}
		}
	case KindCNI:
		if m.CNI != nil {
			return *m.CNI
		}
	case KindZTunnel:
		if m.ZTunnel != nil {
			return *m.ZTunnel
		}
	case KindGateway:
		return pick(m.Gateways, r)
	case KindNamespace:
		return pick(m.Namespaces, r)
	case KindAuthorizationPolicy, KindHTTPRoute:
		return pick(m.Attachments, r)
	default:
		return pick(m.Consumers, r)
	}
	return nil
}

// put returns the mesh with the object in it, in place of the one of the same name. The receiver stays as it is.
func (m *Mesh) put(o Object) *Mesh {
	after := *m
	switch o := o.(type) {
	case Istio:
		after.Istios = append(drop(m.Istios, o.Ref()), o)
	case Revision:
		after.Revisions = append(drop(m.Revisions, o.Ref()), o)
	case Tag:
		after.Tags = append(m.withoutTag(o.Name), o.stored())
	case CNI:
		after.CNI = &o
	case ZTunnel:
		after.ZTunnel = &o
	case Gateway:
		after.Gateways = append(drop(m.Gateways, o.Ref()), o)
	case Namespace:
		after.Namespaces = append(drop(m.Namespaces, o.Ref()), o)
	case Consumer:
		after.Consumers = append(drop(m.Consumers, o.Ref()), o)
	case Attachment:
		after.Attachments = append(drop(m.Attachments, o.Ref()), o)
	}
	return &after
}

// remove returns the mesh without the object. The receiver stays as it is.
func (m *Mesh) remove(r Ref) *Mesh {
	after := *m
	switch r.Kind {
	case KindIstio:
		after.Istios = drop(m.Istios, r)
	case KindRevision:
		after.Revisions = drop(m.Revisions, r)
	case KindTag:
		after.Tags = m.withoutTag(r.Name)
	case KindCNI:
		after.CNI = nil
	case KindZTunnel:
		after.ZTunnel = nil
	case KindGateway:
		after.Gateways = drop(m.Gateways, r)
	case KindNamespace:
		after.Namespaces = drop(m.Namespaces, r)
	case KindAuthorizationPolicy, KindHTTPRoute:
		after.Attachments = drop(m.Attachments, r)
	default:
		after.Consumers = drop(m.Consumers, r)
	}
	return &after
}

// without returns the mesh without what is in the namespace, which goes with it. What is left of it would otherwise be
// judged as if it stayed behind without the labels of its namespace. The receiver stays as it is.
func (m *Mesh) without(namespace string) *Mesh {
	after := *m
	after.Gateways = slices.DeleteFunc(slices.Clone(m.Gateways), func(g Gateway) bool { return g.Namespace == namespace })
	after.Consumers = slices.DeleteFunc(slices.Clone(m.Consumers), func(c Consumer) bool { return c.Namespace == namespace })
	after.Workloads = slices.DeleteFunc(slices.Clone(m.Workloads), func(w Workload) bool { return w.Namespace == namespace })
	after.Attachments = slices.DeleteFunc(slices.Clone(m.Attachments), func(a Attachment) bool { return a.Namespace == namespace })
	return &after
}

// terminating reports whether the namespace is being deleted, and everything in it with it.
func (m *Mesh) terminating(namespace string) bool {
	ns, ok := m.find(Ref{Kind: KindNamespace, Name: namespace}).(Namespace)
	return ok && ns.Deleting
}

func (m *Mesh) withoutTag(name string) []routing.Tag {
	return slices.DeleteFunc(slices.Clone(m.Tags), func(t routing.Tag) bool { return t.Name == name })
}

// pick returns the object that r names, as an Object, nil where there is none.
func pick[T Object](list []T, r Ref) Object {
	for _, o := range list {
		if sameName(o.Ref(), r) {
			return o
		}
	}
	return nil
}

// drop returns a copy of the list without the object that r names, with room for one more.
func drop[T Object](list []T, r Ref) []T {
	kept := make([]T, 0, len(list)+1)
	for _, o := range list {
		if !sameName(o.Ref(), r) {
			kept = append(kept, o)
		}
	}
	return kept
}

func sameName(a, b Ref) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name
}
