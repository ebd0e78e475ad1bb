package manifest

import (
	"cmp"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Skew is the object as the skew rules see it, nil where none looks at its kind. It is what [inventory.Decode] makes
// of the same text.
func (o *Object) Skew() skew.Object {
	switch v := o.Value.(type) {
	case *sail.Istio:
		return inventory.Istio(v)
	case *sail.IstioRevision:
		return inventory.Revision(v)
	case *sail.IstioRevisionTag:
		return inventory.Tag(v)
	case *sail.IstioCNI:
		return inventory.CNI(v)
	case *sail.ZTunnel:
		return inventory.ZTunnel(v)
	case *inventory.Gateway:
		return v.Skew()
	case *inventory.HTTPRoute:
		return v.Skew()
	case *inventory.AuthorizationPolicy:
		return v.Skew()
	case *metav1.PartialObjectMetadata:
		if o.Kind == string(skew.KindNamespace) {
			return inventory.Namespace(&v.ObjectMeta)
		}
		return inventory.Consumer(skew.Kind(o.Kind), &v.ObjectMeta)
	}
	return nil
}

// Override is the annotation that turns denials into warnings.
func (o *Object) Override() routing.Label {
	meta, ok := o.Value.(metav1.Object)
	if !ok {
		return routing.Label{}
	}
	return routing.LabelOf(meta.GetAnnotations(), skew.AnnotationOverride)
}

// SkewMesh is the mesh of a set that was read [ForSkew], as it is now. What runs in it is what the status of
// Deployments, DaemonSets and pods says: pod templates run nothing. Without any such status, as in a Git repository,
// the rules take what is declared for what runs.
func (s *Set) SkewMesh() *skew.Mesh {
	p := s.pods
	p.Consumers = slices.Clip(p.Consumers)
	for i := range s.Objects {
		addPart(&p, &s.Objects[i])
	}
	return p.Mesh()
}

// addPart adds an object that declares something.
func addPart(p *inventory.Parts, o *Object) {
	switch v := o.Skew().(type) {
	case skew.Istio:
		p.Istios = append(p.Istios, v)
	case skew.Revision:
		p.Revisions = append(p.Revisions, v)
	case skew.Tag:
		p.Tags = append(p.Tags, v.Tag)
	case skew.CNI:
		p.CNIs = append(p.CNIs, v)
	case skew.ZTunnel:
		p.ZTunnels = append(p.ZTunnels, v)
	case skew.Namespace:
		p.Namespaces = append(p.Namespaces, v)
	case skew.Gateway:
		p.Gateways = append(p.Gateways, v)
	case skew.Consumer:
		if v.UseWaypoint.Present {
			p.Consumers = append(p.Consumers, v)
		}
	case skew.Attachment:
		if len(v.Targets) > 0 {
			p.Attachments = append(p.Attachments, v)
		}
	}
	switch v := o.Value.(type) {
	case *inventory.GatewayClass:
		p.GatewayClasses = append(p.GatewayClasses, v.Skew())
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		if injector, ok := sail.FromWebhookConfiguration(v); ok {
			p.Injectors = append(p.Injectors, injector)
		}
	}
}

// assembleSkew adds up what runs: no write changes that at once.
func (s *Set) assembleSkew() {
	workloads := map[skew.Workload]int{}
	for i := range s.Objects {
		switch v := s.Objects[i].Value.(type) {
		case inventory.Rollout:
			s.pods.Rollouts = append(s.pods.Rollouts, v)
		case *inventory.Pod:
			if w, ok := v.Workload(); ok {
				w.Pods = 0
				workloads[w]++
			}
			if r, ok := v.Running(); ok {
				s.pods.Running = append(s.pods.Running, r)
			}
			if c, ok := v.Consumer(); ok {
				s.pods.Consumers = append(s.pods.Consumers, c)
			}
		}
	}
	for w, pods := range workloads {
		w.Pods = pods
		s.pods.Workloads = append(s.pods.Workloads, w)
	}
	slices.SortFunc(s.pods.Workloads, func(a, b skew.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Label, b.Label))
	})
	s.skewProblems()
}

// skewProblems warns of values of Sail's objects that mean nothing.
func (s *Set) skewProblems() {
	for i := range s.Objects {
		var err error
		switch v := s.Objects[i].Value.(type) {
		case *sail.Istio:
			err = v.Spec.Values.Problem()
		case *sail.IstioRevision:
			err = v.Spec.Values.Problem()
		case *sail.IstioCNI:
			err = v.Spec.Values.Problem()
		case *sail.ZTunnel:
			err = v.Spec.Values.Problem()
		}
		if o := &s.Objects[i]; err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s:%d: %s %s: %v", o.File, o.Line, o.Kind, o.Name, err))
		}
	}
}
