package webhook

import (
	"fmt"
	"slices"

	kjson "sigs.k8s.io/json"

	"github.com/revision-router/revision-router/routing"
)

// view is a podReview with its texts as strings, and missing ones as "-", to be compared.
type view struct {
	APIVersion, Kind                               string
	Request, Object, Metadata, Labels, Annotations bool
	UID, Namespace, Operation, Name, Resource      string
	DryRun, HostNetwork, ImageAuto, Sidecar        bool
	Pod, Owner                                     string
	Members                                        map[string]string
	All                                            map[string]string
}

func viewOf(p *podReview) view {
	v := view{
		APIVersion: string(p.apiVersion), Kind: string(p.kind),
		Request: p.hasRequest, Object: p.hasObject, Metadata: p.hasMetadata, Labels: p.hasLabels, Annotations: p.hasAnnotations,
		UID: string(p.uid), Namespace: string(p.namespace), Operation: string(p.operation), Name: string(p.requestName),
		Resource: fmt.Sprintf("%q/%q/%q/%q %q", p.group, p.version, p.resource, p.subResource, p.objectKind),
		DryRun:   p.dryRun, HostNetwork: p.hostNetwork, ImageAuto: p.imageAuto,
		Pod:     fmt.Sprintf("%q %q", p.name, p.generateName),
		Owner:   string(p.ownerKind) + "/" + string(p.ownerName),
		Sidecar: p.sidecar,
		Members: map[string]string{},
	}
	for key, m := range map[string]member{
		"label " + routing.LabelRevision:                   p.revision,
		"label " + routing.LabelInject:                     p.inject,
		"label " + routing.LabelRoutedRevision:             p.routedRevision,
		"label " + routing.LabelRoutedVersion:              p.routedVersion,
		"label " + routing.LabelTemplateHash:               p.templateHash,
		"label " + routing.LabelRolloutHash:                p.rolloutHash,
		"annotation " + routing.LabelInject:                p.injectAnnotation,
		"annotation " + routing.LabelRevision:              p.sidecarRevision,
		"annotation " + routing.AnnotationMirror:           p.mirror,
		"annotation " + routing.AnnotationReason:           p.routedReason,
		"annotation " + routing.AnnotationTag:              p.routedTag,
		"annotation " + routing.AnnotationFollowed:         p.routedFollowed,
		"annotation " + routing.AnnotationDeploymentConfig: p.deploymentConfig,
	} {
		if m.present {
			v.Members[key] = string(m.value)
		}
	}
	for _, l := range p.labels {
		if v.All == nil {
			v.All = map[string]string{}
		}
		v.All[l.Key] = l.Value
	}
	return v
}

// referenceReview is what Kubernetes' decoder is given to fill in the reference. It is the test's own, so that a field that
// is wrong in decodeSlowly shows.
type referenceReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		UID string `json:"uid"`
		GVK struct {
			Kind string `json:"kind"`
		} `json:"kind"`
		GVR struct {
			Group    string `json:"group"`
			Version  string `json:"version"`
			Resource string `json:"resource"`
		} `json:"resource"`
		SubResource string `json:"subResource"`
		Name        string `json:"name"`
		Namespace   string `json:"namespace"`
		Operation   string `json:"operation"`
		DryRun      *bool  `json:"dryRun"`
		Object      *struct {
			Meta *struct {
				Name         string            `json:"name"`
				GenerateName string            `json:"generateName"`
				Labels       map[string]string `json:"labels"`
				Annotations  map[string]string `json:"annotations"`
				Owners       []struct {
					Kind       string `json:"kind"`
					Name       string `json:"name"`
					Controller bool   `json:"controller"`
				} `json:"ownerReferences"`
			} `json:"metadata"`
			Spec struct {
				HostNetwork bool `json:"hostNetwork"`
				Containers  []struct {
					Image string `json:"image"`
				} `json:"containers"`
				InitContainers []struct {
					Image string `json:"image"`
				} `json:"initContainers"`
			} `json:"spec"`
		} `json:"object"`
	} `json:"request"`
}

// reference is decode by the decoder that Kubernetes uses, from a struct to a view.
func reference(body []byte, wantLabels bool) (view, error) {
	var r referenceReview
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &r); err != nil {
		return view{}, err
	}
	v := view{APIVersion: r.APIVersion, Kind: r.Kind, Request: r.Request != nil, Members: map[string]string{}}
	v.Resource, v.Pod, v.Owner = `""/""/""/"" ""`, `"" ""`, "/"
	if r.Request == nil {
		return v, nil
	}
	q := r.Request
	v.UID, v.Namespace, v.Operation, v.Name = q.UID, q.Namespace, q.Operation, q.Name
	v.Resource = fmt.Sprintf("%q/%q/%q/%q %q", q.GVR.Group, q.GVR.Version, q.GVR.Resource, q.SubResource, q.GVK.Kind)
	v.DryRun = q.DryRun != nil && *q.DryRun
	if v.Object = q.Object != nil; !v.Object {
		return v, nil
	}
	v.HostNetwork = q.Object.Spec.HostNetwork
	for _, c := range slices.Concat(q.Object.Spec.Containers, q.Object.Spec.InitContainers) {
		v.ImageAuto = v.ImageAuto || c.Image == "auto"
	}
	m := q.Object.Meta
	if v.Metadata = m != nil; !v.Metadata {
		return v, nil
	}
	v.Pod = fmt.Sprintf("%q %q", m.Name, m.GenerateName)
	v.Labels, v.Annotations = m.Labels != nil, m.Annotations != nil
	_, v.Sidecar = m.Annotations["sidecar.istio.io/status"]
	for _, o := range slices.Backward(m.Owners) {
		if o.Controller {
			v.Owner = o.Kind + "/" + o.Name
		}
	}
	v.Members = membersOf(m.Labels, m.Annotations)
	if wantLabels && len(m.Labels) > 0 {
		v.All = m.Labels
	}
	return v, nil
}

// membersOf picks the labels and annotations that the router reads.
func membersOf(labels, annotations map[string]string) map[string]string {
	members := map[string]string{}
	for _, key := range []string{routing.LabelRevision, routing.LabelInject, routing.LabelRoutedRevision, routing.LabelRoutedVersion, routing.LabelTemplateHash, routing.LabelRolloutHash} {
		if value, ok := labels[key]; ok {
			members["label "+key] = value
		}
	}
	for _, key := range []string{routing.LabelInject, routing.AnnotationMirror, routing.AnnotationReason, routing.AnnotationTag, routing.AnnotationFollowed, routing.LabelRevision, routing.AnnotationDeploymentConfig} {
		if value, ok := annotations[key]; ok {
			members["annotation "+key] = value
		}
	}
	return members
}
