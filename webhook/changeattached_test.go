package webhook

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/revision-router/revision-router/routing/skew"
)

// ofPolicy is the request about an AuthorizationPolicy of namespace bookinfo.
func ofPolicy(operation admissionv1.Operation, before, after string) admission.Request {
	raw := func(spec string) runtime.RawExtension {
		if spec == "" {
			return runtime.RawExtension{}
		}
		return runtime.RawExtension{Raw: []byte(`{"metadata":{"namespace":"bookinfo","name":"p"},"spec":` + spec + `}`)}
	}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Kind:      metav1.GroupVersionKind{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy"},
		Operation: operation, Object: raw(after), OldObject: raw(before), UserInfo: authenticationv1.UserInfo{Username: "alice"},
	}}
}

// What may be only a moment old, its namespace and the Gateways that may be its waypoint, is read for a policy; where that
// fails a rule that only warns stops nobody.
func TestChangesOfPolicies(t *testing.T) {
	const (
		forService = `{"targetRefs":[{"kind":"Service","name":"productpage"}]}`
		forPods    = `{"selector":{"matchLabels":{"app":"productpage"}}}`
	)
	bare := sharedWaypoint()
	bare.Namespaces[1].Labels = nil
	outage := errors.New("the API server is away")
	deny := skew.DefaultPolicy()
	deny.Levels = map[skew.Rule]skew.Level{skew.WaypointPolicy: skew.Deny}
	for name, tc := range map[string]struct {
		source  meshSource
		request admission.Request
		policy  skew.Policy
		code    int32
		says    string
		reads   string // namespaces, and those whose Gateways are read
	}{
		"with a waypoint":             {meshSource{mesh: sharedWaypoint()}, ofPolicy(admissionv1.Create, "", forService), skew.Policy{}, 200, "", "bookinfo:bookinfo,infra"},
		"without a waypoint":          {meshSource{mesh: bare}, ofPolicy(admissionv1.Create, "", forService), skew.Policy{}, 200, "WaypointPolicy: traffic bypasses AuthorizationPolicy bookinfo/p", "bookinfo:bookinfo"},
		"refused":                     {meshSource{mesh: bare}, ofPolicy(admissionv1.Create, "", forService), deny, 403, "WaypointPolicy", "bookinfo:bookinfo"},
		"for pods":                    {meshSource{failure: outage}, ofPolicy(admissionv1.Create, "", forPods), skew.Policy{}, 200, "", ":"},
		"no longer attached":          {meshSource{failure: outage}, ofPolicy(admissionv1.Update, forService, forPods), skew.Policy{}, 200, "", ":"},
		"nothing can be read":         {meshSource{failure: outage}, ofPolicy(admissionv1.Create, "", forService), skew.Policy{}, 200, "could not judge", ":"},
		"nothing can be read to deny": {meshSource{failure: outage}, ofPolicy(admissionv1.Create, "", forService), deny, 503, "retry in a moment", ":"},
	} {
		t.Run(name, func(t *testing.T) {
			v := NewChangeValidator(ChangeValidatorOptions{
				Mesh: &tc.source, Policy: func() skew.Policy { return tc.policy }, Recorder: &counted{}, Log: logr.Discard(),
			})
			response := v.Handle(t.Context(), tc.request)
			said := strings.Join(response.Warnings, "\n") + response.Result.Message
			if response.Result.Code != tc.code || !strings.Contains(said, tc.says) || tc.says == "" && said != "" {
				t.Errorf("answered %d: %s", response.Result.Code, said)
			}
			if got := strings.Join(tc.source.namespaceReads, ",") + ":" + strings.Join(tc.source.gatewayReads, ","); got != tc.reads {
				t.Errorf("read %q, want %q", got, tc.reads)
			}
		})
	}
}
