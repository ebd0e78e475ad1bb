package webhook

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

// The snapshot is asked first, and the API server at most once and only where the snapshot cannot be right.
func TestNamespaceIsReadOnlyWhereTheSnapshotCannotBeRight(t *testing.T) {
	cases := map[string]struct {
		entry, snapshot, live string
		reads                 []NamespaceRead
		status                int
		code                  int32 // of a denial
		reason                routing.Reason
	}{
		"the snapshot agrees": {
			entry: "namespace-revision", snapshot: "istio.io/rev=prod", status: 200, reason: routing.NamespaceRevision,
		},
		"the snapshot agrees for an entry of pods": {
			entry: "pod-injection", snapshot: "", status: 200, reason: routing.NotSelected,
		},
		"istio-injection hides istio.io/rev": {
			entry: "namespace-injection", snapshot: "istio-injection=disabled istio.io/rev=prod", status: 200,
			reason: routing.NamespaceDisabled,
		},
		"the snapshot does not know it": {
			entry: "namespace-revision", snapshot: "unknown", live: "istio.io/rev=prod",
			reads: []NamespaceRead{ReadAgrees}, status: 200, reason: routing.NamespaceRevision,
		},
		"the snapshot has a label that is gone": {
			entry: "pod-revision", snapshot: "istio.io/rev=prod", live: "",
			reads: []NamespaceRead{ReadAgrees}, status: 200, reason: routing.NotSelected,
		},
		"the label moved to the other key": {
			entry: "namespace-injection", snapshot: "istio.io/rev=prod", live: "istio-injection=disabled",
			reads: []NamespaceRead{ReadAgrees}, status: 200, reason: routing.NamespaceDisabled,
		},
		"it changes at this moment": {
			entry: "pod-revision", snapshot: "istio.io/rev=prod", live: "istio.io/rev=prod",
			reads: []NamespaceRead{ReadDisagrees}, status: 200, code: 409,
		},
		"it is not found": {
			entry: "pod-revision", snapshot: "unknown", live: "not found", reads: []NamespaceRead{ReadNotFound}, status: 503,
		},
		"the API server is away": {
			entry: "pod-revision", snapshot: "unknown", live: "unreachable", reads: []NamespaceRead{ReadFailed}, status: 503,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var known []routing.Namespace
			if tc.snapshot != "unknown" {
				known = append(known, namespaceOf("bookinfo", tc.snapshot))
			}
			r := newRig(meshOf(plainMesh, known...), routing.DefaultPolicy())
			switch tc.live {
			case "not found":
				r.live.err = notFound("bookinfo")
			case "unreachable":
			default:
				r.live.ns, r.live.err = namespaceOf("bookinfo", tc.live), nil
			}
			w := post(r.router.Handler(entryNamed(t, tc.entry)), podReviewOf(`"name":"web"`, ""))
			if w.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tc.status, w.Body)
			}
			if diff := cmp.Diff(tc.reads, r.recorder.reads); diff != "" || len(r.live.asked) != len(tc.reads) {
				t.Errorf("asked %v, results (-want +got):\n%s", r.live.asked, diff)
			}
			if tc.status != http.StatusOK {
				checkStatus(t, w, tc.status)
				return
			}
			if review := strictReview(t, w.Body.Bytes()); review.Response.Allowed != (tc.code == 0) ||
				!review.Response.Allowed && (review.Response.Result.Code != tc.code || review.Response.Result.Reason != "Conflict") {
				t.Errorf("answer %s", w.Body)
			}
			if tc.code == 0 && r.recorder.outcomes[0].Decision.Reason != tc.reason {
				t.Errorf("reason %s, want %s", r.recorder.outcomes[0].Decision.Reason, tc.reason)
			}
		})
	}
}
