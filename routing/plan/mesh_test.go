package plan_test

import (
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

// runs is a finished rollout of a version.
func runs(version string) skew.Rollout {
	return skew.Rollout{Found: true, Version: strings.TrimPrefix(version, "v"), Observed: true, Pods: 1, Updated: 1, Ready: 1}
}

// world makes meshes.
type world struct {
	mesh *skew.Mesh
}

// meshOf is the mesh of one Istio named default that has settled.
func meshOf(version string, strategy skew.Strategy) *world {
	o := skew.Istio{Name: "default", Namespace: "istio-system", Version: version, Strategy: strategy, Observed: true}
	o.Active = plan.TargetName(o)
	w := &world{mesh: &skew.Mesh{Istios: []skew.Istio{o}}}
	return w.revision(o.Active, version)
}

func (w *world) revision(name, version string) *world {
	w.mesh.Revisions = append(w.mesh.Revisions, skew.Revision{
		Revision: routing.Revision{Name: name, Version: version, Istio: "default", Namespace: "istio-system", Origin: routing.Sail},
		Istiod:   runs(version), Ready: skew.Ready,
	})
	return w
}

func (w *world) cni(version string) *world {
	w.mesh.CNI = &skew.CNI{Name: "default", Namespace: "istio-cni", Version: version, DaemonSet: runs(version)}
	return w
}

// ambient adds IstioCNI and a ZTunnel that connects to the Istio.
func (w *world) ambient(version string) *world {
	w.cni(version)
	w.mesh.CNI.Ambient = true
	w.mesh.ZTunnel = &skew.ZTunnel{
		Name: "default", Namespace: "ztunnel", Version: version, DaemonSet: runs(version), TargetKind: "Istio", TargetName: "default",
	}
	return w
}

func (w *world) tag(name, kind, target, revision string) *world {
	w.mesh.Tags = append(w.mesh.Tags, routing.Tag{Name: name, TargetKind: kind, TargetName: target, Revision: revision, Origin: routing.Sail})
	return w
}

func (w *world) namespace(name string, labels ...string) *world {
	n := skew.Namespace{Name: name, Labels: map[string]string{}}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		n.Labels[key] = value
	}
	w.mesh.Namespaces = append(w.mesh.Namespaces, n)
	return w
}

func (w *world) workload(namespace, name, revision, version string) *world {
	return w.add(skew.Workload{Namespace: namespace, Kind: "Deployment", Name: name, Role: skew.Sidecar, Revision: revision, Version: version, Pods: 2})
}

func (w *world) add(one skew.Workload) *world {
	w.mesh.Workloads = append(w.mesh.Workloads, one)
	return w
}

// waypoint adds a waypoint of that name with its proxies.
func (w *world) waypoint(namespace, label, revision, version string) *world {
	const name = "waypoint"
	g := skew.Gateway{
		Namespace: namespace, Name: name, Class: "istio-waypoint",
		Listeners: []skew.Listener{{Protocol: "HBONE", Port: 15008, From: "All"}},
	}
	if label != "" {
		g.Revision = routing.Label{Value: label, Present: true}
	}
	w.mesh.Gateways = append(w.mesh.Gateways, g)
	return w.add(skew.Workload{
		Namespace: namespace, Kind: "Deployment", Name: name, Role: skew.WaypointProxy, Revision: revision, Version: version, Pods: 1,
	})
}

// ingress adds a Gateway of the class istio with its proxies.
func (w *world) ingress(namespace, label, revision, version string) *world {
	w.mesh.Gateways = append(w.mesh.Gateways, skew.Gateway{
		Namespace: namespace, Name: "ingress", Class: "istio", Listeners: []skew.Listener{{Protocol: "HTTP", Port: 80}},
		Revision: routing.Label{Value: label, Present: true},
	})
	return w.add(skew.Workload{
		Namespace: namespace, Kind: "Deployment", Name: "ingress-istio", Role: skew.GatewayProxy, Revision: revision, Version: version, Pods: 1,
	})
}

// request is for a plan of the mesh.
func (w *world) request(to string) plan.Request {
	return plan.Request{Mesh: w.mesh, Policy: skew.DefaultPolicy(), To: to}
}

// offered are the versions of the guide's example.
func offered() []string {
	return []string{"v1.24.3", "v1.24.4", "v1.25.5", "v1.26.8", "v1.27.9", "v1.28.5", "v1.29.6", "v1.30.3", "v1.31.0-beta.1"}
}
