package skew

import (
	"reflect"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// Operation is what is done to an object; the words are those of an AdmissionRequest.
type Operation string

// The operations.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)

// Kind is the kind of an object that rules look at.
type Kind string

// The kinds.
const (
	KindIstio         Kind = "Istio"
	KindRevision      Kind = "IstioRevision"
	KindTag           Kind = "IstioRevisionTag"
	KindCNI           Kind = "IstioCNI"
	KindZTunnel       Kind = "ZTunnel"
	KindGateway       Kind = "Gateway"
	KindNamespace     Kind = "Namespace"
	KindService       Kind = "Service"
	KindServiceEntry  Kind = "ServiceEntry"
	KindWorkloadEntry Kind = "WorkloadEntry"
	KindPod           Kind = "Pod"

	KindAuthorizationPolicy Kind = "AuthorizationPolicy"
	KindHTTPRoute           Kind = "HTTPRoute"
	// KindGatewayClass names a target of an AuthorizationPolicy; no change is about one.
	KindGatewayClass Kind = "GatewayClass"
)

// Ref names an object, with the version that a finding is about; empty where none is.
type Ref struct {
	Kind      Kind
	Namespace string
	Name      string
	Version   string
}

// String returns kind and name as messages write them, such as "Gateway bookinfo/waypoint".
func (r Ref) String() string {
	if r.Namespace != "" {
		return string(r.Kind) + " " + r.Namespace + "/" + r.Name
	}
	return string(r.Kind) + " " + r.Name
}

// Object is one of [Istio], [Revision], [Tag], [CNI], [ZTunnel], [Gateway], [Namespace], [Consumer] and [Attachment], as
// a value.
type Object interface {
	// Ref names the object.
	Ref() Ref
	// beingDeleted: a deletion timestamp is set.
	beingDeleted() bool
	// spec is the object without its status, so that two of them can be compared.
	spec() Object
}

// Tag is an IstioRevisionTag as the object of a change.
type Tag struct {
	routing.Tag
	// Share is the annotation [routing.AnnotationRollout] as it is written.
	Share routing.Label
}

// Ref implements [Object].
func (o Istio) Ref() Ref { return Ref{Kind: KindIstio, Name: o.Name, Version: o.Version} }

// Ref implements [Object].
func (o Revision) Ref() Ref { return Ref{Kind: KindRevision, Name: o.Name, Version: o.Version} }

// Ref implements [Object].
func (o Tag) Ref() Ref { return Ref{Kind: KindTag, Name: o.Name} }

// Ref implements [Object].
func (o CNI) Ref() Ref { return Ref{Kind: KindCNI, Name: o.Name, Version: o.Version} }

// Ref implements [Object].
func (o ZTunnel) Ref() Ref { return Ref{Kind: KindZTunnel, Name: o.Name, Version: o.Version} }

// Ref implements [Object].
func (g Gateway) Ref() Ref { return Ref{Kind: KindGateway, Namespace: g.Namespace, Name: g.Name} }

// Ref implements [Object].
func (n Namespace) Ref() Ref { return Ref{Kind: KindNamespace, Name: n.Name} }

// Ref implements [Object].
func (c Consumer) Ref() Ref {
	if c.Kind == KindNamespace {
		return Ref{Kind: KindNamespace, Name: c.Name}
	}
	return Ref{Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}
}

func (o Istio) beingDeleted() bool     { return o.Deleting }
func (o Revision) beingDeleted() bool  { return o.Deleting }
func (o Tag) beingDeleted() bool       { return o.Deleting }
func (o CNI) beingDeleted() bool       { return o.Deleting }
func (o ZTunnel) beingDeleted() bool   { return o.Deleting }
func (g Gateway) beingDeleted() bool   { return g.Deleting }
func (n Namespace) beingDeleted() bool { return n.Deleting }
func (c Consumer) beingDeleted() bool  { return false }

func (o Istio) spec() Object     { o.Active, o.Observed = "", false; return o }
func (o Revision) spec() Object  { o.Istiod, o.Ready = Rollout{}, NotObserved; return o }
func (o Tag) spec() Object       { o.Revision = ""; return o }
func (o CNI) spec() Object       { o.DaemonSet = Rollout{}; return o }
func (o ZTunnel) spec() Object   { o.DaemonSet = Rollout{}; return o }
func (g Gateway) spec() Object   { return g }
func (n Namespace) spec() Object { return n }
func (c Consumer) spec() Object  { return c }

// Change is one write.
type Change struct {
	Operation Operation
	// Subresource is empty for the object itself. A write of a subresource, status above all, is never judged.
	Subresource string
	// Old is the object before an update or a delete, New the one after a create or an update. An Old that is
	// nil is looked up in the mesh by the name of New. What an object's status says is taken from Old and the mesh.
	Old, New Object
	// User is the user name of the request.
	User string
	// Override is the annotation [AnnotationOverride] of New, or of Old for a delete.
	Override routing.Label
	// DryRun changes nothing about the findings: a dry run has to tell what the real write would meet.
	DryRun bool
}

// object is what the change is about.
func (c Change) object() Object {
	if c.New != nil && c.Operation != Delete {
		return c.New
	}
	return c.Old
}

// exempt reports whether nothing about the change is judged. Each case fails open on purpose: a mesh that is
// wrong already must stay repairable and removable.
func (c Change) exempt(m *Mesh) bool {
	o := c.object()
	if o == nil || c.Subresource != "" {
		return true
	}
	if c.Operation == Delete {
		// Whoever deletes what is in a terminating namespace helps it to end.
		return c.Old.beingDeleted() || m.terminating(c.Old.Ref().Namespace)
	}
	if c.New.beingDeleted() {
		return true
	}
	if c.Operation != Update {
		return false
	}
	before, after := c.Old.spec(), c.New.spec()
	old, isNamespace := before.(Namespace)
	if n, ok := after.(Namespace); ok && isNamespace && !m.selectsNamespaces() {
		before, after = old.istioLabels(), n.istioLabels()
	}
	return reflect.DeepEqual(before, after)
}

// selectsNamespaces reports whether a label of a Namespace that is not Istio's can matter.
func (m *Mesh) selectsNamespaces() bool {
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			if l.From == fromSelector {
				return true
			}
		}
	}
	return false
}

