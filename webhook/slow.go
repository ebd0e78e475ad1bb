package webhook

import (
	"fmt"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/revision-router/revision-router/routing"
)

// imageAuto is the placeholder image that gateway injection replaces.
const imageAuto = "auto"

// The fields of an AdmissionReview that count, for the decoder whose reading of them is the specification. Pointers
// and values are chosen as in the API's own types, because they differ in what null means for a duplicate key;
// only metadata is a pointer, because a patch has to know whether it is there.
type (
	reviewBody struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Request    *requestBody `json:"request"`
	}
	requestBody struct {
		UID       string `json:"uid"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Operation string `json:"operation"`
		Kind      struct {
			Kind string `json:"kind"`
		} `json:"kind"`
		Resource struct {
			Group    string `json:"group"`
			Version  string `json:"version"`
			Resource string `json:"resource"`
		} `json:"resource"`
		SubResource string   `json:"subResource"`
		DryRun      *bool    `json:"dryRun"`
		Object      *podBody `json:"object"`
	}
	podBody struct {
		Metadata *struct {
			Name         string            `json:"name"`
			GenerateName string            `json:"generateName"`
			Labels       map[string]string `json:"labels"`
			Annotations  map[string]string `json:"annotations"`
			Owners       []ownerReference  `json:"ownerReferences"`
		} `json:"metadata"`
		Spec struct {
			HostNetwork    bool        `json:"hostNetwork"`
			Containers     []container `json:"containers"`
			InitContainers []container `json:"initContainers"`
		} `json:"spec"`
	}
	ownerReference struct {
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		Controller *bool  `json:"controller"`
	}
	container struct {
		Image string `json:"image"`
	}
)

// decodeSlowly is decode by the reference decoder.
func decodeSlowly(body []byte, wantLabels bool, p *podReview) error {
	var review reviewBody
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &review); err != nil {
		return fmt.Errorf("decode the AdmissionReview: %w", err)
	}
	p.apiVersion, p.kind = []byte(review.APIVersion), []byte(review.Kind)
	r := review.Request
	if r == nil {
		return nil
	}
	p.hasRequest = true
	p.uid, p.requestName, p.namespace = []byte(r.UID), []byte(r.Name), []byte(r.Namespace)
	p.operation, p.dryRun = []byte(r.Operation), r.DryRun != nil && *r.DryRun
	p.group, p.version, p.resource = []byte(r.Resource.Group), []byte(r.Resource.Version), []byte(r.Resource.Resource)
	p.subResource, p.objectKind = []byte(r.SubResource), []byte(r.Kind.Kind)
	if r.Object == nil {
		return nil
	}
	p.hasObject = true
	p.takeObject(r.Object, wantLabels)
	return nil
}

func (p *podReview) takeObject(o *podBody, wantLabels bool) {
	isAuto := func(c container) bool { return c.Image == imageAuto }
	p.hostNetwork = o.Spec.HostNetwork
	p.imageAuto = slices.ContainsFunc(o.Spec.Containers, isAuto) || slices.ContainsFunc(o.Spec.InitContainers, isAuto)
	m := o.Metadata
	if m == nil {
		return
	}
	p.hasMetadata = true
	p.name, p.generateName = []byte(m.Name), []byte(m.GenerateName)
	p.hasLabels, p.hasAnnotations = m.Labels != nil, m.Annotations != nil
	for key, value := range m.Labels {
		if field := p.labelFor([]byte(key)); field != nil {
			*field = member{value: []byte(value), present: true}
		}
		if wantLabels {
			p.labels = append(p.labels, routing.Pair{Key: key, Value: value})
		}
	}
	slices.SortFunc(p.labels, func(a, b routing.Pair) int { return strings.Compare(a.Key, b.Key) })
	isController := func(o ownerReference) bool { return o.Controller != nil && *o.Controller }
	if at := slices.IndexFunc(m.Owners, isController); at >= 0 {
		p.ownerKind, p.ownerName = []byte(m.Owners[at].Kind), []byte(m.Owners[at].Name)
	}
	_, p.sidecar = m.Annotations[annotationStatus]
	for key, value := range m.Annotations {
		if field := p.annotationFor([]byte(key)); field != nil {
			*field = member{value: []byte(value), present: true}
		}
	}
}
