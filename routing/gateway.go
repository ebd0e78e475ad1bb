package routing

// GatewayInput is all that a decision about the owner of a Gateway (gateway.networking.k8s.io) depends on.
type GatewayInput struct {
	Mesh      *Mesh
	Namespace Namespace
	// Revision is the label istio.io/rev of the Gateway.
	Revision Label
}

// DecideGateway tells which revision deploys and configures a Gateway (istiod's tag watcher,
// pkg/revisions/tag_watcher.go). The rules are not those of pods: the Gateway's own label beats the namespace's,
// istio-injection has no say, and an empty value falls through to the default revision. Inject means that a
// revision owns the Gateway, Unresolvable that none does: it is then never programmed, or its proxies stay at
// the version they have.
func DecideGateway(in GatewayInput) Decision {
	want := wish{rule: DefaultOwner, name: DefaultRevision}
	switch {
	case in.Revision.named():
		want = wish{rule: GatewayRevision, name: in.Revision.Value}
	case !in.Revision.Present && in.Namespace.Revision.named():
		want = wish{rule: NamespaceRevision, name: in.Namespace.Revision.Value}
	}
	d := Decision{Rule: want.rule, Wanted: want.name}
	found, reason := lookUp(in.Mesh, want, in.Mesh.owner(want.name))
	if found == (Resolution{Reason: UnknownRevision}) && want.rule != DefaultOwner {
		// A deactivated revision has lost its name for pods alone: its istiod still knows itself by it.
		found.Revision = in.Mesh.revision(want.name)
	}
	if found.Tag != nil {
		d.Tag = found.Tag.Name
	}
	if found.Revision == nil {
		d.Action, d.Reason = Unresolvable, reason
		return d
	}
	d.Action, d.Reason = Inject, want.rule
	d.Revision, d.Version = found.Revision.Name, found.Revision.Version
	return d
}
