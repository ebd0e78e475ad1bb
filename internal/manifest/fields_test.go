package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fieldsIn is one line per field of each object: the object's name, the field and its line.
func fieldsIn(t *testing.T, text string) []string {
	t.Helper()
	set, err := Read(t.Context(), Options{Paths: []string{Stdin}, Input: strings.NewReader(text), Fields: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range set.Objects {
		o := &set.Objects[i]
		for _, f := range []Field{
			FieldRevision, FieldInjection, FieldInject, FieldInjectAnnotation, FieldImageAuto, FieldVersion, FieldTarget, FieldGatewayClass, FieldStrategy,
		} {
			if o.Has(f) {
				out = append(out, fmt.Sprintf("%s %s %d", o.Name, f, o.FieldLine(f)))
			}
		}
	}
	return out
}

func TestLinesOfFields(t *testing.T) {
	t.Parallel()
	const podLabels = "{template: {metadata: {labels: {istio.io/rev: x}}}}"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"block style": {
			"# c\n\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    # c\n    istio.io/rev: x\n    istio-injection: enabled\n",
			[]string{"a metadata.labels[istio.io/rev] 9", "a metadata.labels[istio-injection] 10"},
		},
		"flow style": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: a,\n  labels: {istio.io/rev: x,\n    istio-injection: enabled}}\n",
			[]string{"a metadata.labels[istio.io/rev] 4", "a metadata.labels[istio-injection] 5"},
		},
		"a value on the next line":  {"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio.io/rev:\n      x\n", []string{"a metadata.labels[istio.io/rev] 7"}},
		"a value of several lines":  {"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio.io/rev: >-\n      x\n    b: c\n", []string{"a metadata.labels[istio.io/rev] 6"}},
		"behind a text of lines":    {"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  annotations:\n    x: |\n      istio.io/rev: no\n\n      y\n  labels:\n    istio.io/rev: x\n", []string{"a metadata.labels[istio.io/rev] 11"}},
		"lines that end as in DOS":  {"apiVersion: v1\r\nkind: Namespace\r\nmetadata:\r\n  name: a\r\n  labels:\r\n    istio.io/rev: x\r\n", []string{"a metadata.labels[istio.io/rev] 6"}},
		"behind a byte order mark":  {"\ufeffapiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio.io/rev: x\n", []string{"a metadata.labels[istio.io/rev] 6"}},
		"an alias":                  {"x: &l\n  istio.io/rev: x\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: *l\n", []string{"a metadata.labels[istio.io/rev] 2"}},
		"a merge":                   {"x: &l\n  istio.io/rev: x\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    <<: *l\n    b: c\n", []string{"a metadata.labels[istio.io/rev] 2"}},
		"an aliased value":          {"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: &n a\n  labels:\n    istio.io/rev: *n\n", []string{"a metadata.labels[istio.io/rev] 6"}},
		"a key that is given twice": {"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio.io/rev: x\n    istio.io/rev: z\n", []string{"a metadata.labels[istio.io/rev] 7"}},
		"the second document":       {"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n---\n# c\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {istio.io/rev: x}\n", []string{"a metadata.labels[istio.io/rev] 11"}},
		"a list":                    {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: a\n    labels:\n      istio.io/rev: x\n", []string{"a metadata.labels[istio.io/rev] 9"}},
		"JSON": {
			"\n{\"apiVersion\":\"v1\",\n\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\",\n\"labels\":{\"istio.io\\/rev\":\n\"x\"}}}\n",
			[]string{"a metadata.labels[istio.io/rev] 5"},
		},
		"a key twice in JSON": {"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\",\n\"labels\":{\"istio.io/rev\":\"x\",\n\"istio.io/rev\":\"y\"}}}", []string{"a metadata.labels[istio.io/rev] 3"}},
		"JSON, one a line": {
			"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}}\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"b\",\"labels\":{\"istio.io/rev\":\"x\"}}}",
			[]string{"b metadata.labels[istio.io/rev] 2"},
		},
		"a Deployment by its template": {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, labels: {istio.io/rev: of-the-deployment}}\nspec: " + podLabels + "\n", []string{"a metadata.labels[istio.io/rev] 4"}},
		"a CronJob by its template":    {"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  jobTemplate:\n    spec: " + podLabels + "\n", []string{"a metadata.labels[istio.io/rev] 6"}},
		"an image to be replaced": {
			"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: x\n    image: x\n  - name: y\n    image: auto\n  - name: z\n    image: auto\n",
			[]string{"a spec.containers.image 10"},
		},
		"Sail's kinds": {
			"apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: t}\nspec:\n  targetRef:\n    kind: Istio\n    name: default\n---\n" +
				"apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: i}\nspec:\n  updateStrategy:\n    type: InPlace\n  version: v1.30.3\n",
			[]string{"i spec.version 15", "i spec.updateStrategy.type 14", "t spec.targetRef.name 7"},
		},
		"what looks like a field elsewhere": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspec: {labels: {istio.io/rev: x}, metadata: {labels: {istio.io/rev: x}}}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, fieldsIn(t, tc.text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A long list is cut into pieces, which know where they began.
func TestLinesOfFieldsInALongList(t *testing.T) {
	t.Parallel()
	const items, lines = 4000, 7
	for name, form := range map[string]struct{ head, item, end string }{
		"YAML": {"apiVersion: v1\nkind: List\nitems:\n", "- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: n%04d\n    labels:\n      pad: \"%s\"\n      istio.io/rev: x\n", ""},
		"JSON": {"{\"apiVersion\":\"v1\",\n\"kind\":\"List\",\n\"items\":[\n", "{\"apiVersion\":\"v1\",\n\"kind\":\n\"Namespace\",\"metadata\":{\n\"name\":\"n%04d\",\n\"labels\":{\n\"pad\":\"%s\",\n\"istio.io/rev\":\"x\"}}},\n", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"z\"}}]}"},
	} {
		var text strings.Builder
		text.WriteString(form.head)
		for i := range items {
			fmt.Fprintf(&text, form.item, i, strings.Repeat("p", 60))
		}
		text.WriteString(form.end)
		if text.Len() < longList {
			t.Fatalf("%s: %d bytes are no long list", name, text.Len())
		}
		got := fieldsIn(t, text.String())
		for i := range items {
			want := fmt.Sprintf("n%04d metadata.labels[istio.io/rev] %d", i, 3+lines*(i+1))
			if got[i] != want {
				t.Fatalf("%s: got %q, want %q", name, got[i], want)
			}
		}
	}
}

func TestWithoutFieldsTheLineIsThatOfTheObject(t *testing.T) {
	t.Parallel()
	const text = "\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {istio.io/rev: x}\n"
	for _, fields := range []bool{false, true} {
		set, err := Read(t.Context(), Options{Paths: []string{Stdin}, Input: strings.NewReader(text), Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		want := 2
		if fields {
			want = 6
		}
		if got := set.Objects[0].FieldLine(FieldInjection, FieldRevision); got != want {
			t.Errorf("fields %t: line %d, want %d", fields, got, want)
		}
		if got := set.Objects[0].FieldLine(FieldVersion); got != 2 {
			t.Errorf("fields %t: line %d of a field that is missing", fields, got)
		}
	}
}
