package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/routing"
)

var update = flag.Bool("update", false, "write the golden files' want.json anew")

const goldenDir = "testdata/reviews"

// goldenNames lists the golden files, so that one that is lost or left over fails.
func goldenNames() []string {
	return []string{
		"always-inject-selector", "annotation-opts-out", "dangling-tag", "default-revision", "dry-run", "duplicate-keys",
		"empty-revision", "escapes", "exempt-binding", "exempt-update", "gateway-image-auto", "host-network",
		"image-auto-not-selected", "image-auto-unresolved", "label-opts-out", "maps-empty", "maps-null-or-absent",
		"metadata-null", "mirror-pod", "namespace-behind", "namespace-changing", "namespace-not-found",
		"namespace-not-in-snapshot", "namespace-unreadable", "namespaces-by-default", "never-inject-selector",
		"no-default-revision", "no-mesh", "no-mesh-denied", "no-snapshot", "other-case", "pod-names-revision", "pod-opts-in",
		"reinvoked", "review-v1beta1", "stale-marks-removed", "stale-marks-replaced", "tag-followed", "truncated",
		"unknown-revision", "unknown-revision-warned", "version-no-label-value", "version-unknown", "warnings",
	}
}

func TestGoldenReviews(t *testing.T) {
	for _, name := range goldenNames() {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			h := g.rig(t).router.Handler(entryNamed(t, g.section(t, "entry.txt")))
			got := g.answer(t, h)
			if *update {
				g.write(t, got)
				return
			}
			if diff := cmp.Diff(string(g.sections["want.json"]), got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoldenFilesAreAllListed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, strings.TrimSuffix(filepath.Base(f), ".txtar"))
	}
	slices.Sort(got)
	if diff := cmp.Diff(goldenNames(), got); diff != "" {
		t.Errorf("files in %s (-want +got):\n%s", goldenDir, diff)
	}
}

// golden is one file: what the router knows, what it is asked and what it answers.
type golden struct {
	path     string
	archive  *txtar.Archive
	sections map[string][]byte
}

func readGolden(t testing.TB, name string) golden {
	t.Helper()
	g := golden{path: filepath.Join(goldenDir, name+".txtar"), sections: map[string][]byte{}}
	archive, err := txtar.ParseFile(g.path)
	if err != nil {
		t.Fatal(err)
	}
	g.archive = archive
	required := []string{"entry.txt", "mesh.txt", "namespace.txt", "review.json", "want.json"}
	optional := []string{"live.txt", "policy.txt"}
	for _, f := range archive.Files {
		if !slices.Contains(required, f.Name) && !slices.Contains(optional, f.Name) {
			t.Fatalf("%s: section %s is not known", g.path, f.Name)
		}
		g.sections[f.Name] = f.Data
	}
	for _, r := range required {
		if _, ok := g.sections[r]; !ok {
			t.Fatalf("%s: section %s is missing", g.path, r)
		}
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Fatalf("%s: no sentence says what the file shows", g.path)
	}
	return g
}

func (g golden) section(t testing.TB, name string) string {
	t.Helper()
	return strings.TrimSpace(string(g.sections[name]))
}

// rig is the router as the file describes it. Every review in the files is about the namespace bookinfo.
func (g golden) rig(t testing.TB) *rig {
	t.Helper()
	const namespace = "bookinfo"
	var known []routing.Namespace
	if labels := g.section(t, "namespace.txt"); labels != "unknown" {
		known = append(known, namespaceOf(namespace, labels))
	}
	mesh := meshOf(g.section(t, "mesh.txt"), known...)
	if g.section(t, "mesh.txt") == "none" {
		mesh = nil
	}
	r := newRig(mesh, policyOf(t, g.section(t, "policy.txt")))
	switch live := g.section(t, "live.txt"); live {
	case "unreachable", "":
	case "not found":
		r.live.err = notFound(namespace)
	default:
		r.live.ns, r.live.err = namespaceOf(namespace, live), nil
	}
	return r
}

func policyOf(t testing.TB, line string) routing.Policy {
	t.Helper()
	p := routing.DefaultPolicy()
	switch key, value, _ := strings.Cut(line, "="); key {
	case "":
	case "unresolved":
		p.Unresolved = routing.Level(value)
	case "noMesh":
		p.NoMesh = routing.Level(value)
	default:
		t.Fatalf("policy %q is not known", line)
	}
	return p
}

// answer is what the handler says to the review, with the patch spelt out. It also holds the patch to its word:
// applied, it leaves nothing for a second call to change.
func (g golden) answer(t *testing.T, h http.Handler) string {
	t.Helper()
	w := post(h, string(g.sections["review.json"]))
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("answer %q: %v", w.Body, err)
	}
	answer := map[string]any{"status": w.Code, "body": body}
	if retry := w.Header().Get("Retry-After"); retry != "" {
		answer["Retry-After"] = retry
	}
	if body["kind"] == "AdmissionReview" {
		review := strictReview(t, w.Body.Bytes())
		if len(review.Response.Patch) > 0 {
			if response, ok := body["response"].(map[string]any); ok {
				response["patch"] = json.RawMessage(review.Response.Patch) // spelt out, not in base64
			}
			again := strictReview(t, post(h, patchedReview(t, g.sections["review.json"], review.Response.Patch)).Body.Bytes())
			if len(again.Response.Patch) > 0 {
				t.Errorf("a second call still changes something: %s", again.Response.Patch)
			}
		}
	}
	out, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func (g golden) write(t *testing.T, want string) {
	t.Helper()
	for i, f := range g.archive.Files {
		if f.Name == "want.json" {
			g.archive.Files[i].Data = []byte(want)
		}
	}
	if err := os.WriteFile(g.path, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// strictReview decodes an answer into the API's own type, which has to know every field.
func strictReview(t testing.TB, body []byte) admissionv1.AdmissionReview {
	t.Helper()
	var review admissionv1.AdmissionReview
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&review); err != nil {
		t.Fatalf("answer %s: %v", body, err)
	}
	if review.Response == nil {
		t.Fatalf("answer %s has no response", body)
	}
	if (len(review.Response.Patch) > 0) != (review.Response.PatchType != nil) {
		t.Errorf("patch and patchType have to come together: %s", body)
	}
	return review
}

// patchedReview is the review with the patch applied to its object, as the API server does it.
func patchedReview(t testing.TB, review, patch []byte) string {
	t.Helper()
	var envelope map[string]json.RawMessage
	if err := json.Unmarshal(review, &envelope); err != nil {
		t.Fatal(err)
	}
	var request map[string]json.RawMessage
	if err := json.Unmarshal(envelope["request"], &request); err != nil {
		t.Fatal(err)
	}
	request["object"] = applyPatch(t, request["object"], patch)
	envelope["request"] = marshal(t, request)
	return string(marshal(t, envelope))
}

func applyPatch(t testing.TB, object, patch []byte) []byte {
	t.Helper()
	p, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("patch %s: %v", patch, err)
	}
	out, err := p.Apply(object)
	if err != nil {
		t.Fatalf("patch %s does not apply to %s: %v", patch, object, err)
	}
	return out
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(fmt.Errorf("marshal: %w", err))
	}
	return out
}
