package manifest

import (
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// forwarding adds what counts where the router injects. active is the revision that each Istio means by what is
// declared; nil where the objects are a cluster's, whose operator has said so.
//
// Files need not hold the EndpointSlices of control planes, and those in a Git repository never do. Where there are
// none at all, every revision is taken to have a ready endpoint, and a warning says so. CA bundles are never looked at.
func (s *Set) forwarding(in *sail.Inventory, active map[string]string) {
	in.Mode, in.AssumeCA, in.Active = routing.Forward, true, active
	in.Reaches = map[string]sail.Reach{}
	for _, r := range All[*sail.IstioRevision](s) {
		in.Reaches[r.Name] = r.Reach()
	}
	if active == nil {
		in.Active = map[string]string{}
	}
	for _, istio := range All[*sail.Istio](s) {
		if active == nil {
			in.Active[istio.Name] = istio.Status.ActiveRevisionName
		} else if _, known := in.Reaches[active[istio.Name]]; !known {
			declared := sail.IstioRevision{Spec: sail.IstioRevisionSpec{Values: istio.Spec.Values}}
			in.Reaches[active[istio.Name]] = declared.Reach()
		}
	}
	for o, slice := range All[*discoveryv1.EndpointSlice](s) {
		e := sail.EndpointsOf(slice)
		e.Namespace = o.Namespace
		in.Endpoints = append(in.Endpoints, e)
	}
	if active != nil {
		s.assumeEndpoints(in)
	}
	for o, w := range All[*Workload](s) {
		w.Pod.Workload = w.owner(o)
	}
	for _, tag := range All[*sail.IstioRevisionTag](s) {
		if err := tag.Problem(); err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("IstioRevisionTag %s: %v", tag.Name, err))
		}
	}
}

// assumeEndpoints takes injectors to be ready where no file tells of any.
func (s *Set) assumeEndpoints(in *sail.Inventory) {
	told := slices.ContainsFunc(in.Endpoints, func(e sail.Endpoints) bool {
		return slices.ContainsFunc(in.Revisions, func(r routing.Revision) bool {
			return r.Namespace == e.Namespace && r.Service() == e.Service
		})
	})
	in.AssumeEndpoints = !told
	if !told && len(in.Revisions) > 0 {
		s.Warnings = append(s.Warnings, "no EndpointSlice of a control plane is in the files: every revision is taken "+
			"to have a ready injector; to know, add the output of kubectl get endpointslices -A -o yaml")
	}
}

// owner is the workload of a pod, or of the pods that the object makes: both by the same rules.
func (w *Workload) owner(o *Object) routing.Workload {
	pod := routing.PodOrigin{OwnerKind: o.Kind, OwnerName: o.Name, DeploymentConfig: w.DeploymentConfig}
	if o.Kind == "Pod" {
		pod = routing.PodOrigin{
			OwnerKind: w.ControllerKind, OwnerName: w.ControllerName, DeploymentConfig: w.DeploymentConfig,
			GenerateName: w.GenerateName, Name: o.Name,
		}
	}
	for _, label := range w.Pod.Labels {
		switch label.Key {
		case routing.LabelTemplateHash:
			pod.TemplateHash = label.Value
		case routing.LabelRolloutHash:
			pod.RolloutHash = label.Value
		}
	}
	return pod.Workload()
}
