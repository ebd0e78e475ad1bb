package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// sight is a mesh at one moment.
type sight struct {
	mesh *routing.Mesh
	skew *skew.Mesh
	pods []status.Group
	// overlaps are the webhooks of Istio's in the way of a router that injects.
	overlaps []sail.Overlap
	notices  []string
}

// read returns the mesh of the files or the cluster as it is now.
func (o *statusOptions) read(ctx context.Context, in io.Reader) (*sight, error) {
	if o.source.offline() {
		return o.readFiles(ctx, in)
	}
	pods := status.NewInventory()
	l, err := o.podLister()
	if err != nil {
		return nil, err
	}
	set, err := o.readRest(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.list(ctx, func() { pods = status.NewInventory() }, func(p podRead) { pods.Add(p.pod) }); err != nil {
		return nil, err
	}
	return set.with(pods), nil
}

// clusterRead is what was read of a cluster besides its pods.
type clusterRead struct {
	set *manifest.Set
	// forward is what names lead to where the router injects; nil in guard mode.
	forward  *routing.Mesh
	overlaps []sail.Overlap
	notices  []string
}

// readRest reads the mesh of a cluster without its pods.
func (o *statusOptions) readRest(ctx context.Context) (clusterRead, error) {
	set, err := o.source.read(ctx, nil)
	if err != nil {
		return clusterRead{}, err
	}
	out := clusterRead{set: set, notices: limited(set.Warnings)}
	if o.mode != modeForward {
		return out, nil
	}
	source := o.source
	source.purpose = manifest.ForForwarding
	// Nothing that makes pods is needed, and the versions of plain Istio are known already.
	source.without = []string{
		"Pod", "ReplicationController", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "CronJob", "Job", "Gateway",
		"GatewayClass", "IstioCNI", "ZTunnel",
	}
	source.namespace = ""
	forward, err := source.read(ctx, nil)
	if err != nil {
		return clusterRead{}, err
	}
	out.forward, out.overlaps = forward.Mesh, overlapsIn(forward)
	out.notices = both(out.notices, forward.Warnings)
	return out, nil
}

// both joins what two readings say, each line once.
func both(first, second []string) []string {
	lines := slices.Clone(first)
	for _, line := range second {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return limited(lines)
}

// with joins what was read of a cluster with its pods.
func (r clusterRead) with(pods *status.Inventory) *sight {
	set := r.set
	parts, seen := pods.Parts(), set.SkewMesh()
	parts.Istios, parts.Namespaces = seen.Istios, seen.Namespaces
	parts.Gateways, parts.GatewayClasses, parts.Attachments = seen.Gateways, seen.GatewayClasses, seen.Attachments
	parts.Consumers = append(parts.Consumers, seen.Consumers...)
	// What plain Istio has was made of its webhooks and Deployments, and is made of them again.
	parts.Revisions = slices.DeleteFunc(slices.Clone(seen.Revisions), func(r skew.Revision) bool {
		return r.Origin == routing.Webhook
	})
	parts.Tags = slices.DeleteFunc(slices.Clone(seen.Tags), func(t routing.Tag) bool { return t.Origin == routing.Webhook })
	parts.Injectors = injectorsOf(set)
	for _, r := range manifest.All[inventory.Rollout](set) {
		parts.Rollouts = append(parts.Rollouts, r)
	}
	if seen.CNI != nil {
		parts.CNIs = []skew.CNI{*seen.CNI}
	}
	if seen.ZTunnel != nil {
		parts.ZTunnels = []skew.ZTunnel{*seen.ZTunnel}
	}
	out := &sight{mesh: r.forward, skew: parts.Mesh(), pods: pods.Groups(), overlaps: r.overlaps, notices: r.notices}
	if out.mesh == nil {
		out.mesh = routingMesh(out.skew)
	}
	return out
}

// routingMesh is what the names of a mesh that runs lead to.
func routingMesh(m *skew.Mesh) *routing.Mesh {
	o := routing.Objects{Tags: slices.Clone(m.Tags)}
	for _, r := range m.Revisions {
		o.Revisions = append(o.Revisions, r.Revision)
	}
	for _, n := range m.Namespaces {
		o.Namespaces = append(o.Namespaces, routing.NamespaceOf(n.Name, n.Labels))
	}
	return routing.NewMesh(o)
}

// noConfiguration: an operator that has not run yet has made no webhooks either, so that this is no mistake.
const noConfiguration = "no MutatingWebhookConfiguration in the files: whether a webhook of Istio's is in the way of the router is not known"

// readFiles reads everything twice: what decides about pods, and what the rules look at, are not the same fields.
func (o *statusOptions) readFiles(ctx context.Context, in io.Reader) (*sight, error) {
	var typed []byte
	if slices.Contains(o.source.files, manifest.Stdin) && in != nil {
		var err error
		if typed, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
	}
	read := func(purpose manifest.Purpose) (*manifest.Set, error) {
		source := o.source
		source.purpose = purpose
		return source.read(ctx, bytes.NewReader(typed))
	}
	purpose := manifest.ForRouting
	if o.mode == modeForward {
		purpose = manifest.ForForwarding
	}
	forRouting, err := read(purpose)
	if err != nil {
		return nil, err
	}
	forSkew, err := read(manifest.ForSkew)
	if err != nil {
		return nil, err
	}
	pods := status.NewInventory()
	for p := range podsIn(forSkew, forRouting) {
		pods.Add(p.pod)
	}
	seen := &sight{mesh: forRouting.Mesh, skew: forSkew.SkewMesh(), pods: pods.Groups(), overlaps: overlapsIn(forRouting)}
	seen.notices = both(forRouting.Warnings, forSkew.Warnings)
	switch {
	case forRouting.Mesh.Empty():
		seen.notices = append(seen.notices, noRevision)
	case declaredOnly(seen.skew):
		seen.notices = append(seen.notices, "no istiod Deployment in the files: what runs is not known")
	}
	if o.mode == modeForward && !forRouting.Mesh.Empty() && len(configurationsIn(forRouting)) == 0 {
		seen.notices = append(seen.notices, noConfiguration)
	}
	return seen, nil
}
