package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

func TestPointerEscapes(t *testing.T) {
	for key, want := range map[string]string{
		"plain": "/plain", "revision-router.io/tag": "/revision-router.io~1tag", "a~b": "/a~0b", "~1": "/~01", "/~/": "/~1~0~1", "": "/",
	} {
		if got := string(appendPointer(nil, key)); got != want {
			t.Errorf("appendPointer(%q) = %s, want %s", key, got, want)
		}
		// The keys of this test are safe in JSON, as the router's are.
		object := fmt.Appendf(nil, `{"labels":{%q:"old","other":"kept"}}`, key)
		patch := `[{"op":"replace","path":"/labels` + string(appendPointer(nil, key)) + `","value":"new"}]`
		var got map[string]map[string]string
		if err := json.Unmarshal(applyPatch(t, object, []byte(patch)), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{key: "new", "other": "kept"}, got["labels"]); diff != "" {
			t.Errorf("%q (-want +got):\n%s", key, diff)
		}
	}
}

// The decisions below have every shape of marks; the last two leave none.
func patchDecisions() map[string]routing.Decision {
	return map[string]routing.Decision{
		"a tag was followed": {
			Action: routing.Inject, Reason: routing.NamespaceRevision, Revision: "r1", Version: "v1.30.3", Tag: "prod",
		},
		"no tag":             {Action: routing.Inject, Reason: routing.PodRevision, Revision: "r1", Version: "v1.30.3"},
		"no version":         {Action: routing.Inject, Reason: routing.PodRevision, Revision: "r1"},
		"an invalid version": {Action: routing.Inject, Reason: routing.PodRevision, Revision: "r1", Version: "v1+2"},
		"an invalid name":    {Action: routing.Inject, Reason: routing.PodRevision, Revision: strings.Repeat("r", 64), Tag: `"odd"` + "\n"},
		"skipped":            {Action: routing.Skip, Reason: routing.HostNetwork},
		"let in unresolved":  {Action: routing.Unresolvable, Reason: routing.DanglingTag, Tag: "prod"},
	}
}

// Every combination of what a pod can bring along: applied, the patch leaves exactly the marks of the decision, touches
// nothing else, and a second one is empty.
func TestPatchLeavesExactlyTheMarks(t *testing.T) {
	values := []string{"", "null", `""`, `"r1"`, `"v1.30.3"`, `"NamespaceRevision"`, `"prod"`, `"stale"`}
	metadata := []string{"", `"metadata":null,`, `"metadata":{},`, `"metadata":{"labels":null,"annotations":null},`}
	for _, first := range values {
		for _, second := range values {
			for _, other := range []string{"", `"web"`} {
				labels := members([][2]string{{routing.LabelRoutedRevision, first}, {routing.LabelRoutedVersion, second}, {"app", other}})
				annotations := members([][2]string{{routing.AnnotationReason, first}, {routing.AnnotationTag, second}, {"app", other}})
				metadata = append(metadata, `"metadata":{"labels":`+labels+`,"annotations":`+annotations+`},`,
					`"metadata":{"labels":`+labels+`},`)
			}
		}
	}
	for name, d := range patchDecisions() {
		t.Run(name, func(t *testing.T) {
			for _, m := range metadata {
				object := `{"kind":"Pod",` + m + `"spec":{"labels":{"revision-router.io/revision":"untouched"}}}`
				checkPatch(t, d, []byte(object))
			}
		})
	}
}

// members is an object with these keys and values; a value that is empty leaves its key out.
func members(pairs [][2]string) string {
	var list []string
	for _, p := range pairs {
		if p[1] != "" {
			list = append(list, `"`+p[0]+`":`+p[1])
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

func checkPatch(t testing.TB, d routing.Decision, object []byte) {
	t.Helper()
	patch := decodedObject(t, object).appendPatch(nil, marksOf(d))
	after := object
	if len(patch) > 0 {
		after = applyPatch(t, object, patch)
		if string(patch) == "[]" {
			t.Errorf("%s: a patch that does nothing", object)
		}
	}
	if again := decodedObject(t, after).appendPatch(nil, marksOf(d)); len(again) > 0 {
		t.Errorf("%s: %s still leaves %s", object, patch, again)
	}
	want, got := looseObject(t, object), looseObject(t, after)
	// The router's own keys are what the decision says, ...
	m := marksOf(d)
	gotMarks := map[string]string{}
	for key, where := range map[string]string{
		routing.LabelRoutedRevision: "labels", routing.LabelRoutedVersion: "labels",
		routing.AnnotationReason: "annotations", routing.AnnotationTag: "annotations",
	} {
		if v, ok := mapIn(got, where)[key]; ok {
			gotMarks[key] = fmt.Sprint(v)
		}
		delete(mapIn(got, where), key)
		delete(mapIn(want, where), key)
	}
	wantMarks := map[string]string{}
	for key, v := range map[string]string{
		routing.LabelRoutedRevision: m.revision, routing.LabelRoutedVersion: m.version,
		routing.AnnotationReason: m.reason, routing.AnnotationTag: m.tag,
	} {
		if v != "" {
			wantMarks[key] = v
		}
	}
	if diff := cmp.Diff(wantMarks, gotMarks); diff != "" {
		t.Errorf("%s: marks (-want +got):\n%s", object, diff)
	}
	// ... and everything else is as it was.
	prune(want)
	prune(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: another key changed (-before +after):\n%s", object, diff)
	}
}

// decodedObject reads an object out of a review.
func decodedObject(t testing.TB, object []byte) *podReview {
	t.Helper()
	var p podReview
	if err := decode([]byte(`{"request":{"object":`+string(object)+`}}`), false, &p); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return &p
}

func looseObject(t testing.TB, object []byte) map[string]any {
	t.Helper()
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber() // a float64 cannot hold every number
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return out
}

func mapIn(object map[string]any, key string) map[string]any {
	metadata, _ := object["metadata"].(map[string]any)
	m, _ := metadata[key].(map[string]any)
	return m
}

// prune takes out the maps that may be there or not once the router's keys are gone.
func prune(object map[string]any) {
	if metadata, ok := object["metadata"].(map[string]any); ok {
		for _, key := range []string{"labels", "annotations"} {
			if len(mapIn(object, key)) == 0 {
				delete(metadata, key)
			}
		}
		if len(metadata) == 0 {
			delete(object, "metadata")
		}
	}
	if object["metadata"] == nil {
		delete(object, "metadata")
	}
}

func TestAppendStringIsReadBackAsItWas(t *testing.T) {
	for _, s := range []string{"", "plain", `"\/`, "\x00\x1f\n\t\x7f", "ä€😀", "\u2028", "<&>", "\xff", "a\xe2\x82", "\xed\xa0\x80", strings.Repeat("é", 100)} {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want && !strings.Contains(s, "\xe2\x82") && !strings.Contains(s, "\xed") {
			t.Errorf("%q reads as %q", s, got)
		}
		// encoding/json is the judge of what becomes of invalid UTF-8.
		var viaJSON string
		if err := json.Unmarshal(marshal(t, s), &viaJSON); err != nil || viaJSON != got {
			t.Errorf("%q reads as %q, with encoding/json as %q (%v)", s, got, viaJSON, err)
		}
		if !bytes.Equal(appendString(nil, []byte(s)), appendString(nil, s)) {
			t.Errorf("%q is written in two ways", s)
		}
	}
}
