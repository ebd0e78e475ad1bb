package inventory

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// decoder reads one kind.
type decoder func(raw []byte) (skew.Object, error)

// decoderOf returns what reads the kind, nil where no rule looks at it. Versions are not told apart: the fields that
// are read are the same in all that are served (ZTunnel v1alpha1 and v1, Gateways, HTTPRoutes and AuthorizationPolicies v1beta1
// and v1).
func decoderOf(gk schema.GroupKind) decoder {
	switch gk {
	case schema.GroupKind{Group: sail.Group, Kind: "Istio"}:
		return decodeWith(Istio)
	case schema.GroupKind{Group: sail.Group, Kind: "IstioRevision"}:
		return decodeWith(Revision)
	case schema.GroupKind{Group: sail.Group, Kind: "IstioRevisionTag"}:
		return decodeWith(Tag)
	case schema.GroupKind{Group: sail.Group, Kind: "IstioCNI"}:
		return decodeWith(CNI)
	case schema.GroupKind{Group: sail.Group, Kind: "ZTunnel"}:
		return decodeWith(ZTunnel)
	case schema.GroupKind{Group: GatewayGroupVersion().Group, Kind: "Gateway"}:
		return decodeWith((*Gateway).Skew)
	case schema.GroupKind{Group: GatewayGroupVersion().Group, Kind: string(skew.KindHTTPRoute)}:
		return decodeWith((*HTTPRoute).Skew)
	case schema.GroupKind{Group: SecurityGroupVersion().Group, Kind: string(skew.KindAuthorizationPolicy)}:
		return decodeWith((*AuthorizationPolicy).Skew)
	case schema.GroupKind{Kind: "Namespace"}:
		return decodeWith(func(o *metav1.PartialObjectMetadata) skew.Namespace { return Namespace(&o.ObjectMeta) })
	case schema.GroupKind{Kind: "Service"},
		schema.GroupKind{Group: NetworkingGroupVersion().Group, Kind: "ServiceEntry"},
		schema.GroupKind{Group: NetworkingGroupVersion().Group, Kind: "WorkloadEntry"}:
		kind := skew.Kind(gk.Kind)
		return decodeWith(func(o *metav1.PartialObjectMetadata) skew.Consumer { return Consumer(kind, &o.ObjectMeta) })
	}
	return nil
}

func decodeWith[T any, O skew.Object](convert func(*T) O) decoder {
	return func(raw []byte) (skew.Object, error) {
		object := new(T)
		if err := json.Unmarshal(raw, object); err != nil {
			return nil, err
		}
		return convert(object), nil
	}
}

// Knows reports whether the rules look at objects of the kind.
func Knows(gk schema.GroupKind) bool { return decoderOf(gk) != nil }

// Decode reads an object of a kind that [Knows] accepts, of whatever version. raw is its JSON.
func Decode(gk schema.GroupKind, raw []byte) (skew.Object, error) {
	read := decoderOf(gk)
	if read == nil {
		return nil, fmt.Errorf("no rule looks at objects of kind %s", gk)
	}
	object, err := read(raw)
	if err != nil {
		return nil, fmt.Errorf("read an object of kind %s: %w", gk, err)
	}
	return object, nil
}

// Override reads the annotation that turns denials into warnings.
func Override(raw []byte) (routing.Label, error) {
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(raw, &object); err != nil {
		return routing.Label{}, fmt.Errorf("read the annotations of an object: %w", err)
	}
	return routing.LabelOf(object.Annotations, skew.AnnotationOverride), nil
}
