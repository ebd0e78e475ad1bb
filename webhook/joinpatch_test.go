package webhook

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/routing"
)

// ownKeys are the keys of the router's with the map that each is in.
func ownKeys(m marks) [][3]string {
	return [][3]string{
		{"labels", routing.LabelRoutedRevision, m.revision},
		{"labels", routing.LabelRoutedVersion, m.version},
		{"annotations", routing.AnnotationReason, m.reason},
		{"annotations", routing.AnnotationTag, m.tag},
		{"annotations", routing.AnnotationFollowed, m.followed},
	}
}

// marked is the reference: the injector's patch applied by the library that the API server uses, and then the marks set on
// what came out, with no thought of patches.
func marked(t *testing.T, object, patch []byte, m marks) (map[string]any, bool) {
	t.Helper()
	if len(patch) > 0 {
		operations, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, false
		}
		if object, err = operations.Apply(object); err != nil {
			return nil, false
		}
	}
	var after map[string]any
	if json.Unmarshal(object, &after) != nil || after == nil {
		return nil, false
	}
	for _, own := range ownKeys(m) {
		if own[2] == "" {
			delete(mapIn(after, own[0]), own[1])
			continue
		}
		metadata, _ := after["metadata"].(map[string]any)
		if metadata == nil {
			metadata = map[string]any{}
			after["metadata"] = metadata
		}
		values, _ := metadata[own[0]].(map[string]any)
		if values == nil {
			values = map[string]any{}
			metadata[own[0]] = values
		}
		values[own[1]] = own[2]
	}
	return after, true
}

// checkJoin holds the joined patch to the reference. It returns false where the injector's own patch does not fit.
func checkJoin(t *testing.T, object, patch []byte, m marks) bool {
	t.Helper()
	body := []byte(`{"request":{"object":` + string(object) + `}}`)
	want, fits := marked(t, object, patch, m)
	joined, err := decodedObject(t, object).joinPatch(append([]byte(nil), patch...), body, m)
	if !fits {
		if err == nil && len(joined) > 0 {
			if operations, err := jsonpatch.DecodePatch(joined); err == nil {
				if after, err := operations.Apply(object); err == nil && json.Valid(after) {
					t.Errorf("%s with %s: the joined patch fits, the injector's does not: %s", object, patch, joined)
				}
			}
		}
		return false
	}
	if err != nil {
		t.Errorf("%s with %s: %v", object, patch, err)
		return true
	}
	if !emptyPatch(patch) && !strings.HasPrefix(string(joined), strings.TrimRight(strings.TrimRight(string(patch), " \n"), "]")) {
		t.Errorf("the injector's operations are not as they were: %s became %s", patch, joined)
	}
	after := object
	if len(joined) > 0 {
		after = applyPatch(t, object, joined)
	}
	got := looseObject(t, after)
	if err := json.Unmarshal(marshal(t, want), &want); err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(marshal(t, got), &plain); err != nil {
		t.Fatal(err)
	}
	prune(want)
	prune(plain)
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Errorf("%s with %s became %s (-want +got):\n%s", object, patch, joined, diff)
	}
	return true
}

// choose picks one.
func choose(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func randomMetadata(r *rand.Rand) string {
	pairs := func(keys ...string) string {
		switch r.IntN(6) {
		case 0:
			return ""
		case 1:
			return "null"
		}
		var list [][2]string
		for _, key := range keys {
			list = append(list, [2]string{key, choose(r, "", "", `"r1"`, `"other"`, `"prod"`, `""`)})
		}
		return members(list)
	}
	return choose(r, "", "", "", "", `"metadata":null,`, `"metadata":{},`) + func() string {
		labels := pairs("app", routing.LabelRoutedRevision, routing.LabelRoutedVersion)
		annotations := pairs("a/b", routing.AnnotationReason, routing.AnnotationTag, routing.AnnotationFollowed)
		return `"metadata":` + members([][2]string{{"name", `"web"`}, {"labels", labels}, {"annotations", annotations}}) + ","
	}()
}

// randomOperation is anything from what istiod does to what nobody should.
func randomOperation(r *rand.Rand) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	where := choose(r, "labels", "annotations")
	key := escape.Replace(choose(r, "app", "a/b", "istio.io/rev", routing.LabelRoutedRevision, routing.LabelRoutedVersion,
		routing.AnnotationReason, routing.AnnotationTag, routing.AnnotationFollowed, strings.Repeat("k", 90)))
	op := choose(r, "add", "add", "add", "replace", "remove")
	value := choose(r, `"x"`, `"r1"`, `"prod"`, `"a\"\\b"`, `"\u00e4"`)
	whole := choose(r, `{}`, `{"istio.io/rev":"x"}`, `{"revision-router.io/tag":"stale","a":"b"}`,
		`{"revision-router.io/revision":"stale","revision-router.io/followed":"x"}`, `null`, `{"revision-router.io\/tag":"t"}`)
	switch r.IntN(14) {
	case 0, 1, 2, 3, 4:
		return fmt.Sprintf(`{"op":%q,"path":"/metadata/%s/%s","value":%s}`, op, where, key, value)
	case 5, 6, 7:
		return fmt.Sprintf(`{"op":%q,"path":"/metadata/%s","value":%s}`, op, where, whole)
	case 8:
		return `{"op":"add","path":"/spec/volumes","value":[{"name":"istio-envoy"}]}`
	case 9:
		return fmt.Sprintf(`{"path":"/metadata/%s/%s","value":%s,"op":"add"}`, where, key, value)
	case 10:
		return fmt.Sprintf(`{"op":%q,"from":"/metadata/%s","path":"/metadata/%s"}`, choose(r, "move", "copy"), where, choose(r, "labels", "annotations"))
	case 11:
		return fmt.Sprintf(`{"op":%q,"path":"/metadata","value":{"labels":%s}}`, choose(r, "add", "replace"), whole)
	case 12:
		return fmt.Sprintf(`{"op":"add","path":"\/metadata/%s","value":{"app":"y"}}`, where)
	}
	return choose(r, `{"op":"test","path":"/kind","value":"Pod"}`, `{"op":"remove","path":"/metadata/labels"}`,
		`{"op":"replace","path":"","value":{"kind":"Pod","metadata":{"labels":{"a":"b"}}}}`,
		`{"op":"add","path":"/metadata/finalizers","value":["a"]}`, `{"op":"add","path":"/metadatax","value":1}`,
		`{"op":"move","from":"/metadata/labels/app","path":"/spec/was"}`, `{"op":"copy","from":"/kind","path":"/metadata/labels/app"}`,
		`{"op":"nonsense","path":"/metadata/labels"}`, `{"op":"add","path":"/metadata/label~73","value":{}}`)
}

