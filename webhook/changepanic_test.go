package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/routing/skew"
)

// A panic is the server's to recover, which counts it. Recovered here it would be an answer like any other.
func TestAPanicOfTheChangeValidatorReachesTheServer(t *testing.T) {
	v := NewChangeValidator(ChangeValidatorOptions{
		Mesh: &meshSource{mesh: sharedWaypoint()}, Policy: func() skew.Policy { panic("policy") }, Recorder: &counted{}, Log: logr.Discard(),
	})
	registered := paths{}
	v.Register(registered)
	body := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",
		"kind":{"group":"","version":"v1","kind":"Namespace"},"object":{"apiVersion":"v1","kind":"Namespace",
		"metadata":{"name":"shop","labels":{"istio.io/rev":"prod"}}}}}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, ChangePath, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != "policy" {
			t.Errorf("recovered %v here, want the panic itself; the answer was %d %s", p, w.Code, w.Body)
		}
	}()
	registered[ChangePath].ServeHTTP(w, r)
}
