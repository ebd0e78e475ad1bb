package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

const (
	contentType = "application/json"

	reviewKind       = "AdmissionReview"
	reviewAPIVersion = "admission.k8s.io/v1"
)

// httpError is the answer to a request that no decision can be made about. It is an HTTP status and not a review
// that denies, so that the failurePolicy decides what becomes of the pod: fail open in guard mode (Ignore), fail
// closed in forward mode (Fail).
type httpError struct {
	cause   Cause
	code    int
	message string
}

// temporary: the API server's client tries again within its deadline where a 5xx has Retry-After (client-go,
// rest/with_retry.go), which nothing but waiting can put right.
func (e *httpError) temporary() bool { return e.code == http.StatusServiceUnavailable }

// write sends the error as a metav1.Status, whose message the API server repeats to the user.
func (e *httpError) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	if e.code == http.StatusMethodNotAllowed {
		h.Set("Allow", http.MethodPost)
	}
	if e.temporary() {
		h.Set("Retry-After", "1")
	}
	body := append([]byte(nil), `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":`...)
	body = appendString(body, "revision-router: "+e.message)
	body = append(body, `,"reason":`...)
	body = appendString(body, statusReason(e.code))
	body = append(body, `,"code":`...)
	body = strconv.AppendInt(body, int64(e.code), 10)
	w.WriteHeader(e.code)
	if _, err := w.Write(append(body, "}\n"...)); err != nil { //nolint:gosec // escaped JSON, called such: no page
		return fmt.Errorf("write the error: %w", err)
	}
	return nil
}

// statusReason is the word of metav1.StatusReason for an HTTP status.
func statusReason(code int) string {
	switch code {
	case http.StatusBadRequest:
		return "BadRequest"
	case http.StatusMethodNotAllowed:
		return "MethodNotAllowed"
	case http.StatusRequestEntityTooLarge:
		return "RequestEntityTooLarge"
	case http.StatusUnsupportedMediaType:
		return "UnsupportedMediaType"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable"
	}
	return "InternalError"
}

// decodeError is the answer to a body that is no AdmissionReview.
func decodeError(err error) *httpError {
	if errors.Is(err, errDepth) {
		return &httpError{
			NestedTooDeep, http.StatusBadRequest,
			fmt.Sprintf("the body nests deeper than %d levels", maxDepth),
		}
	}
	return &httpError{MalformedJSON, http.StatusBadRequest, "the body is no AdmissionReview: " + err.Error()}
}

// check tells what keeps a review from being answered at all.
func (p *podReview) check() *httpError {
	switch {
	case string(p.kind) != reviewKind || string(p.apiVersion) != reviewAPIVersion:
		return &httpError{
			WrongReviewKind, http.StatusBadRequest, "the body is a " + quote(string(p.apiVersion)) + " " +
				quote(string(p.kind)) + ", want " + reviewAPIVersion + " " + reviewKind +
				" (admissionReviewVersions of the webhook configuration has to be v1)",
		}
	case !p.hasRequest:
		return &httpError{RequestMissing, http.StatusBadRequest, "the AdmissionReview has no request"}
	}
	return nil
}

// checkPod tells what keeps a pod from being decided upon.
func (p *podReview) checkPod() *httpError {
	switch {
	case !p.hasObject:
		return &httpError{ObjectMissing, http.StatusBadRequest, "the request to create a pod has no object"}
	case len(p.namespace) == 0:
		return &httpError{NamespaceMissing, http.StatusBadRequest, "the request to create a pod has no namespace"}
	}
	return nil
}

// exemption is set for a request that is none of the handler's.
func (p *podReview) exemption() Exemption {
	switch {
	case string(p.resource) != "pods" || len(p.group) > 0 || string(p.version) != "v1",
		len(p.subResource) > 0, string(p.objectKind) != "Pod":
		return OtherResource
	case string(p.operation) != "CREATE":
		return OtherOperation
	}
	return ""
}

// quote bounds what a client sent, for a message.
func quote(s string) string {
	const longest = 64
	if len(s) > longest {
		return strconv.QuoteToASCII(s[:longest]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
