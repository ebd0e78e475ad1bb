package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// manyPods is enough that lists are cut.
const manyPods = 400

// TestAllFormsHoldTheSame reads the same pods in every form.
func TestAllFormsHoldTheSame(t *testing.T) {
	t.Parallel()
	var want *Set
	for _, f := range forms() {
		dir := t.TempDir()
		if size := writeCorpus(t, dir, f, manyPods); size < 2*longList {
			t.Fatalf("%s: %d bytes are too few to be cut", f.name, size)
		}
		got, err := Read(t.Context(), Options{Paths: []string{dir}})
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if len(got.Objects) != manyPods {
			t.Errorf("%s: got %d objects, want %d", f.name, len(got.Objects), manyPods)
		}
		linesAreRight(t, got)
		if want == nil {
			want = got
		}
		ignore := cmpopts.IgnoreFields(Object{}, "File", "Line", "order", "index")
		if diff := cmp.Diff(want.Objects, got.Objects, ignore, cmp.AllowUnexported(Object{})); diff != "" {
			t.Fatalf("%s (-%s):\n%s", f.name, forms()[0].name, diff)
		}
	}
}

// linesAreRight looks up where every object says that it begins.
func linesAreRight(t *testing.T, set *Set) {
	t.Helper()
	lines := map[string][]string{}
	for _, o := range set.Objects {
		if lines[o.File] == nil {
			data, err := os.ReadFile(o.File)
			if err != nil {
				t.Fatal(err)
			}
			lines[o.File] = strings.Split(string(data), "\n")
		}
		// In YAML the name comes further down, in JSON it is on the line.
		text := strings.Join(lines[o.File][o.Line-1:min(o.Line+14, len(lines[o.File]))], "\n")
		if !strings.Contains(lines[o.File][o.Line-1], "apiVersion") || !strings.Contains(text, o.Name) {
			t.Fatalf("%s does not begin at %s:%d:\n%s", o.Name, o.File, o.Line, text)
		}
	}
}

// longYAML is a list that is cut, with the given item in the middle.
func longYAML(item string) string {
	filler := strings.Repeat("# "+strings.Repeat("x", 78)+"\n", longList/80/2)
	return "apiVersion: v1\nkind: List\nitems:\n" +
		"- apiVersion: v1\n  kind: Pod\n  metadata: {name: first}\n" + filler + item + filler +
		"- apiVersion: v1\n  kind: Pod\n  metadata: {name: last}\n"
}

func lineOf(t *testing.T, text, part string) int {
	t.Helper()
	before, _, found := strings.Cut(text, part)
	if !found {
		t.Fatalf("the text has no %q", part)
	}
	return strings.Count(before, "\n") + 1
}

func TestLongYAMLLists(t *testing.T) {
	t.Parallel()
	item := func(rest string) string {
		return "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: middle\n" + rest
	}
	for name, tc := range map[string]longCase{
		"ordinary items": {text: longYAML(item("")), names: []string{"first", "last", "middle"}},
		"items that are indented": {
			text:  "apiVersion: v1\nitems:\n\n# here they come\n" + indented(strings.SplitAfterN(longYAML(item("")), "items:\n", 2)[1]) + "kind: List\nmetadata: {}\n",
			names: []string{"first", "last", "middle"},
		},
		"items that leave their type to the list": {
			text:  strings.Replace(longYAML("- metadata: {name: middle}\n"), "kind: List", "kind: PodList", 1),
			names: []string{"first", "last", "middle"},
		},
		"quoted text that is not indented": {
			text:  longYAML(item("    annotations:\n      a: \"x\n- y\n  z\"\n")),
			names: []string{"first", "last", "middle"},
		},
		"a flow sequence that is not indented": {
			text:  longYAML(item("  x: [c,\nd\n]\n")),
			names: []string{"first", "last", "middle"},
		},
		"literal text that looks like items": {
			text:  longYAML(item("    annotations:\n      a: |\n        - x\n       \n        - y\n")),
			names: []string{"first", "last", "middle"},
		},
		"an alias to another item": {
			text:  strings.Replace(longYAML("- *first\n"+item("")), "- apiVersion: v1\n  kind: Pod\n  metadata: {name: first}", "- &first\n  apiVersion: v1\n  kind: Pod\n  metadata: {name: first}", 1),
			names: []string{"first", "last", "middle"},
		},
		"items behind another document": {
			text:  pod("zero") + "...\n---\n" + longYAML(item("")),
			names: []string{"first", "last", "middle", "zero"},
		},
		"no list, but a long object with items": {
			text:  strings.Replace(longYAML(item("")), "kind: List", "kind: ConfigMap", 1),
			names: nil,
		},
		"a label that is no string": {
			text:    longYAML(item("    labels: {here: 1}\n")),
			problem: "labels must be strings: metadata.labels[here] is a number; put the value in quotes",
		},
		"an item that is malformed":   {text: longYAML(item("    here: b: c\n")), problem: "malformed YAML: mapping values are not allowed in this context"},
		"an item that is no object":   {text: longYAML("- here\n"), problem: "the items of a list must be objects, not a string"},
		"an item that is too shallow": {text: longYAML(item(" here: x\n")), problem: "malformed YAML: did not find expected key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t, "list.yaml")
		})
	}
}

