package routing

import (
	"cmp"
	"slices"
	"time"
)

// Origin is where a revision or tag was read from.
type Origin string

// The origins.
const (
	// Sail: an IstioRevision or IstioRevisionTag of the Sail Operator.
	Sail Origin = "Sail"
	// Webhook: an injector webhook configuration of plain Istio or of istioctl tag, without a Sail object.
	Webhook Origin = "Webhook"
)

// Revision is one control-plane instance, by the name that labels use for it: "default" stands for the Helm
// revision "".
type Revision struct {
	Name string
	// Version as it was written, such as v1.30.3 or v1.32.0-alpha.1; empty when it is not known. It is read
	// from spec.version or from the istiod Deployment, never from Name: aliases, InPlace and users make names lie.
	Version string
	// Namespace of the control plane.
	Namespace string
	// Istio is the name of the Istio that owns the revision; empty when nothing does.
	Istio  string
	Origin Origin
	// Created and UID decide between a revision and a tag of one name: the older object wins, then the lower
	// UID (Sail Operator, pkg/validation).
	Created time.Time
	UID     string
	// Deleting: a deletion timestamp is set. istiod still injects until the object is gone.
	Deleting bool
	// Remote: the control plane runs in another cluster (profile remote).
	Remote bool
	// Deactivated: the revision's own webhooks match nothing, so that its name leads pods nowhere; tags still lead
	// to it. That is how istioctl tag set default leaves the default revision, and how it stays when the tag is
	// removed (istioctl/pkg/tag, DeactivateIstioInjectionWebhook). Only where Origin is Webhook.
	Deactivated bool
	// Unroutable is why no pod can be sent to the revision's injector. Only in [Forward], and where Origin is Sail.
	Unroutable Unroutable
	// Order ranks the versions of all revisions from 1: a newer version is higher, equal ones are equal. 0 where the
	// version is not known. Only in [Forward].
	Order     int
	Injection Injection
}

// Injection holds the values of a revision that change what istiod's injector and its webhooks do.
type Injection struct {
	// EnableNamespacesByDefault is sidecarInjectorWebhook.enableNamespacesByDefault. It has an effect only
	// while this is the default revision.
	EnableNamespacesByDefault bool
	// AutoInject is global.proxy.autoInject; empty means Istio's default, enabled.
	AutoInject string
	// NeverInject and AlwaysInject are sidecarInjectorWebhook.neverInjectSelector and alwaysInjectSelector.
	NeverInject, AlwaysInject []Selector
}

// Tag is a movable name for a revision.
type Tag struct {
	Name string
	// Revision is where the tag's webhook points today: status.istioRevision, or the label istio.io/rev of its
	// webhook configuration. Empty when it was never reconciled.
	Revision string
	// TargetKind (Istio or IstioRevision) and TargetName are what the tag's spec asks for. Empty for Webhook.
	TargetKind, TargetName string
	// Target is the revision that the spec's target means at the moment: the IstioRevision itself, or the active
	// revision of the Istio. Empty where there is none. Only in [Forward].
	Target string
	// Rollout sends a share of the tag's workloads elsewhere. Only in [Forward] does it have an effect.
	Rollout Rollout
	// RolloutProblem is why the rollout cannot be read, and moves nobody; empty where it can, or where there is none.
	RolloutProblem string

	Origin   Origin
	Created  time.Time
	UID      string
	Deleting bool
}

// Namespace holds the labels of a Namespace that Istio reads.
type Namespace struct {
	Name string
	// Injection is istio-injection, Revision is istio.io/rev.
	Injection, Revision Label
	// PodFirst: the policy's [Precedence] lets a pod's istio.io/rev beat that of the namespace. Only in [Forward] does
	// it have an effect: in [Guard] Istio's own webhooks rule.
	PodFirst bool
}

// NamespaceOf reads a Namespace's labels.
func NamespaceOf(name string, labels map[string]string) Namespace {
	return Namespace{
		Name:      name,
		Injection: LabelOf(labels, LabelInjection),
		Revision:  LabelOf(labels, LabelRevision),
	}
}

// Objects is what a [Mesh] is made from. [NewMesh] takes the slices over; the caller must not change them later.
type Objects struct {
	Revisions  []Revision
	Tags       []Tag
	Namespaces []Namespace
	// Mode is [Guard] where it is empty.
	Mode Mode
}

// Mesh is an immutable snapshot of the revisions, tags and namespaces of a cluster. It may be read by any
// number of goroutines. The zero value and nil are not valid; use [NewMesh].
type Mesh struct {
	// names is what istio.io/rev means on pods and namespaces, owners what it means to a Gateway. They differ only in
	// [Forward].
	names, owners map[string]Resolution
	// shares are the rollouts under way, by their tag.
	shares      map[string]share
	mode        Mode
	namespaces  map[string]Namespace
	revisions   []Revision
	tags        []Tag
	usesLabels  bool
	podFirst    bool
	autoDefault bool
}

// Resolution is what a name in istio.io/rev means.
type Resolution struct {
	// Revision is nil when the name leads to none.
	Revision *Revision
	// Tag is the tag that was followed; nil when the name is a revision's own.
	Tag *Tag
	// Reason is empty when Revision is set, otherwise UnknownRevision, DanglingTag or, in [Forward], NotRoutable.
	Reason Reason
	// Followed is what led to another revision than the tag's target, in [Forward].
	Followed Followed
	// Meant is the revision that would be followed if it took pods, in [Forward]; nil where it does not exist.
	Meant *Revision
}

