package skew

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/revision-router/revision-router/routing"
)

// State is what there is to say about a mesh as it is, without any change.
type State struct {
	// ControlPlanes are those of Sail, in order of name, with the ones that the operator has yet to create.
	ControlPlanes []ControlPlane
	// Gateways are those that a revision has to deploy, in order of namespace and name.
	Gateways []OwnedGateway
	// Observations are in the order of [Rules], then of What.
	Observations []Observation
}

// Observation is something that is wrong with the mesh as it is.
type Observation struct {
	Rule Rule
	// Level is Deny or Warn, from the policy. Nothing refuses a state: Deny says that a change that leads here from a
	// mesh that fits would be.
	Level Level
	// What says in whole sentences which objects and versions are wrong.
	What string
	// Advice says what to do, without a full stop; empty where there is nothing to say. Steps are its commands, in order.
	Advice string
	Steps  []string
	// Objects are those that it is about.
	Objects []Ref
}

// OwnedGateway is a Gateway whose proxies a revision deploys, or would if there were one.
type OwnedGateway struct {
	Ref   Ref
	Class string
	// Waypoint: it takes the traffic of whoever names it in istio.io/use-waypoint.
	Waypoint bool
	Owner    routing.Decision
	// Image is the version that the Gateway pins; the unknown one where istiod chooses.
	Image Version
	// Consumers counts the namespaces and objects that name it as their waypoint.
	Consumers int
	Deleting  bool
}

// ControlPlane is one control plane and who uses it.
type ControlPlane struct {
	// Name is that of its IstioRevision, Istio the one that owns it; empty where a user made it.
	Name, Istio, Namespace string
	// Declared is what it is to run.
	Declared Version
	// Active: it is, or is about to become, the active revision of its Istio. Live: something has to fit it, because
	// it is active or used.
	Active, Live bool
	// Pending: the Istio asks for it, and there is no IstioRevision yet.
	Pending, Remote bool
	Users           Users
}

// Users is who leads to a control plane.
type Users struct {
	Namespaces, Tags []string
	Gateways         []Ref
	// Workloads run with it, or name it on their own; Pods are theirs.
	Workloads, Pods int
	ZTunnel         bool
	// ByDefault: every namespace without labels leads there (enableNamespacesByDefault).
	ByDefault bool
}

// Examine judges the mesh as it is by the rules that speak of a state: those about the distance of versions, and those
// about references. What only a step can violate (InPlaceStep, InUseDelete, WaypointInUseDelete, ZTunnelDrain) is
// never found. Like [Check] it is pure, and the order of the mesh's slices does not matter.
func Examine(m *Mesh, p Policy) State {
	e := examiner{view: newView(m, p), policy: p}
	var state State
	for _, own := range e.view.planes {
		state.ControlPlanes = append(state.ControlPlanes, own.exported())
	}
	e.versions()
	e.references()
	state.Gateways, state.Observations = e.gateways(), e.observations()
	return state
}

// examiner collects what is wrong with one mesh.
type examiner struct {
	view   *view
	policy Policy
	found  []violation
}

// observations applies the policy.
func (e *examiner) observations() []Observation {
	var list []Observation
	for _, v := range e.found {
		o := Observation{
			Rule: v.rule, Level: e.policy.Level(v.rule), What: v.what, Advice: v.todo, Steps: v.steps, Objects: v.objects,
		}
		if o.Level == Off {
			continue
		}
		if v.soft {
			o.Level = Warn
		}
		list = append(list, o)
	}
	slices.SortStableFunc(list, func(a, b Observation) int {
		_, x := a.Rule.info()
		_, y := b.Rule.info()
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.What, b.What))
	})
	return list
}

func (e *examiner) gateways() []OwnedGateway {
	var list []OwnedGateway
	for _, g := range e.view.mesh.Gateways {
		if !e.view.owned(g) {
			continue
		}
		owned := OwnedGateway{
			Ref: g.Ref(), Class: g.Class, Waypoint: e.view.waypoint(g), Owner: e.view.owner(g), Deleting: g.Deleting,
			Consumers: len(e.view.consumersOf(g)),
		}
		if g.ProxyImage != "" {
			owned.Image = ImageVersion(g.ProxyImage)
		}
		list = append(list, owned)
	}
	slices.SortFunc(list, func(a, b OwnedGateway) int { return compareRefs(a.Ref, b.Ref) })
	return list
}

func (p *plane) exported() ControlPlane {
	u := p.users.sorted()
	owners := map[Ref]bool{}
	for _, w := range u.workloads {
		owners[Ref{Kind: Kind(w.Kind), Namespace: w.Namespace, Name: w.Name}] = true
	}
	return ControlPlane{
		Name: p.name, Istio: p.istio, Namespace: p.namespace, Declared: p.version(),
		Active: p.active, Live: p.live(), Pending: p.pending, Remote: p.remote,
		Users: Users{
			Namespaces: unique(u.namespaces), Tags: unique(u.tags), Gateways: u.gateways,
			Workloads: len(owners), Pods: u.pods(), ZTunnel: u.ztunnel, ByDefault: u.byDefault,
		},
	}
}

