// Package skew decides whether a write to an Istio mesh makes the distance between its versions worse than the
// policy allows, and whether it breaks a reference that the mesh depends on.
//
// It is pure: [Check] maps a [Mesh], one [Change] and a [Policy] to a list of [Finding], and imports nothing but the
// standard library and package routing. The webhook, the offline check and the plan of an upgrade ask the same
// function.
//
// # Versions
//
// Only major and minor count ([Version]). A version is read from spec.version, from the label
// app.kubernetes.io/version of Deployments, DaemonSets and pods, and from image tags; never from the name of an
// object. What cannot be read is unknown: it is compared with nothing, and the change that brings it in is warned
// (UnknownVersion).
//
// # Control planes
//
// A control plane is an IstioRevision, or the one that an Istio asks for and that the operator has yet to create. It
// is live while it is an Istio's active one (by status, and by spec until the operator has observed that), or while
// a namespace, pod, revision tag, Gateway or ZTunnel leads to it; the share of a tag's rollout counts as well. At any moment it claims several versions:
//
//   - what is declared: the Istio's version where it is updated in place, and the IstioRevision's;
//   - what runs: the versions of istiod's pods, or of its Deployment once every pod is of the newest template;
//   - while a rollout is unfinished and its pods are not known, or while nothing of it runs: the minor before.
//
// A component has to fit all claims: it is neither ahead of the lowest nor too far behind the highest. So a
// component follows a control plane only once that runs. The last kind of claim is an assumption, and refuses
// nothing but an update of IstioCNI or ZTunnel, which could follow too early: a component that is created beside a
// control plane that starts is part of an installation. Where no control plane was ever observed to run (manifests
// without status, the first seconds of an installation), and for a remote one, declared versions are all there is.
// With controlPlaneVersion: Declared they are all that counts.
//
// # Components
//
// IstioCNI and ZTunnel are judged against every live control plane, in what they declare and in what their pods run;
// pods of the data plane, and images that Gateways pin, against their own control plane only. Control planes are
// never compared with each other, except that a gap between two live ones must leave some version for IstioCNI and
// ZTunnel (SingletonSqueeze).
//
// # What "worse" means
//
// A pair is one version of a component and one claim of a control plane. Its distance is the number of minors by
// which it is outside of what is allowed, ahead and behind apart; 0 where it fits. A change violates a rule when the
// distance of some pair is larger after it than before. A pair that could not exist before is measured by what it
// continues: a new claim of a control plane by what that one declared, a control plane that becomes live by the
// worst of its Istio's live ones, a Gateway with another owner by its owners so far; anything else by 0. Hence:
//
//   - what is wrong already refuses no unrelated write, no patch version, and no repair, complete or not;
//   - a change that repairs one pair and makes another worse is refused for the other.
//
// The step of a control plane in place is measured from what it runs, and for references "worse" means: wrong after
// the change, and before it right or another reference.
//
// # What is never judged
//
// Writes of a subresource; updates that change nothing but status, finalizers or metadata that no rule reads; any
// write of an object that is being deleted; deletions in a namespace that is being deleted; the deletion of an
// IstioRevision whose Istio is gone or going.
// Operators, the garbage collector and the namespace controller are warned only ([Finding].Excused). The annotation
// revision-router.io/override with a reason turns denials into warnings ([Finding].Overridden).
//
// Pods are not judged here. A pod that is created by hand with the label of a revision that nothing else uses makes
// that revision live without any rule being asked, and a pod that starts while its control plane is being rolled
// back may get the version that is about to go.
package skew
