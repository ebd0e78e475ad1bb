package webhook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

func TestPeopleAreToldOfPodsWithoutTheirSidecar(t *testing.T) {
	const named = `"name":"web"`
	for name, tc := range map[string]struct {
		label  string
		policy routing.Policy
		pod    string
		more   string
		want   []PodNotice
	}{
		"refused": {
			label: "istio.io/rev=prdo", policy: routing.DefaultPolicy(), pod: named,
			want: []PodNotice{{Namespace: "bookinfo", Reason: "UnknownRevision", Refused: true, Message: `UnknownRevision: pod "web" in namespace bookinfo is refused: `}},
		},
		"admitted by a policy that warns": {
			label: "istio.io/rev=prdo", policy: routing.Policy{Unresolved: routing.Warn}, pod: named,
			want: []PodNotice{{Namespace: "bookinfo", Reason: "UnknownRevision", Message: `UnknownRevision: pod "web" was admitted without a sidecar`}},
		},
		"in a dry run": {label: "istio.io/rev=prdo", policy: routing.DefaultPolicy(), pod: named, more: `,"dryRun":true`},
		"injected":     {label: "istio.io/rev=prod", policy: routing.DefaultPolicy(), pod: named},
		"skipped": {
			label: "istio.io/rev=prdo", policy: routing.DefaultPolicy(), pod: named + `,"labels":{"sidecar.istio.io/inject":"false"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(meshOf(plainMesh, namespaceOf("bookinfo", tc.label)), tc.policy)
			var got []PodNotice
			r.router.options.Notify = func(n PodNotice) { got = append(got, n) }
			post(r.router.Handler(entryNamed(t, "namespace-revision")), podReviewOf(tc.pod, tc.more))
			for i := range got {
				if i < len(tc.want) && strings.HasPrefix(got[i].Message, tc.want[i].Message) {
					got[i].Message = tc.want[i].Message
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
