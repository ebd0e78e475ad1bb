package inventory

import (
	"github.com/revision-router/revision-router/routing"
)

// Part is a part of Istio that the Sail Operator installs.
type Part string

// The parts.
const (
	IstiodPart  Part = "istiod"
	CNIPart     Part = "istio-cni"
	ZTunnelPart Part = "ztunnel"
)

// Component is what a Deployment or DaemonSet of Istio's charts, and each of its pods, belongs to.
type Component struct {
	Part      Part
	Namespace string
	// Revision is the label istio.io/rev of istiod. The others have none: there is one of each.
	Revision string
}

// The labels by which Istio's charts mark what they install, on the Deployment or DaemonSet and on its pods alike. Only
// ZTunnel's chart keeps the label app to the pods: its DaemonSet has the other one, as everything has since Istio 1.24.
const (
	labelApp    = "app"
	labelK8sApp = "k8s-app"
	labelName   = "app.kubernetes.io/name"

	appIstiod  = "istiod"
	appCNI     = "istio-cni-node"
	appZTunnel = "ztunnel"
)

// Selectors of the Deployments and DaemonSets that are components.
const (
	SelectIstiod  = labelApp + "=" + appIstiod
	SelectCNI     = labelK8sApp + "=" + appCNI
	SelectZTunnel = labelName + "=" + appZTunnel
)

// componentOf reads the labels. ok is false for what is no component.
func componentOf(namespace string, labels map[string]string) (c Component, ok bool) {
	switch {
	case labels[labelApp] == appIstiod:
		return Component{Part: IstiodPart, Namespace: namespace, Revision: labels[routing.LabelRevision]}, true
	case labels[labelK8sApp] == appCNI:
		return Component{Part: CNIPart, Namespace: namespace}, true
	case labels[labelApp] == appZTunnel, labels[labelName] == appZTunnel:
		return Component{Part: ZTunnelPart, Namespace: namespace}, true
	}
	return Component{}, false
}
