package webhook

import (
	"cmp"
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// InjectorFailed is the reason of a [PodNotice] about a pod that its injector was to inject, in forward mode, and did not.
const InjectorFailed = "InjectorFailed"

// PodNotice is a pod that got no sidecar although it asked for one, for those who look after its namespace. There is none
// about a dry run.
type PodNotice struct {
	Namespace string
	// Reason is that of the decision, or [InjectorFailed].
	Reason string
	// Refused: it was refused; otherwise it was admitted, because the policy only warns.
	Refused bool
	Message string
}

// outcome is what was decided about a pod, and what became of it.
type outcome struct {
	routing.Decision

	verdict routing.Verdict
}

// notify tells of the pod, where there is something to tell. Most pods end here.
func (h *podHandler) notify(p *podReview, in routing.Input, d outcome, r response) {
	if h.Notify == nil || p.dryRun || r.allowed && d.verdict != routing.AdmittedUnresolved {
		return
	}
	n := PodNotice{Namespace: in.Namespace.Name, Reason: string(d.Reason), Refused: !r.allowed, Message: r.message}
	switch {
	case n.Refused && r.forwarded != "":
		n.Reason = InjectorFailed
		n.Message = InjectorFailed + ": " + r.message
	case !n.Refused:
		n.Message = string(d.Reason) + ": " + p.subject() + " was admitted without a sidecar, because the policy only warns: " +
			routing.Explain(in, d.Decision)
	}
	h.Notify(n)
}

// ChangeNotice is a change of the mesh that was let through although a rule denies it, for those who look after the
// object. There is none about a dry run.
type ChangeNotice struct {
	// APIVersion, Kind, Namespace, Name and UID are those of the object that was changed.
	APIVersion, Kind, Namespace, Name, UID string
	User                                   string
	Finding                                skew.Finding
}

// notify tells of findings that would have denied the change.
func (v *ChangeValidator) notify(request *admissionv1.AdmissionRequest, c skew.Change, findings []skew.Finding) {
	if v.options.Notify == nil || c.DryRun || skew.Denied(findings) {
		return
	}
	for _, f := range findings {
		if f.Overridden == "" && !f.Excused {
			continue
		}
		ref := refOf(c)
		v.options.Notify(ChangeNotice{
			APIVersion: metav1.GroupVersion{Group: request.Kind.Group, Version: request.Kind.Version}.String(),
			Kind:       string(ref.Kind), Namespace: ref.Namespace, Name: ref.Name, UID: uidOf(request), User: c.User, Finding: f,
		})
	}
}

// uidOf is that of the object that was changed; of one that is created, the API server has given it by now.
func uidOf(request *admissionv1.AdmissionRequest) string {
	var before, after metav1.PartialObjectMetadata
	// Both were decoded before, as a whole.
	_ = json.Unmarshal(request.OldObject.Raw, &before)
	_ = json.Unmarshal(request.Object.Raw, &after)
	return string(cmp.Or(before.UID, after.UID))
}
