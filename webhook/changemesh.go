package webhook

import (
	"context"
	"fmt"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// LiveMeshGetter reads the mesh for a decision about a change: what there are few of from the API server at this
// moment, so that two writes within a millisecond are judged one after the other, the rest from the snapshot.
type LiveMeshGetter interface {
	LiveSkewMesh(ctx context.Context) (*skew.Mesh, error)
	// LiveGateways reads the Gateways of one namespace.
	LiveGateways(ctx context.Context, namespace string) ([]skew.Gateway, error)
	// LiveNamespace reads a namespace. One that does not exist is an error of which apierrors.IsNotFound is true.
	LiveNamespace(ctx context.Context, name string) (skew.Namespace, error)
	// Settle waits until the snapshot tells of what had happened before the call, a second at most.
	Settle(ctx context.Context) error
}

// judge gathers the mesh and checks the change against it. What of the mesh is not read live may be a moment old: whoever
// takes the last user of a revision away and then the revision, in one script, must not be told that it is still used, nor
// whoever waits with kubectl rollout status that the old pods still run. So a refusal that rests on such things is given only if
// they are still there a moment later. Where that look fails the first one counts: fail closed.
func judge(ctx context.Context, from LiveMeshGetter, change skew.Change, policy skew.Policy) ([]skew.Finding, error) {
	mesh, err := gatherMesh(ctx, from, change)
	if err != nil {
		return nil, err
	}
	findings := skew.Check(mesh, change, policy)
	if !skew.Denied(findings) || skew.Denied(skew.Check(withoutPods(mesh), change, policy)) {
		return findings, nil
	}
	if later := gatherLater(ctx, from, change); later != nil {
		return skew.Check(later, change, policy), nil
	}
	return findings, nil
}

// gatherLater is what the change is judged against a moment later, nil where that cannot be told.
func gatherLater(ctx context.Context, from LiveMeshGetter, change skew.Change) *skew.Mesh {
	if from.Settle(ctx) != nil {
		return nil
	}
	mesh, err := gatherMesh(ctx, from, change)
	if err != nil {
		return nil
	}
	return mesh
}

// withoutPods is the mesh without what comes and goes all the time, and which no live read asks for: what pods of Istio's own
// components run, workloads, and namespaces and others that name a revision, a tag or a waypoint.
func withoutPods(mesh *skew.Mesh) *skew.Mesh {
	bare := *mesh
	bare.Workloads, bare.Namespaces, bare.Consumers = nil, nil, nil
	bare.Revisions = slices.Clone(mesh.Revisions)
	for n := range bare.Revisions {
		bare.Revisions[n].Istiod.PodVersions = nil
	}
	if mesh.CNI != nil {
		cni := *mesh.CNI
		cni.DaemonSet.PodVersions, bare.CNI = nil, &cni
	}
	if mesh.ZTunnel != nil {
		ztunnel := *mesh.ZTunnel
		ztunnel.DaemonSet.PodVersions, bare.ZTunnel = nil, &ztunnel
	}
	return &bare
}

// gatherMesh reads what the change is judged against. A waypoint that the change names may have been created a
// moment ago, before the watch of Gateways has told of it, so those of its namespace are read as well. A namespace
// that is deleted takes nothing with it but its Gateways; without any, which is most of them, nothing else is read. For a
// policy or a route it is its namespace that names the waypoint, mostly, so that one is read too.
func gatherMesh(ctx context.Context, from LiveMeshGetter, change skew.Change) (*skew.Mesh, error) {
	if a, ok := change.New.(skew.Attachment); ok {
		return gatherAttached(ctx, from, a)
	}
	namespace, named := waypointNamespace(change.New)
	old, isNamespace := change.Old.(skew.Namespace)
	gone := isNamespace && change.Operation == skew.Delete
	if gone {
		namespace = old.Name
	}
	if !gone && !named {
		return from.LiveSkewMesh(ctx)
	}
	live, err := from.LiveGateways(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("the Gateways of namespace %s: %w", namespace, err)
	}
	if gone && len(live) == 0 {
		return &skew.Mesh{}, nil
	}
	mesh, err := from.LiveSkewMesh(ctx)
	if err != nil {
		return nil, err
	}
	return withGateways(mesh, namespace, live), nil
}

// withGateways is the mesh with other Gateways in a namespace.
func withGateways(mesh *skew.Mesh, namespace string, live []skew.Gateway) *skew.Mesh {
	fresh := *mesh
	fresh.Gateways = slices.DeleteFunc(slices.Clone(mesh.Gateways), func(g skew.Gateway) bool {
		return g.Namespace == namespace
	})
	fresh.Gateways = append(fresh.Gateways, live...)
	return &fresh
}

// gatherAttached reads what says whether a waypoint carries out a policy or a route: manifests of an application hold its
// namespace, its waypoint and its policies, and are written within milliseconds. The labels of Services are those of the
// snapshot: the worst that a moment's delay does there is one warning too many.
func gatherAttached(ctx context.Context, from LiveMeshGetter, a skew.Attachment) (*skew.Mesh, error) {
	mesh, err := from.LiveSkewMesh(ctx)
	if err != nil {
		return nil, err
	}
	ns, err := from.LiveNamespace(ctx, a.Namespace)
	if err != nil {
		return nil, err
	}
	fresh := *mesh
	fresh.Namespaces = slices.DeleteFunc(slices.Clone(mesh.Namespaces), func(n skew.Namespace) bool { return n.Name == ns.Name })
	fresh.Namespaces = append(fresh.Namespaces, ns)
	mesh = &fresh
	where := []string{a.Namespace}
	if other, named := waypointNamespace(ns); named && other != a.Namespace {
		where = append(where, other)
	}
	for _, namespace := range where {
		live, err := from.LiveGateways(ctx, namespace)
		if err != nil {
			return nil, fmt.Errorf("the Gateways of namespace %s: %w", namespace, err)
		}
		mesh = withGateways(mesh, namespace, live)
	}
	return mesh, nil
}

// waypointNamespace is where the Gateway is that the object names as its waypoint.
func waypointNamespace(o skew.Object) (namespace string, named bool) {
	var own string
	var waypoint, elsewhere routing.Label
	switch o := o.(type) {
	case skew.Namespace:
		own = o.Name
		waypoint = routing.LabelOf(o.Labels, skew.LabelUseWaypoint)
		elsewhere = routing.LabelOf(o.Labels, skew.LabelUseWaypointNamespace)
	case skew.Consumer:
		own, waypoint, elsewhere = o.Namespace, o.UseWaypoint, o.UseWaypointNamespace
	}
	if waypoint.Value == "" || waypoint.Value == "none" {
		return "", false
	}
	if elsewhere.Value != "" {
		return elsewhere.Value, true
	}
	return own, true
}
