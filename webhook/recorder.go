package webhook

import (
	"math"
	"time"

	"github.com/revision-router/revision-router/routing"
)

// Recorder counts what the handlers do, one method for each event. It is called on the hot path and must not
// block. Dry runs are recorded too: a counter is no side effect that a dry run has to avoid.
type Recorder interface {
	// Decided: a pod was decided upon, and answered with the verdict.
	Decided(o Outcome)
	// Exempted: a request was allowed without a look at its object, which is none of the handler's.
	Exempted(e Exemption)
	// Rejected: a request could not be answered with a decision, and got an HTTP error.
	Rejected(c Cause)
	// ReadNamespace: a namespace was read from the API server, because the snapshot did not have it or
	// disagreed with the API server.
	ReadNamespace(r NamespaceRead)
	// Panicked: a panic was caught.
	Panicked()
	// Served: a request was answered, whatever the answer. bytes is the size of its body.
	Served(e Entry, took time.Duration, bytes int)
}

// Outcome is one decision as it was answered.
type Outcome struct {
	Decision routing.Decision
	Verdict  routing.Verdict
	// DryRun: nothing will come of the request.
	DryRun bool
}

// Verdicts lists every verdict that an [Outcome] can have.
func Verdicts() []routing.Verdict {
	return []routing.Verdict{routing.Admitted, routing.AdmittedUnresolved, routing.Refused, routing.RefusedImageAuto}
}

// Warnings lists every warning that the decision of an [Outcome] can carry.
func Warnings() []routing.Warning { return routing.WarningSet(math.MaxUint16).List() }

// Exemption is why a request is none of the handler's. The API server sends such requests only where the
// configuration's rules are wider than the chart's.
type Exemption string

// The exemptions.
const (
	// OtherResource: the object is no pod, or a subresource of one.
	OtherResource Exemption = "other_resource"
	// OtherOperation: the operation is not CREATE. Istio injects at creation and never later.
	OtherOperation Exemption = "other_operation"
)

// Exemptions lists every exemption.
func Exemptions() []Exemption { return []Exemption{OtherResource, OtherOperation} }

// Cause is why a request got an HTTP error instead of a decision.
type Cause string

// The causes. The API server applies the failurePolicy to all of them; those that can pass by themselves are
// answered with 503 and Retry-After, upon which it first tries again.
const (
	// MethodNotAllowed: the method is not POST.
	MethodNotAllowed Cause = "method"
	// WrongContentType: the body says that it is no JSON.
	WrongContentType Cause = "content_type"
	// BodyEmpty: nothing was sent.
	BodyEmpty Cause = "body_empty"
	// BodyTooLarge: more was sent than any review can have.
	BodyTooLarge Cause = "body_too_large"
	// BodyUnreadable: the body broke off.
	BodyUnreadable Cause = "body_unreadable"
	// MalformedJSON: the body is no JSON, or has a value of another type than a review has in its place.
	MalformedJSON Cause = "malformed_json"
	// NestedTooDeep: arrays and objects nest deeper than in any pod.
	NestedTooDeep Cause = "nested_too_deep"
	// WrongReviewKind: the body is no AdmissionReview of v1, such as one of v1beta1.
	WrongReviewKind Cause = "review_kind"
	// RequestMissing: the review has no request.
	RequestMissing Cause = "request_missing"
	// ObjectMissing: the request to create a pod has no pod.
	ObjectMissing Cause = "object_missing"
	// NamespaceMissing: the request to create a pod names no namespace.
	NamespaceMissing Cause = "namespace_missing"
	// NoSnapshot: nothing is known of the mesh yet. Temporary.
	NoSnapshot Cause = "no_snapshot"
	// NamespaceNotFound: the API server that was asked does not have the namespace. Temporary.
	NamespaceNotFound Cause = "namespace_not_found"
	// NamespaceUnread: the API server could not be asked about the namespace. Temporary.
	NamespaceUnread Cause = "namespace_unread"
	// InjectorUnavailable: the injector of the pod's revision could not be asked, in forward mode. Temporary.
	InjectorUnavailable Cause = "injector_unavailable"
)

// Causes lists every cause.
func Causes() []Cause {
	return []Cause{
		MethodNotAllowed, WrongContentType, BodyEmpty, BodyTooLarge, BodyUnreadable, MalformedJSON, NestedTooDeep,
		WrongReviewKind, RequestMissing, ObjectMissing, NamespaceMissing, NoSnapshot, NamespaceNotFound, NamespaceUnread,
		InjectorUnavailable,
	}
}

// NamespaceRead is what came of reading a namespace from the API server.
type NamespaceRead string

// The results.
const (
	// ReadAgrees: its labels are what the webhook entry requires, so that the decision can rely on them.
	ReadAgrees NamespaceRead = "agrees"
	// ReadDisagrees: its labels are not what the entry requires: they are changing at this moment.
	ReadDisagrees NamespaceRead = "disagrees"
	// ReadNotFound: the API server does not have it, or not any more.
	ReadNotFound NamespaceRead = "not_found"
	// ReadFailed: the API server could not be asked.
	ReadFailed NamespaceRead = "failed"
)

// NamespaceReads lists every result.
func NamespaceReads() []NamespaceRead {
	return []NamespaceRead{ReadAgrees, ReadDisagrees, ReadNotFound, ReadFailed}
}
