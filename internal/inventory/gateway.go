package inventory

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Gateway holds the fields of a Gateway that are read. The module of the Gateway API is not needed for these few.
type Gateway struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec GatewaySpec `json:"spec"`
}

// GatewaySpec is the part of a Gateway's spec that decides who deploys it and whom it serves.
type GatewaySpec struct {
	GatewayClassName string            `json:"gatewayClassName"`
	Addresses        []GatewayAddress  `json:"addresses"`
	Listeners        []GatewayListener `json:"listeners"`
}

// GatewayAddress says where the Gateway is to be found. An empty type means IPAddress.
type GatewayAddress struct {
	Type string `json:"type"`
}

// GatewayListener is one port of a Gateway.
type GatewayListener struct {
	Protocol      string `json:"protocol"`
	Port          int32  `json:"port"`
	AllowedRoutes struct {
		Namespaces struct {
			From     string                `json:"from"`
			Selector *metav1.LabelSelector `json:"selector"`
		} `json:"namespaces"`
	} `json:"allowedRoutes"`
}

// Skew is what the Gateway means to the rules. An image that a ConfigMap pins (spec.infrastructure.parametersRef, or
// the defaults of its class) is not seen: only the annotation is.
func (o *Gateway) Skew() skew.Gateway {
	_, inbound := o.Annotations[skew.AnnotationInboundBinding]
	g := skew.Gateway{
		Namespace:      o.Namespace,
		Name:           o.Name,
		Class:          o.Spec.GatewayClassName,
		Revision:       routing.LabelOf(o.Labels, routing.LabelRevision),
		WaypointFor:    o.Labels[skew.LabelWaypointFor],
		InboundBinding: inbound,
		ProxyImage:     o.Annotations[skew.AnnotationProxyImage],
		Unmanaged:      unmanaged(o.Spec.Addresses),
		Deleting:       o.DeletionTimestamp != nil,
	}
	for i := range o.Spec.Listeners {
		l := &o.Spec.Listeners[i]
		g.Listeners = append(g.Listeners, skew.Listener{
			Protocol: l.Protocol, Port: l.Port,
			From:     l.AllowedRoutes.Namespaces.From,
			Selector: selectorOf(l.AllowedRoutes.Namespaces.Selector),
		})
	}
	return g
}

// unmanaged: istiod deploys something for no address and for a single IP address, and nothing for a Gateway that
// says where its proxies already are (istio, pilot/pkg/config/kube/gatewaycommon, IsManaged).
func unmanaged(addresses []GatewayAddress) bool {
	switch len(addresses) {
	case 0:
		return false
	case 1:
		kind := addresses[0].Type
		return kind != "" && kind != "IPAddress"
	}
	return true
}

func selectorOf(s *metav1.LabelSelector) routing.Selector {
	if s == nil {
		return nil
	}
	var selector routing.Selector
	// In order, so that the same Gateway read twice is equal: what did not change must not be judged.
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		selector = append(selector, routing.Requirement{
			Key: key, Operator: routing.OpIn, Values: []string{s.MatchLabels[key]},
		})
	}
	for _, e := range s.MatchExpressions {
		selector = append(selector, routing.Requirement{
			Key: e.Key, Operator: routing.Operator(e.Operator), Values: e.Values,
		})
	}
	return selector
}

// GatewayClass holds the fields of a GatewayClass that are read.
type GatewayClass struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		ControllerName string `json:"controllerName"`
	} `json:"spec"`
}

// Skew is what the GatewayClass means to the rules.
func (o *GatewayClass) Skew() skew.GatewayClass {
	return skew.GatewayClass{
		Name: o.Name, Controller: o.Spec.ControllerName, WaypointFor: o.Labels[skew.LabelWaypointFor],
	}
}
