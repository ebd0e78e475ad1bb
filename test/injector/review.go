package injector

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// maxBody is what istiod accepts (HTTPConfigReader).
const maxBody = 6 << 20

// serve answers one AdmissionReview the way istiod does (pkg/kube/inject/webhook.go): 415 unless the content type is
// exactly application/json, replies as text/plain, errors as HTTP 200 with allowed=false. It returns the call where the
// review was about a pod.
func serve(w http.ResponseWriter, r *http.Request, p proxy) (Call, bool) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "invalid Content-Type, want `application/json`", http.StatusUnsupportedMediaType)
		return Call{}, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || len(body) == 0 {
		http.Error(w, "no body found", http.StatusBadRequest)
		return Call{}, false
	}
	var review admissionv1.AdmissionReview
	var response *admissionv1.AdmissionResponse
	var call Call
	err = json.Unmarshal(body, &review)
	known := err == nil && review.Request != nil
	if known {
		response, call = p.answer(review.Request)
	} else {
		// istiod does not get as far as copying uid and kind.
		review.TypeMeta = metav1.TypeMeta{}
		response = denied(fmt.Sprintf("could not decode body: %v", err))
	}
	review.Request, review.Response = nil, response
	reply, err := json.Marshal(review)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return Call{}, false
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(reply) // the API server notices a broken connection by itself
	return call, known
}

func denied(message string) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: message}}
}

// answer injects the pod of one request.
func (p proxy) answer(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, Call) {
	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	call := Call{Revision: p.revision, Namespace: request.Namespace, DryRun: request.DryRun != nil && *request.DryRun}
	refuse := func(message string) (*admissionv1.AdmissionResponse, Call) {
		response = denied(message)
		response.UID = request.UID
		return response, call
	}
	var pod corev1.Pod
	if err := json.Unmarshal(request.Object.Raw, &pod); err != nil {
		return refuse("could not unmarshal raw object: " + err.Error())
	}
	call.Pod = pod.Name + pod.GenerateName
	if template := pod.Annotations["inject.istio.io/templates"]; template != "" && template != "sidecar" && template != "gateway" {
		return refuse(fmt.Sprintf("failed to run injection template: requested template %q not found", template))
	}
	if !required(&pod, request.Namespace) {
		return response, call
	}
	earlier := pod.Annotations[routing.LabelRevision]
	if pod.Annotations[annotationStatus] != "" {
		if earlier == p.revision {
			return response, call // measured: the same revision once more has nothing to change
		}
		call.Double = true
	}
	patch, err := json.Marshal(p.operations(&pod))
	if err != nil {
		return refuse(err.Error())
	}
	response.Patch, response.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	call.Injected = true
	return response, call
}

// required is istiod's injectRequired for a revision with default values.
func required(pod *corev1.Pod, namespace string) bool {
	explicit, ok := pod.Labels[routing.LabelInject]
	if !ok {
		explicit = pod.Annotations[routing.LabelInject]
	}
	return !pod.Spec.HostNetwork && !routing.SystemNamespace(namespace) && explicit != "false"
}
