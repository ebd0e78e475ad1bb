package injector

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// ProxyName is the name of the container that an injector adds.
const ProxyName = "istio-proxy"

// maxBody is what istiod accepts (HTTPConfigReader).
const maxBody = 6 << 20

// Call is one review that an injector answered.
type Call struct {
	Revision, Namespace, Pod string
	Injected                 bool
}

// Server injects for any number of revisions, each under the path /inject/<revision>/<version>: one listener
// stands in for all istiods of a mesh. It may be used by several goroutines.
type Server struct {
	mu    sync.Mutex
	calls []Call
}

// Path is where the server injects for a revision at a version.
func Path(revision, version string) string { return "/inject/" + revision + "/" + version }

// Calls returns what was answered so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// ServeHTTP answers one AdmissionReview the way istiod does (pkg/kube/inject/webhook.go): 415 unless the content
// type is exactly application/json, replies as text/plain, errors as HTTP 200 with allowed=false.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "invalid Content-Type, want `application/json`", http.StatusUnsupportedMediaType)
		return
	}
	revision, version, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/inject/"), "/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || len(body) == 0 {
		http.Error(w, "no body found", http.StatusBadRequest)
		return
	}
	var review admissionv1.AdmissionReview
	response := &admissionv1.AdmissionResponse{}
	if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
		response.Result = &metav1.Status{Message: fmt.Sprintf("could not decode body: %v", err)}
	} else {
		response = s.inject(revision, version, review.Request)
	}
	review.Request, review.Response = nil, response
	reply, err := json.Marshal(review)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(reply) // the API server notices a broken connection by itself
}

func (s *Server) inject(revision, version string, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	var pod corev1.Pod
	if err := json.Unmarshal(request.Object.Raw, &pod); err != nil {
		response.Allowed = false
		response.Result = &metav1.Status{Message: err.Error()}
		return response
	}
	call := Call{Revision: revision, Namespace: request.Namespace, Pod: pod.Name + pod.GenerateName}
	if required(&pod, request.Namespace) {
		patch, err := json.Marshal(operations(&pod, revision, version))
		if err != nil {
			response.Allowed = false
			response.Result = &metav1.Status{Message: err.Error()}
			return response
		}
		response.Patch, response.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
		call.Injected = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	return response
}

// required is istiod's injectRequired for a revision with default values.
func required(pod *corev1.Pod, namespace string) bool {
	explicit, ok := pod.Labels[routing.LabelInject]
	if !ok {
		explicit = pod.Annotations[routing.LabelInject]
	}
	return !pod.Spec.HostNetwork && !routing.SystemNamespace(namespace) && explicit != "false"
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations follow the shapes that istiod's patches have: a whole map of annotations where the pod has none,
// single keys where it has some.
func operations(pod *corev1.Pod, revision, version string) []operation {
	annotations := map[string]string{
		routing.LabelRevision:     revision,
		"sidecar.istio.io/status": fmt.Sprintf(`{"containers":[%q],"revision":%q}`, ProxyName, revision),
	}
	var ops []operation
	if len(pod.Annotations) == 0 {
		ops = append(ops, operation{"add", "/metadata/annotations", annotations})
	} else {
		for _, key := range []string{routing.LabelRevision, "sidecar.istio.io/status"} {
			path := "/metadata/annotations/" + strings.ReplaceAll(key, "/", "~1")
			ops = append(ops, operation{"add", path, annotations[key]})
		}
	}
	proxy := corev1.Container{
		Name: ProxyName, Image: "istio/proxyv2:" + strings.TrimPrefix(version, "v"),
		Args: []string{"proxy", "sidecar"},
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == ProxyName {
			// A second injection or a gateway: the container is replaced, not doubled.
			return append(ops, operation{"replace", fmt.Sprintf("/spec/containers/%d", i), proxy})
		}
	}
	return append(ops, operation{"add", "/spec/containers/-", proxy})
}