// istioLabels is the namespace with Istio's labels alone.
func (n Namespace) istioLabels() Namespace {
	kept := map[string]string{}
	for _, key := range []string{
		routing.LabelInjection, routing.LabelRevision, LabelDataplaneMode, LabelUseWaypoint, LabelUseWaypointNamespace,
	} {
		if value, ok := n.Labels[key]; ok {
			kept[key] = value
		}
	}
	n.Labels = kept
	return n
}

// overrideReason returns the reason of the override annotation, empty where there is none.
func (c Change) overrideReason() string { return strings.TrimSpace(c.Override.Value) }

// completed fills in Old from the mesh, and what New cannot know from Old. An update of an object that nobody
// knows is a creation.
func (c Change) completed(m *Mesh) Change {
	c.Old, c.New = value(c.Old), value(c.New)
	if c.Old != nil && c.New != nil && reflect.TypeOf(c.Old) != reflect.TypeOf(c.New) {
		c.Old = nil // no object changes its kind
	}
	if c.Operation != Create && c.Old == nil && c.New != nil {
		c.Old = m.find(c.New.Ref())
	}
	if c.Operation == Update && c.Old == nil {
		c.Operation = Create
	}
	if c.Operation == Update {
		c.New = withStatus(c.Old, c.New)
	}
	return c
}

// value dereferences pointers, which implement [Object] as well as the values do.
func value(o Object) Object {
	v := reflect.ValueOf(o)
	if !v.IsValid() || v.Kind() != reflect.Pointer {
		return o
	}
	if v.IsNil() {
		return nil
	}
	elem, ok := reflect.TypeAssert[Object](v.Elem())
	if !ok {
		return nil
	}
	return elem
}

// withStatus gives New the status that Old, an object of the same type, has: a write of the object itself cannot
// change it.
func withStatus(before, after Object) Object {
	switch o := before.(type) {
	case Istio:
		if n, ok := after.(Istio); ok {
			n.Active = o.Active
			// The operator has yet to see a new version: Active belongs to the old one until it has.
			n.Observed = o.Observed && o.Version == n.Version && o.strategy() == n.strategy()
			return n
		}
	case Revision:
		if n, ok := after.(Revision); ok {
			n.Istiod, n.Ready = o.running(), o.Ready
			return n
		}
	case Tag:
		if n, ok := after.(Tag); ok {
			n.Revision = o.Revision
			return n
		}
	case CNI:
		if n, ok := after.(CNI); ok {
			n.DaemonSet = o.DaemonSet
			return n
		}
	case ZTunnel:
		if n, ok := after.(ZTunnel); ok {
			n.DaemonSet = o.DaemonSet
			return n
		}
	}
	return after
}

// running is the rollout, and where there is none, what the condition Ready says about the version as it is now.
func (o Revision) running() Rollout {
	if o.Istiod.Found || o.Ready != Ready {
		return o.Istiod
	}
	return Rollout{Found: true, Version: o.Version, Observed: true, Pods: 1, Updated: 1, Ready: 1}
}

func (o Istio) strategy() Strategy {
	if o.Strategy == RevisionBased {
		return RevisionBased
	}
	return InPlace
}
