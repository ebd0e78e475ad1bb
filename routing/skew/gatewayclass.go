package skew

import (
	"github.com/revision-router/revision-router/routing"
)

// Controllers of GatewayClasses that istiod serves (istio, pilot/pkg/config/kube/gatewaycommon and
// pkg/config/constants), and the classes that it creates itself, so that they need not be in a mesh.
const (
	controllerGateway              = "istio.io/gateway-controller"
	controllerUnmanaged            = "istio.io/unmanaged-gateway"
	controllerWaypoint             = "istio.io/mesh-controller"
	controllerEastWest             = "istio.io/eastwest-controller"
	controllerAgentgateway         = "istio.io/agentgateway-controller"
	controllerAgentgatewayWaypoint = "istio.io/agentgateway-waypoint-controller"
)

// class returns the GatewayClass of a Gateway. A custom class of a controller of Istio's is as good as its own
// (istio, gatewaycommon/deploymentcontroller.go looks at the controller): the name alone decides nothing.
func (v *view) class(g Gateway) GatewayClass {
	for _, c := range v.mesh.GatewayClasses {
		if c.Name == g.Class {
			return c
		}
	}
	c := GatewayClass{Name: g.Class}
	switch g.Class {
	case "istio":
		c.Controller = controllerGateway
	case "istio-remote":
		c.Controller = controllerUnmanaged
	case "istio-waypoint":
		c.Controller = controllerWaypoint
	case "istio-east-west":
		c.Controller = controllerEastWest
	case "istio-agentgateway":
		c.Controller = controllerAgentgateway
	case "istio-agentgateway-waypoint":
		c.Controller = controllerAgentgatewayWaypoint
	}
	return c
}

// istioController reports whether istiod serves the classes of a controller.
func istioController(name string) bool {
	switch name {
	case controllerGateway, controllerUnmanaged, controllerWaypoint, controllerEastWest, controllerAgentgateway,
		controllerAgentgatewayWaypoint:
		return true
	}
	return false
}

// owned reports whether a revision of Istio's has to deploy the Gateway's proxies.
func (v *view) owned(g Gateway) bool {
	switch v.class(g).Controller {
	case controllerGateway, controllerWaypoint, controllerEastWest, controllerAgentgateway, controllerAgentgatewayWaypoint:
		return !g.Unmanaged
	}
	return false
}

// waypoint reports whether the Gateway can serve as a waypoint. istiod takes any Gateway with an address for one
// (ambient/waypoints.go, gatewayToWaypointTransform), and traffic then breaks at an ingress; so the class decides,
// and for a class of somebody else's whether the Gateway is made for HBONE.
func (v *view) waypoint(g Gateway) bool {
	switch v.class(g).Controller {
	case controllerWaypoint, controllerEastWest, controllerAgentgatewayWaypoint:
		return true
	case controllerGateway, controllerUnmanaged, controllerAgentgateway:
		return false
	}
	_, ok := g.hbone()
	return ok || g.InboundBinding
}

// hbone is the listener that istiod reads allowedRoutes from (ambient/waypoints.go, makeAllowedRoutes).
func (g Gateway) hbone() (Listener, bool) {
	for _, l := range g.Listeners {
		if l.hbone() {
			return l, true
		}
	}
	return Listener{}, false
}

// hbone reports whether it is the listener of a waypoint.
func (l Listener) hbone() bool { return l.Protocol == "HBONE" && l.Port == 15008 }

// owner is which revision deploys the Gateway.
func (v *view) owner(g Gateway) routing.Decision {
	ns, ok := v.routing.Namespace(g.Namespace)
	if !ok {
		ns.Name = g.Namespace
	}
	return routing.DecideGateway(routing.GatewayInput{Mesh: v.routing, Namespace: ns, Revision: g.Revision})
}

// ownerPlanes are the control planes of Sail that deploy the Gateway.
func (v *view) ownerPlanes(g Gateway) []*plane {
	if !v.owned(g) {
		return nil
	}
	var list []*plane
	for _, name := range v.targets(v.owner(g).Wanted) {
		if p := v.plane(name); p != nil {
			list = append(list, p)
		}
	}
	return list
}