// TestJoinedPatches goes through thousands of pods and patches, most of which no injector sends.
func TestJoinedPatches(t *testing.T) {
	const rounds = 12_000
	r := rand.New(rand.NewPCG(1, 2))
	all := []marks{
		{revision: "r1", version: "v1.30.3", reason: "NamespaceRevision", tag: "prod", followed: "Rollout"},
		{revision: "r1", version: "v1.30.3", reason: "PodRevision"},
		{reason: "PodRevision", tag: "prod"},
		{},
	}
	fitting := 0
	for range rounds {
		object := `{"kind":"Pod",` + randomMetadata(r) + `"spec":{}}`
		if !json.Valid([]byte(object)) || strings.Count(object, `"metadata":`) > 1 {
			object = `{"kind":"Pod","spec":{}}`
		}
		var operations []string
		for range r.IntN(5) {
			operations = append(operations, randomOperation(r))
		}
		patch := "[" + strings.Join(operations, choose(r, ",", " ,\n")) + choose(r, "]", "]", " ] \n")
		if checkJoin(t, []byte(object), []byte(patch), all[r.IntN(len(all))]) {
			fitting++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d patches fit their pod", fitting, rounds)
	if fitting < rounds/4 {
		t.Errorf("only %d of %d patches fit their pod", fitting, rounds)
	}
}

// What a real istiod 1.28.3 answered.
func TestJoinedPatchesOfIstiod(t *testing.T) {
	files, err := filepath.Glob("testdata/injection/*.response.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	m := marks{revision: "r128", version: "v1.28.3", reason: "NamespaceRevision", tag: "prod"}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var request, reply admissionv1.AdmissionReview
			for name, into := range map[string]*admissionv1.AdmissionReview{
				file: &reply, strings.Replace(file, "response", "request", 1): &request,
			} {
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(data, into); err != nil {
					t.Fatal(err)
				}
			}
			object, patch := request.Request.Object.Raw, reply.Response.Patch
			if !checkJoin(t, object, patch, m) {
				t.Error("the patch does not fit the pod")
			}
			p := decodedObject(t, object)
			if _, err := p.joinPatch(append([]byte(nil), patch...), nil, m); err != nil {
				t.Errorf("what istiod sends needs the library: %v", err)
			}
		})
	}
}

// A patch of megabytes, such as for a pod with thousands of variables, is joined as any other.
func TestHugePatches(t *testing.T) {
	huge := `{"op":"add","path":"/spec/env","value":["` + strings.Repeat("x", 3<<20) + `"]}`
	for _, more := range []string{"", `,{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}`, `,{"op":"remove","path":"/metadata/labels"}`} {
		object := `{"kind":"Pod","metadata":{"labels":{"a":"b"}},"spec":{}}`
		if !checkJoin(t, []byte(object), []byte("["+huge+more+"]"), marks{revision: "r1", reason: "PodRevision", tag: "prod"}) {
			t.Error("the patch does not fit the pod")
		}
	}
}

func TestEmptyPatches(t *testing.T) {
	for patch, want := range map[string]bool{
		"": true, "[]": true, " [ ]\n": true, "null": true, "[{}]": false, "{}": false, "[] []": false, "[": false, "\x00": false, "nul": false,
	} {
		if got := emptyPatch([]byte(patch)); got != want {
			t.Errorf("emptyPatch(%q) = %v", patch, got)
		}
	}
}

func TestPatchesThatMakeNoSense(t *testing.T) {
	m := marks{revision: "r1", reason: "PodRevision"}
	for name, patch := range map[string]string{
		"no JSON":                  `[{"op":`,
		"an object":                `{"op":"add"}`,
		"a string":                 `"x"`,
		"trailing text":            `[{"op":"add","path":"/a","value":1}] x`,
		"an operation that is odd": `[{"op":"jump","path":"/metadata/labels"}]`,
		"a map that is a string":   `[{"op":"add","path":"/metadata/labels","value":"x"}]`,
		"nested too deep":          `[{"op":"add","path":"/a","value":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}]`,
		"copies that grow":         `[{"op":"add","path":"/metadata/l","value":[1]}` + strings.Repeat(`,{"op":"copy","from":"/metadata/l","path":"/metadata/l/-"}`, 60) + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			object := `{"kind":"Pod","metadata":{"labels":{}},"spec":{}}`
			got, err := decodedObject(t, []byte(object)).joinPatch([]byte(patch), []byte(`{"request":{"object":`+object+`}}`), m)
			if err == nil {
				t.Errorf("no error, but %.200s", got)
			}
		})
	}
}
