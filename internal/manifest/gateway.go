package manifest

import (
	"strings"

	"github.com/revision-router/revision-router/routing"
)

const (
	// istioController begins the names of the controllers that istiod has for GatewayClasses
	// (istio pkg/config/constants), and unmanagedController is the one that deploys and programs nothing.
	istioController     = "istio.io/"
	unmanagedController = "istio.io/unmanaged-gateway"
)

// Gateway is a Gateway of gateway.networking.k8s.io.
type Gateway struct {
	// Class is spec.gatewayClassName.
	Class string
	// Revision is the label istio.io/rev.
	Revision routing.Label
}

// GatewayClass tells which controller looks after the Gateways of a class.
type GatewayClass struct {
	// Controller is spec.controllerName.
	Controller string
}

func decodeGateway(_ *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			GatewayClassName string `json:"gatewayClassName"`
		} `json:"spec"`
	}
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	return in.Metadata.identity(), &Gateway{
		Class:    in.Spec.GatewayClassName,
		Revision: routing.LabelOf(in.Metadata.Labels, routing.LabelRevision),
	}, nil
}

func decodeGatewayClass(_ *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			ControllerName string `json:"controllerName"`
		} `json:"spec"`
	}
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	return in.Metadata.identity(), &GatewayClass{Controller: in.Spec.ControllerName}, nil
}

// IstioGateway reports whether some istiod would look after Gateways of the class: by the GatewayClass where the
// set holds it, else by the names of the classes that istiod brings along (pilot/pkg/config/kube/gatewaycommon,
// classinfo.go). Gateways of other implementations are none of Istio's revisions' business.
func (s *Set) IstioGateway(class string) bool {
	for o, c := range All[*GatewayClass](s) {
		if o.Name == class {
			return strings.HasPrefix(c.Controller, istioController) && c.Controller != unmanagedController
		}
	}
	switch class {
	case "istio", "istio-waypoint", "istio-east-west", "istio-agentgateway", "istio-agentgateway-waypoint":
		return true
	}
	return false
}
