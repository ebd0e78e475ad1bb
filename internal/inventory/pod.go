package inventory

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

const (
	// proxyContainer is the name that Istio's templates give to the proxy, as a container and as a native sidecar.
	// ZTunnel's own container has it as well.
	proxyContainer = "istio-proxy"
	// annotationStatus is on every pod that an injector changed.
	annotationStatus = "sidecar.istio.io/status"
	// labelManaged is on the pods that istiod deploys for a Gateway; its value tells ingress from waypoint.
	labelManaged     = "gateway.istio.io/managed"
	managedWaypoint  = "istio.io-mesh-controller"
	labelGatewayName = "gateway.networking.k8s.io/gateway-name"
	// annotationTemplates lists the injection templates; one of them makes an injected gateway instead of a sidecar.
	annotationTemplates = "inject.istio.io/templates"
	templateGateway     = "gateway"
)

// Pod holds the fields of a pod that are read, and nothing else of it.
type Pod struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   PodSpec   `json:"spec"`
	Status PodStatus `json:"status"`
}

// PodSpec is the part of a pod's spec that tells which proxy it has.
type PodSpec struct {
	InitContainers []Container `json:"initContainers"`
	Containers     []Container `json:"containers"`
}

// Container is the part of a container that tells the proxy's version.
type Container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// PodStatus tells whether the pod still runs, and whether it serves.
type PodStatus struct {
	Phase      string         `json:"phase"`
	Conditions []PodCondition `json:"conditions"`
}

// PodCondition is one observation of the kubelet's.
type PodCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// Workload tells which workload the pod belongs to and what its proxy is, as a workload of one pod. ok is false for
// pods that have ended, pods that are of no mesh and those of the mesh's own components.
func (p *Pod) Workload() (w skew.Workload, ok bool) {
	if p.ended() {
		// An ended pod uses no revision, even though the operator still counts some of them.
		return skew.Workload{}, false
	}
	role := p.role()
	if role == "" {
		return skew.Workload{}, false
	}
	w = skew.Workload{
		Namespace: p.Namespace,
		Role:      role,
		Revision:  p.Annotations[routing.LabelRevision],
		Label:     p.wanted(),
		Version:   p.proxyVersion(),
		Pods:      1,
	}
	w.Kind, w.Name = p.owner()
	return w, true
}

// Consumer is the pod as something that names a waypoint. ok is false where its labels name none.
func (p *Pod) Consumer() (c skew.Consumer, ok bool) {
	c = Consumer(skew.KindPod, &p.ObjectMeta)
	return c, c.UseWaypoint.Present && !p.ended()
}

// Running tells which component the pod is of, and its version. ok is false where it is of none, or does not serve.
//
// An istiod that has been told to stop stays ready while it drains its connections, ten seconds by default, but gets no new ones
// and does not come back: kubectl rollout status no longer waits for it. A pod of a DaemonSet that ends counts, because that of
// the new version comes to its node only after it.
func (p *Pod) Running() (r Running, ok bool) {
	c, ok := p.component()
	if !ok || p.ended() || !p.ready() || c.Part == IstiodPart && p.DeletionTimestamp != nil {
		return Running{}, false
	}
	return Running{Component: c, Version: sail.ChartVersion(p.Labels[sail.LabelVersion])}, true
}

// component is of Istio itself: a user's own pod with such a label was injected, which its components never are.
func (p *Pod) component() (Component, bool) {
	if _, injected := p.Annotations[annotationStatus]; injected {
		return Component{}, false
	}
	return componentOf(p.Namespace, p.Labels)
}

func (p *Pod) ended() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

func (p *Pod) ready() bool {
	return slices.Contains(p.Status.Conditions, PodCondition{Type: "Ready", Status: "True"})
}

// role is empty for a pod that has no proxy and is not ambient by its own label. A sidecar wins over ambient.
func (p *Pod) role() skew.Role {
	if _, ok := p.component(); ok {
		return ""
	}
	if p.proxy() == nil {
		if p.Labels[skew.LabelDataplaneMode] == "ambient" {
			return skew.Ambient
		}
		return ""
	}
	switch {
	case p.Labels[labelManaged] == managedWaypoint:
		return skew.WaypointProxy
	case p.Labels[labelManaged] != "", p.Labels[labelGatewayName] != "", p.template(templateGateway):
		return skew.GatewayProxy
	}
	return skew.Sidecar
}

// template reports whether the pod asks for the injection template.
func (p *Pod) template(name string) bool {
	for asked := range strings.SplitSeq(p.Annotations[annotationTemplates], ",") {
		if strings.TrimSpace(asked) == name {
			return true
		}
	}
	return false
}

// proxy looks in initContainers as well: a native sidecar is one of them.
func (p *Pod) proxy() *Container {
	for _, containers := range [][]Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == proxyContainer {
				return &containers[i]
			}
		}
	}
	return nil
}

// proxyVersion reads the image's tag. Where there is none, as with images by digest, it is the version that the
// revision had when the router admitted the pod, which is what was injected.
func (p *Pod) proxyVersion() string {
	proxy := p.proxy()
	if proxy == nil {
		return ""
	}
	if v := skew.ImageVersion(proxy.Image); v.Known() {
		return v.String()
	}
	if p.Labels[labelManaged] != "" {
		// istiod deploys it and no injector is asked; a label of the router's is one that somebody copied.
		return ""
	}
	return p.Labels[routing.LabelRoutedVersion]
}

// wanted is the revision or tag that the pod itself asks for.
func (p *Pod) wanted() string {
	if name := p.Labels[routing.LabelRevision]; name != "" {
		return name
	}
	if p.Labels[routing.LabelInject] == "true" {
		return routing.DefaultRevision
	}
	return ""
}

const (
	// labelHash and labelRolloutHash hold the last part of the ReplicaSet's name, of a Deployment and of a Rollout of
	// Argo's.
	labelHash        = "pod-template-hash"
	labelRolloutHash = "rollouts-pod-template-hash"
	// annotationDeploymentConfig is on the pods of OpenShift's DeploymentConfigs.
	annotationDeploymentConfig = "openshift.io/deployment-config.name"
)

// owner is what a user restarts: what has made the ReplicaSet or ReplicationController, or the controller itself, or
// the pod where there is none.
func (p *Pod) owner() (kind, name string) {
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil {
		return "Pod", cmp.Or(p.Name, p.GenerateName)
	}
	switch owner.Kind {
	case "ReplicaSet":
		if name, ok := p.withoutHash(owner.Name, labelHash); ok {
			return "Deployment", name
		}
		if name, ok := p.withoutHash(owner.Name, labelRolloutHash); ok {
			return "Rollout", name
		}
	case "ReplicationController":
		if name := p.Annotations[annotationDeploymentConfig]; name != "" {
			return "DeploymentConfig", name
		}
	}
	return owner.Kind, owner.Name
}

// withoutHash cuts the hash off the name of a ReplicaSet, and tells whether it ends with one.
func (p *Pod) withoutHash(name, label string) (string, bool) {
	hash := p.Labels[label]
	if hash == "" {
		return "", false
	}
	return strings.CutSuffix(name, "-"+hash)
}
