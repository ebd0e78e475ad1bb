package webhook

import "github.com/revision-router/revision-router/routing"

// podReview holds what the router reads from an AdmissionReview about a pod. Its texts point into the body of the
// request, and are gone with it.
type podReview struct {
	apiVersion, kind []byte

	hasRequest                bool
	uid, namespace, operation []byte
	group, version, resource  []byte
	subResource, objectKind   []byte
	requestName               []byte
	dryRun                    bool
	hasObject, hasMetadata    bool
	hasLabels, hasAnnotations bool
	name, generateName        []byte
	inject, revision          member // labels that Istio reads
	injectAnnotation, mirror  member
	routedRevision            member // what the router itself wrote, in an earlier call or by a copied template
	routedVersion             member
	routedReason, routedTag   member
	routedFollowed            member
	sidecar                   bool   // the annotation that an injector leaves is there, so that the pod has its sidecar
	sidecarRevision           member // the revision that this injector says it is
	ownerKind, ownerName      []byte // of the owner reference with controller: true
	templateHash, rolloutHash member // labels of the owner's
	deploymentConfig          member
	hostNetwork, imageAuto    bool
	labels                    []routing.Pair // all of them, only where wanted
}

// member is the value of a label or annotation, and whether its key is there at all.
type member struct {
	value   []byte
	present bool
}

func (m member) label() routing.Label {
	if !m.present {
		return routing.Label{}
	}
	return routing.Label{Value: word(m.value), Present: true}
}

// word is string(b) without an allocation for the values that nearly every pod has.
func word(b []byte) string {
	switch string(b) {
	case "true":
		return "true"
	case "false":
		return "false"
	}
	return string(b)
}

// pod is what routing.Decide needs to know of the pod.
func (p *podReview) pod() routing.Pod {
	return routing.Pod{
		Inject:           p.inject.label(),
		Revision:         p.revision.label(),
		InjectAnnotation: p.injectAnnotation.label(),
		HostNetwork:      p.hostNetwork,
		Mirror:           p.mirror.present,
		ImageAuto:        p.imageAuto,
		Labels:           p.labels,
	}
}

// origin is what tells which workload the pod is of. Only a mesh in forward mode asks for it.
func (p *podReview) origin() routing.PodOrigin {
	return routing.PodOrigin{
		OwnerKind:        string(p.ownerKind),
		OwnerName:        string(p.ownerName),
		TemplateHash:     string(p.templateHash.value),
		RolloutHash:      string(p.rolloutHash.value),
		DeploymentConfig: string(p.deploymentConfig.value),
		GenerateName:     string(p.generateName),
		Name:             string(p.name),
	}
}

// podName is the pod as its owner knows it: a pod from a template has no name yet.
func (p *podReview) podName() string {
	switch {
	case len(p.name) > 0:
		return string(p.name)
	case len(p.generateName) > 0:
		return string(p.generateName) + "*"
	}
	return string(p.requestName)
}

// decode reads a review. wantLabels asks for all labels of the pod. What Kubernetes' own decoder (sigs.k8s.io/json:
// encoding/json with case-sensitive keys) would make of the body is what counts. The scanner reads what is
// plain, which is all that an API server sends; whatever would need a rule of its own there, such as escapes,
// duplicate keys and other types, goes to that decoder, after the whole body is known to be well-formed and flat
// enough for its recursion.
func decode(body []byte, wantLabels bool, p *podReview) error {
	s := scanner{data: body}
	if s.review(p, wantLabels); s.err == nil {
		return nil
	}
	s = scanner{data: body}
	s.skip()
	s.end()
	if s.err != nil {
		return s.err
	}
	*p = podReview{}
	return decodeSlowly(body, wantLabels, p)
}