// SameRelease reports whether two versions are of one release, whatever variant of its images: v1.30.3 and
// 1.30.3-distroless are, a release and its pre-release are not. Unknown versions are of no release.
func (v Version) SameRelease(other Version) bool {
	if !v.known || !other.known || v.ordinal() != other.ordinal() || v.patch != other.patch {
		return false
	}
	return v.suffix == other.suffix || !preRelease(v.suffix) && !preRelease(other.suffix)
}

// writing asks the rules of a change what they would say if the object were written as it is, over one that had
// nothing to say about.
func (e *examiner) writing(before, after Object) *check {
	return &check{
		change: Change{Operation: Update, Old: before, New: after}, policy: e.policy, before: e.view, after: e.view,
	}
}

func (e *examiner) add(found ...violation) { e.found = append(e.found, found...) }

func (e *examiner) references() {
	m := e.view.mesh
	for _, t := range m.Tags {
		if t.Deleting || t.Origin == routing.Webhook {
			continue
		}
		k := e.writing(Tag{Tag: routing.Tag{Name: t.Name}}, asObject(t)) // over one that points at nothing
		if target := e.view.plane(t.TargetName); t.TargetKind != string(KindRevision) || target == nil || !target.pending {
			e.add(tags(k)...)
		}
		e.add(rollouts(k)...)
		e.sharedName(t)
	}
	for _, n := range m.Namespaces {
		if n.Deleting {
			continue
		}
		k := e.writing(Namespace{Name: n.Name}, n)
		e.add(revisionLabels(k)...)
		e.add(injectionLabels(k)...)
		e.add(k.binding(n.waypoint(), nil)...)
	}
	for _, c := range m.Consumers {
		e.add(e.writing(nil, c).binding(c, nil)...)
	}
	for _, g := range m.Gateways {
		if g.Deleting {
			continue
		}
		k := e.writing(nil, g)
		e.add(revisionLabels(k)...)
		e.add(gatewayOwners(k)...)
		e.add(unknownVersions(k)...)
	}
	e.attachments()
	e.declarations()
}

// declarations looks at what declares a version.
func (e *examiner) declarations() {
	m := e.view.mesh
	for _, o := range m.Istios {
		if !o.Deleting {
			e.add(aliases(e.writing(nil, o))...)
			e.add(unknownVersions(e.writing(nil, o))...)
		}
	}
	for _, r := range m.Revisions {
		if r.Origin == routing.Sail && r.Istio == "" && !r.Deleting {
			e.add(unknownVersions(e.writing(nil, r))...)
		}
	}
	if m.CNI != nil && !m.CNI.Deleting {
		e.add(unknownVersions(e.writing(nil, *m.CNI))...)
	}
	if m.ZTunnel != nil && !m.ZTunnel.Deleting {
		e.add(unknownVersions(e.writing(nil, *m.ZTunnel))...)
	}
	for _, p := range e.view.planes {
		e.unreadable(p)
	}
}

// unreadable tells how much of the data plane nobody can judge, as with images by digest that the router never saw.
func (e *examiner) unreadable(p *plane) {
	workloads := p.unreadable()
	if len(workloads) == 0 {
		return
	}
	pods, objects := 0, []Ref{p.ref()}
	for _, w := range workloads {
		pods += w.Pods
		objects = append(objects, w.ref())
	}
	e.add(violation{
		rule: UnknownVersion, objects: objects,
		what: count(pods, "pod") + " of revision " + p.name + " tell" + third(pods) +
			" no version of the proxy: the skew is not judged.",
		todo: "Restart them while the router runs, which writes the version on them", steps: restart(workloads),
	})
}

func (p *plane) unreadable() []Workload {
	var list []Workload
	for _, w := range p.users.sorted().workloads {
		if w.Role != Ambient && w.Revision == p.name && !Parse(w.Version).Known() {
			list = append(list, w)
		}
	}
	return list
}

// sharedName finds a tag and a revision of one name: the younger of the two does not work (Sail Operator,
// pkg/validation), and which one that is decides where pods go.
func (e *examiner) sharedName(t routing.Tag) {
	p := e.view.plane(t.Name)
	if p == nil {
		return
	}
	tag, to := Ref{Kind: KindTag, Name: t.Name}, "the revision"
	if e.view.routing.Resolve(t.Name).Tag != nil {
		to = "the tag"
	}
	e.add(violation{
		rule: NameConflict, objects: []Ref{tag, p.ref()},
		what: tag.String() + " and " + p.String() + " have one name: " + routing.LabelRevision + "=" + t.Name +
			" leads to " + to + ", which is older.",
		todo: "Delete the one that is not meant", steps: []string{
			"kubectl get istiorevision/" + t.Name + " istiorevisiontag/" + t.Name + " -o " +
				strconv.Quote("custom-columns=KIND:.kind,CREATED:.metadata.creationTimestamp"),
		},
	})
}
