package webhook

import "github.com/revision-router/revision-router/routing"

// annotationStatus is where an injector notes what it added (istio/api, annotation.SidecarStatus). Its value is JSON,
// full of escapes, and only its presence counts.
const annotationStatus = "sidecar.istio.io/status"

func (s *scanner) podObject(p *podReview, wantLabels bool) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "metadata":
			s.first(&keys, 0)
			if s.null() {
				continue
			}
			p.hasMetadata = true
			s.metadata(p, wantLabels)
		case "spec":
			s.first(&keys, 1)
			s.spec(p)
		default:
			s.skip()
		}
	}
}

func (s *scanner) metadata(p *podReview, wantLabels bool) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "name":
			s.first(&keys, 0)
			s.text(&p.name)
		case "generateName":
			s.first(&keys, 1)
			s.text(&p.generateName)
		case "labels":
			s.first(&keys, 2)
			if s.null() {
				continue
			}
			p.hasLabels = true
			if wantLabels {
				s.allLabels(p)
			} else {
				s.labels(p)
			}
		case "annotations":
			s.first(&keys, 3)
			if s.null() {
				continue
			}
			p.hasAnnotations = true
			s.annotations(p)
		case "ownerReferences":
			s.first(&keys, 4)
			s.owners(p)
		default:
			s.skip()
		}
	}
}

// labelFor returns the field that a label is kept in, nil for labels that the router does not read.
func (p *podReview) labelFor(key []byte) *member {
	switch string(key) {
	case routing.LabelRevision:
		return &p.revision
	case routing.LabelInject:
		return &p.inject
	case routing.LabelRoutedRevision:
		return &p.routedRevision
	case routing.LabelRoutedVersion:
		return &p.routedVersion
	case routing.LabelTemplateHash:
		return &p.templateHash
	case routing.LabelRolloutHash:
		return &p.rolloutHash
	}
	return nil
}

// annotationFor is labelFor for annotations.
func (p *podReview) annotationFor(key []byte) *member {
	switch string(key) {
	case routing.LabelInject:
		return &p.injectAnnotation
	case routing.AnnotationMirror:
		return &p.mirror
	case routing.AnnotationReason:
		return &p.routedReason
	case routing.AnnotationTag:
		return &p.routedTag
	case routing.AnnotationFollowed:
		return &p.routedFollowed
	case routing.LabelRevision:
		return &p.sidecarRevision
	case routing.AnnotationDeploymentConfig:
		return &p.deploymentConfig
	}
	return nil
}

func (s *scanner) labels(p *podReview) {
	for key := range s.fields {
		s.entry(p.labelFor(key))
	}
}

func (s *scanner) annotations(p *podReview) {
	for key := range s.fields {
		if string(key) == annotationStatus {
			if s.entry(nil); p.sidecar {
				s.fail(errDoubt)
			}
			p.sidecar = true
			continue
		}
		s.entry(p.annotationFor(key))
	}
}

// owners reads the owner reference with controller: true, of which the API server lets a pod have one.
func (s *scanner) owners(p *podReview) {
	if s.null() {
		return
	}
	found := false
	for range s.elements {
		if s.null() {
			continue
		}
		var keys seen
		var kind, name []byte
		var controller bool
		for key := range s.fields {
			switch string(key) {
			case "kind":
				s.first(&keys, 0)
				s.text(&kind)
			case "name":
				s.first(&keys, 1)
				s.text(&name)
			case "controller":
				s.first(&keys, 2)
				s.boolean(&controller)
			default:
				s.skip()
			}
		}
		if controller && !found {
			found, p.ownerKind, p.ownerName = true, kind, name
		}
	}
}

// entry reads one value of a map of strings, into m where that is not nil.
func (s *scanner) entry(m *member) {
	if s.peek() != '"' {
		s.fail(errDoubt) // null makes an empty string in a map, every other type is an error
		return
	}
	if m == nil {
		s.str()
		return
	}
	if m.present {
		s.fail(errDoubt)
	}
	m.present = true
	s.text(&m.value)
}

func (s *scanner) spec(p *podReview) {
	if s.null() {
		return
	}
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "hostNetwork":
			s.first(&keys, 0)
			s.boolean(&p.hostNetwork)
		case "containers":
			s.first(&keys, 1)
			s.containers(p)
		case "initContainers":
			s.first(&keys, 2)
			s.containers(p)
		default:
			s.skip()
		}
	}
}

func (s *scanner) containers(p *podReview) {
	if s.null() {
		return
	}
	for range s.elements {
		if s.null() {
			continue
		}
		var keys seen
		for key := range s.fields {
			if string(key) != "image" {
				s.skip()
				continue
			}
			s.first(&keys, 0)
			var image []byte
			s.text(&image)
			p.imageAuto = p.imageAuto || string(image) == imageAuto
		}
	}
}
