package skew

import "github.com/revision-router/revision-router/routing"

// gatewayOwners finds Gateways that no revision would adopt.
//
// Source: istio, pkg/revisions/tag_watcher.go, istio#51101 and #55392: an unlabelled Gateway
// with RevisionBased and no tag "default" is never programmed, and one that was keeps serving at its old version
// after the old istiod is gone. An own label that names nothing is UnknownRevisionLabel.
func gatewayOwners(k *check) []violation {
	if k.change.Operation == Delete {
		return nil
	}
	var orphans []Ref
	switch o := k.change.New.(type) {
	case Gateway:
		if k.after.orphan(o) && o.Revision.Value == "" {
			old, existed := k.change.Old.(Gateway)
			if !existed || !k.before.orphan(old) {
				orphans = append(orphans, o.Ref())
			}
		}
	case Namespace:
		for _, g := range k.after.mesh.Gateways {
			if g.Namespace == o.Name && !g.Deleting && k.after.orphan(g) && !k.before.orphan(g) {
				orphans = append(orphans, g.Ref())
			}
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	sortRefs(orphans)
	v := violation{
		rule: GatewayOwner,
		what: "no revision would adopt " + some(refNames(orphans)) + ": without " + routing.LabelRevision +
			" on Gateway or namespace it takes the default revision, and nothing is named default.",
		objects: orphans, soft: k.after.routing.Empty(),
	}
	if v.soft {
		v.todo = "Install the control plane"
	} else {
		k.adopt(&v, orphans)
	}
	if ns, ok := k.after.routing.Namespace(orphans[0].Namespace); ok && ns.Revision.Value != "" {
		v.what = "no revision would adopt " + some(refNames(orphans)) + ": " + routing.LabelRevision + "=" + ns.Revision.Value +
			" of namespace " + ns.Name + " names none."
	}
	return []violation{v}
}

// orphan reports whether the Gateway is one for Istio and no revision owns it.
func (v *view) orphan(g Gateway) bool {
	return v.owned(g) && v.owner(g).Action == routing.Unresolvable
}

// adopt says which label gives the Gateways an owner.
func (k *check) adopt(v *violation, orphans []Ref) {
	names := k.after.known(k.after.newest(func(*plane) bool { return false }))
	v.todo = "Label the Gateway " + routing.LabelRevision + " with one of " + some(names) + ", or create an IstioRevisionTag default"
	if k.change.is(KindGateway) {
		v.steps, v.instead = []string{k.asks(names[0])}, true
		return
	}
	for _, g := range orphans {
		v.steps = append(v.steps, on("label", g)+" "+routing.LabelRevision+"="+names[0]+" --overwrite")
	}
}
