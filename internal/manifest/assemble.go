package manifest

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// assemble makes the mesh of the objects.
func (s *Set) assemble(live bool) {
	var in sail.Inventory
	for o, r := range All[*sail.IstioRevision](s) {
		in.Revisions = append(in.Revisions, r.Revision())
		s.problem(o, &r.Spec.Values)
	}
	for _, t := range All[*sail.IstioRevisionTag](s) {
		in.Tags = append(in.Tags, t.Tag())
	}
	var active map[string]string
	if !live {
		d := s.declare(&in)
		s.Warnings = append(s.Warnings, d.warnings...)
		active = d.active
	}
	for _, c := range All[*admissionregistrationv1.MutatingWebhookConfiguration](s) {
		if injector, ok := sail.FromWebhookConfiguration(c); ok {
			in.Injectors = append(in.Injectors, injector)
		}
	}
	for _, w := range All[*Workload](s) {
		if w.Istiod != nil {
			in.Istiods = append(in.Istiods, *w.Istiod)
		}
	}
	for _, ns := range All[routing.Namespace](s) {
		in.Namespaces = append(in.Namespaces, ns)
	}
	if s.purpose == ForForwarding {
		s.forwarding(&in, active)
	}
	s.Mesh = routing.NewMesh(in.Objects())
}

// problem warns of values that mean nothing, because their type is not the one that Istio's charts expect.
func (s *Set) problem(o *Object, values *sail.Values) {
	if err := values.Problem(); err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s:%d: %s %s: %v", o.File, o.Line, o.Kind, o.Name, err))
	}
}