// NewMesh builds the snapshot. For two objects of one name the answer does not depend on the order in which
// they are given: Sail's objects come before webhook configurations, then the older one wins, then the lower UID.
// A tag that was never reconciled comes last: it has no webhook, so that another object's of its name are in force.
func NewMesh(o Objects) *Mesh {
	m := &Mesh{
		names:      make(map[string]Resolution, len(o.Revisions)+len(o.Tags)),
		namespaces: make(map[string]Namespace, len(o.Namespaces)),
		revisions:  o.Revisions,
		tags:       o.Tags,
		mode:       o.Mode,
	}
	for _, ns := range o.Namespaces {
		m.namespaces[ns.Name] = ns
		m.podFirst = m.podFirst || ns.PodFirst
	}
	slices.SortFunc(m.revisions, func(a, b Revision) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), byAge(a.age(), b.age()))
	})
	slices.SortFunc(m.tags, func(a, b Tag) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), byReconciled(a, b), byAge(a.age(), b.age()))
	})
	m.revisions = slices.CompactFunc(m.revisions, func(a, b Revision) bool { return a.Name == b.Name })
	m.tags = slices.CompactFunc(m.tags, func(a, b Tag) bool { return a.Name == b.Name })
	m.index()
	return m
}

// index resolves every name once, so that a decision is a single look-up.
func (m *Mesh) index() {
	byName := make(map[string]*Revision, len(m.revisions))
	for i := range m.revisions {
		r := &m.revisions[i]
		byName[r.Name] = r
		if !r.Deactivated {
			m.names[r.Name] = Resolution{Revision: r}
		}
		if len(r.Injection.NeverInject)+len(r.Injection.AlwaysInject) > 0 {
			m.usesLabels = true
		}
	}
	for i := range m.tags {
		t := &m.tags[i]
		if own, ok := byName[t.Name]; ok && own.keepsName(t) {
			continue
		}
		// A tag never leads to another tag: istio.io/rev of its webhook names a revision (SEP2, no chaining).
		if target, ok := byName[t.Revision]; ok {
			m.names[t.Name] = Resolution{Revision: target, Tag: t}
		} else {
			m.names[t.Name] = Resolution{Tag: t, Reason: DanglingTag}
		}
	}
	m.owners = m.names
	if m.mode == Forward {
		m.forward(byName)
	}
	byDefault := m.names[DefaultRevision]
	asks := byDefault.Revision
	if asks == nil {
		// Its pods still ask for a sidecar while it takes none, and are then refused rather than passed over.
		asks = byDefault.Meant
	}
	m.autoDefault = asks != nil && asks.Injection.EnableNamespacesByDefault
}

// keepsName reports whether the revision's name leads to it and not to a tag of the same name.
func (r *Revision) keepsName(t *Tag) bool {
	if r.Deactivated {
		return false
	}
	if t.Revision == "" && r.Origin == Webhook {
		return true
	}
	return byAge(r.age(), t.age()) <= 0
}

// Resolve tells what name means as the value of istio.io/rev. In [Forward] it leaves rollouts out: see
// [Mesh.ResolveFor].
func (m *Mesh) Resolve(name string) Resolution {
	if r, ok := m.names[name]; ok {
		return r
	}
	return Resolution{Reason: UnknownRevision}
}

// owner tells what name means as the value of istio.io/rev of a Gateway.
func (m *Mesh) owner(name string) Resolution {
	if r, ok := m.owners[name]; ok {
		return r
	}
	return Resolution{Reason: UnknownRevision}
}

// Namespace returns the labels of the namespace as the snapshot knows them.
func (m *Mesh) Namespace(name string) (Namespace, bool) {
	ns, ok := m.namespaces[name]
	return ns, ok
}

// Revisions returns the revisions in order of name. The slice must not be changed.
func (m *Mesh) Revisions() []Revision { return m.revisions }

// Tags returns the tags in order of name. The slice must not be changed.
func (m *Mesh) Tags() []Tag { return m.tags }

// NamespaceCount returns how many namespaces the snapshot holds.
func (m *Mesh) NamespaceCount() int { return len(m.namespaces) }

// UsesPodLabels reports whether any revision has never- or alwaysInjectSelectors, so that [Decide] needs all
// labels of a pod and not only Istio's.
func (m *Mesh) UsesPodLabels() bool { return m.usesLabels }

// Empty reports whether the cluster holds no revision of any kind.
func (m *Mesh) Empty() bool { return len(m.revisions) == 0 }

// revision returns the revision of that very name, whether or not the name leads pods to it; nil when there is none.
func (m *Mesh) revision(name string) *Revision {
	at, ok := slices.BinarySearchFunc(m.revisions, name, func(r Revision, name string) int {
		return cmp.Compare(r.Name, name)
	})
	if !ok {
		return nil
	}
	return &m.revisions[at]
}

// age is what decides between objects of one name.
type age struct {
	origin  Origin
	created time.Time
	uid     string
}

func (r *Revision) age() age { return age{r.Origin, r.Created, r.UID} }
func (t *Tag) age() age      { return age{t.Origin, t.Created, t.UID} }

func byAge(a, b age) int {
	if a.origin != b.origin {
		// Sail first: the configurations of its revisions carry the same names as its objects.
		if a.origin == Sail {
			return -1
		}
		return 1
	}
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uid, b.uid))
}

// byReconciled puts tags that were never reconciled after those that were.
func byReconciled(a, b Tag) int {
	switch {
	case a.Revision != "" && b.Revision == "":
		return -1
	case a.Revision == "" && b.Revision != "":
		return 1
	}
	return 0
}
