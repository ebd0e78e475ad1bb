package skew

import (
	"cmp"
	"slices"
	"time"

	"github.com/revision-router/revision-router/routing"
)

// view is a mesh with everything worked out that the rules ask for.
type view struct {
	mesh    *Mesh
	routing *routing.Mesh
	// planes are the control planes of Sail, in order of name.
	planes []*plane
	// wanted is who asks for which name.
	wanted map[string]*users
	// ambient: something in the mesh is ambient, so that IstioCNI has no room ahead.
	ambient bool
	// created is the kind of an object that the cluster does not have yet; empty where there is none.
	created Kind
}

func newView(m *Mesh, p Policy) *view {
	v := &view{mesh: m}
	v.addRevisions()
	v.addIstios()
	slices.SortFunc(v.planes, func(a, b *plane) int { return cmp.Compare(a.name, b.name) })
	v.addNames()
	v.addUsers()
	if p.ControlPlaneVersion != Declared {
		v.addRunning()
	}
	v.ambient = v.anyAmbient()
	return v
}

// plane returns the control plane of that name, nil where there is none.
func (v *view) plane(name string) *plane {
	for _, p := range v.planes {
		if p.name == name {
			return p
		}
	}
	return nil
}

// live returns the control planes that the data plane has to fit.
func (v *view) live() []*plane {
	var list []*plane
	for _, p := range v.planes {
		if p.live() {
			list = append(list, p)
		}
	}
	return list
}

func (v *view) addRevisions() {
	for _, r := range v.mesh.Revisions {
		if r.Origin == routing.Webhook {
			continue
		}
		v.planes = append(v.planes, &plane{
			name: r.Name, istio: r.Istio, namespace: r.Namespace, remote: r.Remote,
			claims: []claim{{source: byRevision, version: Parse(r.Version)}},
		})
	}
}

// addIstios marks the active revisions, and adds those that the operator has yet to create: between the write of
// an Istio and its reconciliation both what status says and what spec asks for are live.
func (v *view) addIstios() {
	for _, o := range v.mesh.Istios {
		if o.Deleting {
			continue
		}
		active := v.plane(o.Active)
		if active != nil {
			active.ownedBy(o)
		}
		if o.Observed && active != nil && o.strategy() == RevisionBased {
			continue
		}
		target := v.plane(o.target())
		if target == nil {
			target = &plane{name: o.target(), istio: o.Name, namespace: o.Namespace, pending: true, remote: o.Remote}
			v.planes = append(v.planes, target)
		}
		target.ownedBy(o)
		wanted := Parse(o.Version)
		for i := range target.claims {
			target.claims[i].superseded = !o.Observed && target.claims[i].version != wanted
		}
		target.claims = append(target.claims, claim{source: byIstio, version: wanted})
	}
}

// ownedBy makes the plane an active one of the Istio. Manifests without owner references do not tell otherwise whose
// it is.
func (p *plane) ownedBy(o Istio) {
	p.active = true
	if p.istio == "" {
		p.istio = o.Name
	}
}

// addNames builds the resolution of istio.io/rev. Revisions that are about to exist count, as the youngest of their
// name, and so does the target of a tag that the operator has yet to reconcile.
func (v *view) addNames() {
	o := routing.Objects{}
	for _, r := range v.mesh.Revisions {
		o.Revisions = append(o.Revisions, r.Revision)
	}
	farFuture := time.Unix(1<<40, 0)
	for _, p := range v.planes {
		if p.pending {
			o.Revisions = append(o.Revisions, routing.Revision{
				Name: p.name, Version: p.version().String(), Istio: p.istio, Namespace: p.namespace,
				Origin: routing.Sail, Remote: p.remote, Created: farFuture,
			})
		}
	}
	for _, t := range v.mesh.Tags {
		if targets := v.tagTargets(t); t.Revision == "" && len(targets) > 0 {
			t.Revision = targets[0]
		}
		o.Tags = append(o.Tags, t)
	}
	for _, n := range v.mesh.Namespaces {
		o.Namespaces = append(o.Namespaces, n.routing())
	}
	v.routing = routing.NewMesh(o)
}

// addRunning adds what the control planes run. Where nothing was ever observed of any of them, as in manifests
// without status or right after the first installation, what is declared has to do: there is nothing that could
// be ahead or behind of anything else.
func (v *view) addRunning() {
	for _, p := range v.planes {
		p.claims = append(p.claims, v.runningClaims(p)...)
	}
}

// observed reports whether anything is known of what any control plane runs.
func (v *view) observed() bool {
	return slices.ContainsFunc(v.mesh.Revisions, func(r Revision) bool {
		return r.Origin != routing.Webhook && !r.Remote && (r.Istiod.Found || r.Ready != NotObserved)
	})
}

// rollsOut reports whether pods of a control plane are still to be replaced, or none runs yet, whichever version the policy
// looks at.
func (v *view) rollsOut(p *plane) bool {
	declared := p.version()
	return slices.ContainsFunc(v.runningClaims(p), func(c claim) bool {
		return c.source == noPods || c.version.Known() && declared.Known() && c.version.MinorsAhead(declared) != 0
	})
}

func (v *view) runningClaims(p *plane) []claim {
	if p.remote || !v.observed() {
		// Nothing here can tell what another cluster runs, and Ready may never become True.
		return nil
	}
	for _, r := range v.mesh.Revisions {
		if r.Name != p.name || r.Origin == routing.Webhook {
			continue
		}
		rollout := r.running()
		if rollout.Found && (rollout.Ready > 0 || len(rollout.PodVersions) > 0) {
			return rollout.claims()
		}
	}
	low, ok := p.lowest(claim.declared)
	if !ok {
		return nil
	}
	return []claim{{source: noPods, version: low.next(-1)}}
}

// tagTargets are the revisions that a tag points at: where its webhook points today, and what its spec asks for.
func (v *view) tagTargets(t routing.Tag) []string {
	var names []string
	if t.Revision != "" {
		names = append(names, t.Revision)
	}
	for _, name := range v.refTargets(t.TargetKind, t.TargetName) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// refTargets are the planes that a targetRef of a tag or of ZTunnel means.
func (v *view) refTargets(kind, name string) []string {
	var names []string
	for _, p := range v.planes {
		if kind == string(KindRevision) && p.name == name || kind == string(KindIstio) && p.istio == name && p.active {
			names = append(names, p.name)
		}
	}
	return names
}

func (v *view) anyAmbient() bool {
	m := v.mesh
	return m.ZTunnel != nil || m.CNI != nil && m.CNI.Ambient ||
		slices.ContainsFunc(m.Istios, func(o Istio) bool { return o.Ambient && !o.Deleting }) ||
		slices.ContainsFunc(m.Revisions, func(r Revision) bool { return r.Ambient }) ||
		slices.ContainsFunc(m.Namespaces, Namespace.ambient)
}
