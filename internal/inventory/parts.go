package inventory

import (
	"slices"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Parts is everything a [skew.Mesh] is made from, each object read on its own.
type Parts struct {
	Istios []skew.Istio
	// Revisions and Tags are those of the Sail Operator. Of the revisions, Istiod is not set yet.
	Revisions []skew.Revision
	Tags      []routing.Tag
	// Injectors are the configurations that the Sail Operator does not own: the revisions and tags of plain Istio.
	Injectors []sail.Injector
	// CNIs and ZTunnels hold at most one each in a cluster, since their only name is default.
	CNIs     []skew.CNI
	ZTunnels []skew.ZTunnel
	// Rollouts are the istiod Deployments and the DaemonSets, Running the pods of both that serve.
	Rollouts []Rollout
	Running  []Running

	Namespaces     []skew.Namespace
	Gateways       []skew.Gateway
	GatewayClasses []skew.GatewayClass
	Consumers      []skew.Consumer
	Workloads      []skew.Workload
	Attachments    []skew.Attachment
}

// Mesh joins the parts. It shares their slices, and changes none of them.
func (p Parts) Mesh() *skew.Mesh {
	running := rollouts(p.Rollouts, p.Running)
	m := &skew.Mesh{
		Istios:         p.Istios,
		Namespaces:     p.Namespaces,
		Gateways:       p.Gateways,
		GatewayClasses: p.GatewayClasses,
		Consumers:      p.Consumers,
		Workloads:      p.Workloads,
		Attachments:    p.Attachments,
	}
	m.Revisions, m.Tags = p.names(running)
	if len(p.CNIs) > 0 {
		cni := p.CNIs[0]
		cni.DaemonSet = running[Component{Part: CNIPart, Namespace: cni.Namespace}]
		m.CNI = &cni
	}
	if len(p.ZTunnels) > 0 {
		ztunnel := p.ZTunnels[0]
		ztunnel.DaemonSet = running[Component{Part: ZTunnelPart, Namespace: ztunnel.Namespace}]
		m.ZTunnel = &ztunnel
	}
	return m
}

// names joins the revisions and tags of the Sail Operator with those of plain Istio.
func (p Parts) names(running map[Component]skew.Rollout) ([]skew.Revision, []routing.Tag) {
	in := sail.Inventory{Tags: slices.Clone(p.Tags), Injectors: p.Injectors}
	own := make(map[string]skew.Revision, len(p.Revisions))
	for _, r := range p.Revisions {
		own[r.Name] = r
		in.Revisions = append(in.Revisions, r.Revision)
	}
	for _, r := range p.Rollouts {
		if r.Component.Part == IstiodPart {
			in.Istiods = append(in.Istiods, sail.Istiod{
				Namespace: r.Component.Namespace, Revision: r.Component.Revision, Version: r.Version,
			})
		}
	}
	objects := in.Objects()
	revisions := make([]skew.Revision, 0, len(objects.Revisions))
	for _, r := range objects.Revisions {
		revision := skew.Revision{Revision: r}
		if r.Origin == routing.Sail {
			revision.Ambient, revision.Ready = own[r.Name].Ambient, own[r.Name].Ready
		}
		revision.Istiod = running[Component{Part: IstiodPart, Namespace: r.Namespace, Revision: r.Name}]
		revisions = append(revisions, revision)
	}
	return revisions, objects.Tags
}
