package webhook

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

// forwardCase is an answer of an injector, and what is to come of it.
type forwardCase struct {
	fault   injector.Fault
	review  string
	want    forward.Result
	code    int32 // of a denial
	says    []string
	policy  routing.Policy
	retry   bool // the API server is asked to try again
	warning string
}

// What becomes of a pod, for everything that an injector may answer.
func TestForwardedPods(t *testing.T) {
	say := func(response string) injector.Fault {
		return injector.Say(200, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":`+response+`}`)
	}
	patch := "W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvYSIsInZhbHVlIjoxfV0=" // [{"op":"add","path":"/spec/a","value":1}]
	for name, tc := range map[string]forwardCase{
		"injected": {want: forward.Injected},
		"the injector skips the pod": {
			fault: say(`{"uid":"` + recordedUID + `","allowed":true}`), want: forward.NotInjected, code: 403,
			says: []string{"whose injector gives it no sidecar", "kubectl logs -n istio-system -l app=istiod,istio.io/rev=r128"},
		},
		"the injector skips the pod, and the policy only warns": {
			policy: routing.Policy{Unresolved: routing.Warn},
			fault:  say(`{"uid":"` + recordedUID + `","allowed":true}`), want: forward.NotInjected, warning: "without a sidecar",
		},
		"a patch without operations": {
			fault: say(`{"uid":"","allowed":true,"patch":"W10=","patchType":"JSONPatch"}`), want: forward.NotInjected, code: 403,
		},
		"a gateway whose image stays auto, and the policy only warns": {
			policy: routing.Policy{Unresolved: routing.Warn},
			fault:  say(`{"allowed":true}`), review: "gateway-image-auto", want: forward.NotInjected, code: 403,
		},
		"the injector skips a gateway whose image stays auto": {
			fault: say(`{"allowed":true}`), review: "gateway-image-auto", want: forward.NotInjected, code: 403,
			says: []string{`image is "auto"`, "kubectl logs -n istio-system -l app=istiod,istio.io/rev=r128"},
		},
		"denied by the template": {
			review: "unknown-template", want: forward.Denied, code: 400,
			says: []string{`pod "productpage-v1-7c4b6b857-*" in namespace "bookinfo"`, `tag "prod" leads to revision "r128"`, `whose injector says: failed to run injection template: requested template "nope" not found`},
		},
		"denied with a code and a reason": {
			fault: say(`{"uid":"x","allowed":false,"status":{"code":422,"reason":"Invalid","message":"m\u00e4h"}}`), want: forward.Denied,
			code: 422, says: []string{"says: mäh"},
		},
		"denied without anything": {fault: injector.Say(200, `{"response":{"uid":"","allowed":false}}`), want: forward.Denied, code: 400, says: []string{"no reason given"}},
		"denied with a status that is odd": {
			fault: say(`{"allowed":false,"status":{"code":200,"message":""}}`), want: forward.Denied, code: 400,
		},
		"the answer to another request": {
			fault: say(`{"uid":"other","allowed":true,"patch":"` + patch + `","patchType":"JSONPatch"}`), want: forward.BadReply,
			code: 500, says: []string{"another request"},
		},
		"an answer without uid": {
			fault: say(`{"uid":"","allowed":true,"patch":"` + patch + `","patchType":"JSONPatch"}`), want: forward.Injected,
		},
		"a patch of no type":      {fault: say(`{"allowed":true,"patch":"` + patch + `"}`), want: forward.BadReply, code: 500, says: []string{"not marked"}},
		"a patch of another type": {fault: say(`{"allowed":true,"patch":"` + patch + `","patchType":"Merge"}`), want: forward.BadReply, code: 500},
		"a patch that is no base64": {
			fault: say(`{"allowed":true,"patch":"W10","patchType":"JSONPatch"}`), want: forward.BadReply, code: 500, says: []string{"base64"},
		},
		"a patch that is no patch":    {fault: say(`{"allowed":true,"patch":"e30=","patchType":"JSONPatch"}`), want: forward.BadReply, code: 500},
		"another version of a review": {fault: injector.Say(200, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","response":{"allowed":true}}`), want: forward.BadReply, code: 500},
		"no response":                 {fault: injector.Say(200, `{}`), want: forward.BadReply, code: 500, says: []string{"no response"}},
		"a response that is null":     {fault: say("null"), want: forward.BadReply, code: 500},
		"no JSON":                     {fault: injector.Say(200, "<html>"), want: forward.BadReply, code: 500},
		"nothing":                     {fault: injector.Say(200, ""), want: forward.BadReply, code: 500},
		"an answer nested too deep":   {fault: injector.Say(200, strings.Repeat("[", 100_000)), want: forward.BadReply, code: 500},
		"an HTTP error":               {fault: injector.Say(503, "draining"), want: forward.BadStatus, code: 500, says: []string{"HTTP status 503", "draining"}},
		"415":                         {fault: injector.Say(415, ""), want: forward.BadStatus, code: 500, says: []string{"415"}},
		"a connection that breaks":    {fault: injector.BreakOff, want: forward.Broken, retry: true, says: []string{`tag "prod" leads to revision "r128"`, "No other revision is used instead", "Next: kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-r128"}},
		"a flood":                     {fault: injector.Flood, want: forward.TooLarge, code: 500},
	} {
		t.Run(name, func(t *testing.T) {
			r := newForwardRig(t, injector.IstiodOptions{})
			r.istiod.Break(tc.fault)
			if tc.policy != (routing.Policy{}) {
				r.policy = tc.policy
			}
			review := tc.review
			if review == "" {
				review = "bookinfo-productpage"
			}
			w := r.ask(t, recordedReview(t, review), "10s")
			if diff := cmp.Diff([]forward.Result{tc.want}, r.results); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			for _, text := range tc.says {
				if got := unescaped(w.Body.Bytes()); !strings.Contains(got, text) {
					t.Errorf("the answer does not say %q: %s", text, got)
				}
			}
			if tc.retry {
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
					t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
				}
				return
			}
			tc.check(t, answered200(t, w))
		})
	}
}

func (tc forwardCase) check(t *testing.T, response *admissionv1.AdmissionResponse) {
	t.Helper()
	if response.UID != recordedUID {
		t.Errorf("uid %q", response.UID)
	}
	if response.AuditAnnotations["forwarded"] != string(tc.want) || response.AuditAnnotations["revision"] != "r128" {
		t.Errorf("audit %v", response.AuditAnnotations)
	}
	if response.Allowed != (tc.code == 0) || !response.Allowed && response.Result.Code != tc.code {
		t.Errorf("allowed %v, result %+v", response.Allowed, response.Result)
	}
	if got := strings.Join(response.Warnings, "\n"); !strings.Contains(got, tc.warning) || tc.warning == "" && got != "" {
		t.Errorf("warnings %q", got)
	}
	if !response.Allowed && len(response.Patch) > 0 {
		t.Errorf("a denial with a patch")
	}
	wantMarks := tc.want == forward.Injected
	if got := strings.Contains(string(response.Patch), "revision-router.io"); got != wantMarks {
		t.Errorf("the patch has marks: %v, want %v: %s", got, wantMarks, response.Patch)
	}
}

// unescaped is the message of an answer, be it a review or a Status.
func unescaped(body []byte) string {
	var answer struct {
		Message  string
		Response struct{ Status struct{ Message string } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err.Error()
	}
	return answer.Message + answer.Response.Status.Message
}
