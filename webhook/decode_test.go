package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// checkDecode holds decode to the reference, in both of its modes, and says whether the body was read.
func checkDecode(t testing.TB, body []byte) bool {
	t.Helper()
	read := false
	for _, wantLabels := range []bool{false, true} {
		var p podReview
		err := decode(body, wantLabels, &p)
		want, refErr := reference(body, wantLabels)
		switch {
		case errors.Is(err, errDepth):
			if nesting(body) <= maxDepth {
				t.Fatalf("%q: %v, although it nests %d levels", clipped(body), err, nesting(body))
			}
		case errors.Is(err, errDoubt):
			t.Fatalf("%q: doubt was not resolved", clipped(body))
		case (err == nil) != (refErr == nil):
			t.Fatalf("%q: %v, the reference says %v", clipped(body), err, refErr)
		case err == nil:
			read = true
			if nesting(body) > maxDepth {
				t.Fatalf("%q nests %d levels and is read", clipped(body), nesting(body))
			}
			if diff := cmp.Diff(want, viewOf(&p)); diff != "" {
				t.Fatalf("%q, all labels %t (-reference +got):\n%s", clipped(body), wantLabels, diff)
			}
		}
	}
	return read
}

// nesting is how deep the arrays and objects of a body nest at most, as far as its strings are well-formed.
func nesting(body []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

func clipped(b []byte) []byte { return b[:min(len(b), 2000)] }

// checkTyped holds decode to Kubernetes' own types, for bodies that they accept.
func checkTyped(t testing.TB, body []byte) {
	t.Helper()
	var review admissionv1.AdmissionReview
	var pod corev1.Pod
	if kjson.UnmarshalCaseSensitivePreserveInts(body, &review) != nil || review.Request == nil || review.Request.Object.Raw == nil ||
		kjson.UnmarshalCaseSensitivePreserveInts(review.Request.Object.Raw, &pod) != nil || duplicates(body) {
		return
	}
	var p podReview
	if err := decode(body, true, &p); err != nil {
		if !errors.Is(err, errDepth) {
			t.Fatalf("%q: %v, although it is a pod", clipped(body), err)
		}
		return
	}
	got, q := viewOf(&p), review.Request
	isAuto := func(c corev1.Container) bool { return c.Image == "auto" }
	want := view{
		APIVersion: review.APIVersion, Kind: review.Kind, Request: true, Object: true, Metadata: got.Metadata,
		Labels: pod.Labels != nil, Annotations: pod.Annotations != nil,
		UID: string(q.UID), Namespace: q.Namespace, Operation: string(q.Operation), Name: q.Name,
		Resource: fmt.Sprintf("%q/%q/%q/%q %q", q.Resource.Group, q.Resource.Version, q.Resource.Resource, q.SubResource, q.Kind.Kind),
		DryRun:   q.DryRun != nil && *q.DryRun, HostNetwork: pod.Spec.HostNetwork,
		ImageAuto: slices.ContainsFunc(pod.Spec.Containers, isAuto) || slices.ContainsFunc(pod.Spec.InitContainers, isAuto),
		Pod:       fmt.Sprintf("%q %q", pod.Name, pod.GenerateName),
		Members:   membersOf(pod.Labels, pod.Annotations),
	}
	_, want.Sidecar = pod.Annotations["sidecar.istio.io/status"]
	want.Owner = "/"
	if o := metav1.GetControllerOf(&pod); o != nil {
		want.Owner = o.Kind + "/" + o.Name
	}
	if len(pod.Labels) > 0 {
		want.All = pod.Labels
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-typed +got):\n%s", clipped(body), diff)
	}
}

// duplicates reports whether any object of the body has a key twice, or cannot be read.
func duplicates(body []byte) bool {
	var loose any
	strict, err := kjson.UnmarshalStrict(body, &loose, kjson.DisallowDuplicateFields)
	return err != nil || len(strict) > 0
}

func TestDecodeReadsWhatKubernetesReads(t *testing.T) {
	for name, body := range oddBodies() {
		t.Run(name, func(t *testing.T) { checkDecode(t, []byte(body)) })
	}
}

func TestDecodeIsRightAboutEveryPrefixAndEveryLostByte(t *testing.T) {
	body := readGolden(t, "stale-marks-replaced").sections["review.json"]
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		t.Fatal(err)
	}
	body = compact.Bytes()
	if !checkDecode(t, body) {
		t.Fatal("the review itself is not read")
	}
	checkTyped(t, body)
	for i := range body {
		checkDecode(t, body[:i])
		checkDecode(t, slices.Delete(slices.Clone(body), i, i+1))
		checkDecode(t, slices.Insert(slices.Clone(body), i, body[i]))
	}
}

// What the API server sends is plain, and must not end up in the slow decoder unnoticed.
func TestRealReviewsTakeTheFastPath(t *testing.T) {
	bodies := map[string][]byte{"6 KB": podOfSize(t, 6<<10), "100 KB": podOfSize(t, 100<<10)}
	for _, name := range goldenNames() {
		if !slices.Contains([]string{"escapes", "duplicate-keys", "truncated"}, name) {
			bodies[name] = readGolden(t, name).sections["review.json"]
		}
	}
	for name, body := range bodies {
		for _, wantLabels := range []bool{false, true} {
			var p podReview
			s := scanner{data: body}
			if s.review(&p, wantLabels); s.err != nil {
				t.Errorf("%s, all labels %t: %v", name, wantLabels, s.err)
			}
		}
	}
}