func indented(text string) string {
	return "  " + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n  "), "  ")
}

// longCase is a text that is cut. names are the pods in it; problem is its one mistake, at the line of the text "here".
type longCase struct {
	text    string
	names   []string
	problem string
}

func (tc longCase) check(t *testing.T, file string) {
	t.Helper()
	if len(tc.text) < longList {
		t.Fatalf("%d bytes are too few to be cut", len(tc.text))
	}
	dir := written(t, map[string]string{file: tc.text})
	set, err := Read(t.Context(), Options{Paths: []string{dir}})
	var want []string
	if tc.problem != "" {
		want = []string{fmt.Sprintf("%s:%d: %s", file, lineOf(t, tc.text, "here"), tc.problem)}
	}
	if diff := cmp.Diff(want, mistakes(t, err, dir)); diff != "" {
		t.Fatalf("mistakes (-want +got):\n%s", diff)
	}
	if err != nil {
		return
	}
	var got []string
	for o := range All[*Workload](set) {
		got = append(got, o.Name)
	}
	if diff := cmp.Diff(tc.names, got); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
}

func TestLongJSONLists(t *testing.T) {
	t.Parallel()
	long := func(item string) string {
		filler := strings.Repeat(strings.Repeat(" ", 79)+"\n", longList/80/2)
		first := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"first"}}`
		return `{"metadata":{},"items":[` + first + "\n" + filler + item + filler +
			"," + strings.Replace(first, "first", "last", 1) + "\n],\n\"kind\":\"List\",\"apiVersion\":\"v1\"}"
	}
	for name, tc := range map[string]longCase{
		"ordinary items": {text: long(`,{"apiVersion":"v1","kind":"Pod","metadata":{"name":"middle"}}`), names: []string{"first", "last", "middle"}},
		"a label that is no string": {
			text:    long("\n,{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"m\",\"labels\":{\n\"here\":true}}}"),
			problem: "labels must be strings: metadata.labels[here] is a boolean; put the value in quotes",
		},
		"an item that is malformed": {
			text:    long(",{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\n \"here\" 1}"),
			problem: "malformed JSON: invalid character '1' after object key",
		},
		"no comma between items": {text: long(`{"here":1}`), problem: "malformed JSON: invalid character '{' after array element"},
		"a second list of another kind": {
			text:  long("") + "\n{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"b\"}}]}",
			names: []string{"b", "first", "last"},
		},
		"no list, but a long object with items": {text: strings.Replace(long(""), `"List"`, `"ConfigMap"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t, "list.json")
		})
	}
}

// TestAYAMLDocumentThatCannotBeCutIsBounded reads more than is parsed in one piece.
func TestAYAMLDocumentThatCannotBeCutIsBounded(t *testing.T) {
	t.Parallel()
	text := "apiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n" + strings.Repeat("    "+strings.Repeat("y", 1019)+"\n", maxWholeYAML>>10)
	dir := written(t, map[string]string{"f.yaml": pod("a") + "---\n" + text})
	_, err := Read(t.Context(), Options{Paths: []string{filepath.Join(dir, "f.yaml")}})
	want := []string{"f.yaml:5: " + tooLongYAML}
	if diff := cmp.Diff(want, mistakes(t, err, dir)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}
