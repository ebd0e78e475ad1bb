package sail

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/test/cluster"
)

// Component is what runs in a mesh, by the name of its workload.
type Component string

// The components that can break.
const (
	Istiod   Component = "istiod"
	CNI      Component = cniName
	ZTunnel  Component = zTunnelName
	Waypoint Component = "waypoint" // as every Gateway that an istiod deploys at its own version
)

// fault is one component at one version.
type fault struct {
	component Component
	version   string
}

// Break lets a version of a component never get ready, as with an image that cannot be pulled: its pods have the annotation
// cluster.AnnotationReady for the nodes of a local control plane, and a readiness gate for a kubelet. What runs already is rolled
// out again, and hangs in that.
func (o *Operator) Break(c Component, version string) { o.setBroken(fault{c, bare(version)}, true) }

// Mend ends what Break began: the next roll-out gets ready.
func (o *Operator) Mend(c Component, version string) { o.setBroken(fault{c, bare(version)}, false) }

func (o *Operator) setBroken(f fault, broken bool) {
	o.mu.Lock()
	if o.broken == nil {
		o.broken = map[fault]bool{}
	}
	o.broken[f] = broken
	o.mu.Unlock()
	o.trigger()
}

// faultsOf are the annotations of a component's pods that keep them from being ready, if it is broken.
func (o *Operator) faultsOf(c Component, version string) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.broken[fault{c, bare(version)}] {
		return nil
	}
	return map[string]string{cluster.AnnotationReady: "false"}
}

// gates are the conditions that a kubelet waits for, and nobody sets.
func gates(faults map[string]string) []corev1.PodReadinessGate {
	if len(faults) == 0 {
		return nil
	}
	return []corev1.PodReadinessGate{{ConditionType: cluster.AnnotationReady}}
}
