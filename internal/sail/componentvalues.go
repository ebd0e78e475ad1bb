package sail

import "errors"

// CNIValues are the Helm values of IstioCNI that are read, with the leniency of [Values].
type CNIValues struct {
	// Ambient is cni.ambient.enabled.
	Ambient bool

	problem error
}

// Problem tells which values could not be read, and is nil where all could.
func (v *CNIValues) Problem() error { return v.problem }

// UnmarshalJSON never fails on JSON that is well formed: see [Values].
func (v *CNIValues) UnmarshalJSON(data []byte) error {
	*v = CNIValues{}
	r := valueReader{}
	root := r.object("spec.values", data)
	r.read(r.child(r.child(root, "cni"), "ambient"), "enabled", &v.Ambient)
	v.problem = errors.Join(r.problems...)
	return nil
}

// ZTunnelValues are the Helm values of ZTunnel that decide which control plane it connects to and what an update
// does to connections, with the leniency of [Values].
type ZTunnelValues struct {
	// Revision is ztunnel.revision, for a ZTunnel without targetRef.
	Revision string
	// UpdateStrategy is ztunnel.updateStrategy.type.
	UpdateStrategy string
	// TerminationGracePeriodSeconds is ztunnel.terminationGracePeriodSeconds; 0 where it is absent.
	TerminationGracePeriodSeconds int64

	problem error
}

// Problem tells which values could not be read, and is nil where all could.
func (v *ZTunnelValues) Problem() error { return v.problem }

// UnmarshalJSON never fails on JSON that is well formed: see [Values].
func (v *ZTunnelValues) UnmarshalJSON(data []byte) error {
	*v = ZTunnelValues{}
	r := valueReader{}
	ztunnel := r.child(r.object("spec.values", data), "ztunnel")
	r.read(ztunnel, "revision", &v.Revision)
	r.read(r.child(ztunnel, "updateStrategy"), "type", &v.UpdateStrategy)
	r.read(ztunnel, "terminationGracePeriodSeconds", &v.TerminationGracePeriodSeconds)
	v.problem = errors.Join(r.problems...)
	return nil
}
