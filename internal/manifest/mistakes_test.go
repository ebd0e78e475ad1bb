package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMistakesHaveFileAndLine(t *testing.T) {
	t.Parallel()
	labelled := func(label string) string {
		return "# first\n---\n" + pod("fine") + "---\n" + pod("a") + "  labels:\n    app: x\n    " + label + "\n"
	}
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a label that is a boolean": {
			text: labelled("sidecar.istio.io/inject: true"),
			want: []string{"f.yaml:14: labels must be strings: metadata.labels[sidecar.istio.io/inject] is a boolean; put the value in quotes"},
		},
		"a label that is a boolean of YAML 1.1": {
			text: labelled("inject: yes"),
			want: []string{"f.yaml:14: labels must be strings: metadata.labels[inject] is a boolean; put the value in quotes"},
		},
		"a label that is a number": {
			text: labelled("version: 1.30"),
			want: []string{"f.yaml:14: labels must be strings: metadata.labels[version] is a number; put the value in quotes"},
		},
		"a label that is an object": {
			text: labelled("x: {}"),
			want: []string{"f.yaml:14: labels must be strings: metadata.labels[x] is an object; put the value in quotes"},
		},
		"a label in JSON": {
			text: "{\"apiVersion\":\"v1\",\n\"kind\":\"Pod\",\n\"metadata\":{\"name\":\"a\",\n\"labels\":{\"app\":\n  7}}}",
			want: []string{"f.yaml:5: labels must be strings: metadata.labels[app] is a number; put the value in quotes"},
		},
		"a label of a namespace": {
			text: "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio-injection: on\n",
			want: []string{"f.yaml:6: labels must be strings: metadata.labels[istio-injection] is a boolean; put the value in quotes"},
		},
		"an annotation of a pod template": {
			text: deployment + "spec:\n  template:\n    metadata:\n      annotations:\n        sidecar.istio.io/inject: false\n",
			want: []string{"f.yaml:8: annotations must be strings: spec.template.metadata.annotations[sidecar.istio.io/inject] is a boolean; put the value in quotes"},
		},
		"a label in the template of a CronJob": {
			text: "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        metadata: {labels: {a: 1}}\n",
			want: []string{"f.yaml:8: labels must be strings: spec.jobTemplate.spec.template.metadata.labels[a] is a number; put the value in quotes"},
		},
		"a label behind an alias": {
			text: "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations: {x: &x 1}\n  labels:\n    b: *x\n",
			want: []string{"f.yaml:5: annotations must be strings: metadata.annotations[x] is a number; put the value in quotes"},
		},
		"a label of a Sail object": {
			text: "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata:\n  name: a\n  labels:\n    x: 1\n",
			want: []string{"f.yaml:6: labels must be strings: metadata.labels[x] is a number; put the value in quotes"},
		},
		"a string where a boolean belongs": {
			text: pod("a") + "spec:\n  hostNetwork: \"true\"\n",
			want: []string{"f.yaml:6: spec.hostNetwork must be a boolean, not a string"},
		},
		"an object where a list belongs": {
			text: pod("a") + "spec:\n  containers:\n    name: x\n",
			want: []string{"f.yaml:7: spec.containers must be a list, not an object"},
		},
		"a list where a string belongs": {
			text: pod("a") + "spec:\n  containers:\n  - name: x\n  - image:\n    - x\n",
			want: []string{"f.yaml:9: spec.containers[1].image must be a string, not a list"},
		},
		"a number where an object belongs": {text: pod("a") + "spec: 1\n", want: []string{"f.yaml:5: spec must be an object, not a number"}},
		"a string where a number belongs":  {text: deployment + "spec: {replicas: many}\n", want: []string{"f.yaml:4: spec.replicas must be a number, not a string"}},
		"a Deployment without a template":  {text: deployment + "spec: {}\n", want: []string{"f.yaml:1: Deployment: the pod template is missing"}},
		"a CronJob without a template":     {text: "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\n", want: []string{"f.yaml:2: CronJob: the pod template is missing"}},
		"no kind":                          {text: "\napiVersion: v1\nknid: Pod\n", want: []string{"f.yaml:2: kind is missing"}},
		"no apiVersion":                    {text: "kind: Pod\n", want: []string{"f.yaml:1: apiVersion is missing"}},
		"a kind that is no text":           {text: "apiVersion: v1\nkind: 1\n", want: []string{"f.yaml:2: kind must be a string"}},
		"an empty object":                  {text: "{}\n", want: []string{"f.yaml:1: kind is missing"}},
		"no name":                          {text: "apiVersion: v1\nkind: Pod\nmetadata: {}\n", want: []string{"f.yaml:1: metadata.name is missing"}},
		"no metadata at all":               {text: "apiVersion: sailoperator.io/v1\nkind: Istio\n", want: []string{"f.yaml:1: metadata.name is missing"}},
		"text instead of an object":        {text: "---\nhello\n", want: []string{"f.yaml:2: malformed YAML: this is text, not an object"}},
		"a list instead of an object":      {text: "# x\n- a\n", want: []string{"f.yaml:2: want an object, not a list"}},
		"a JSON list instead of an object": {text: "[]", want: []string{"f.yaml:1: want an object, not a list"}},
		"an indentation that fits nothing": {text: pod("a") + " x: y\n", want: []string{"f.yaml:5: malformed YAML: did not find expected key"}},
		"a tab as indentation":             {text: pod("a") + "---\na:\n\tb: c\n", want: []string{"f.yaml:7: malformed YAML: found character that cannot start any token"}},
		"two values on one line":           {text: pod("a: b"), want: []string{"f.yaml:4: malformed YAML: mapping values are not allowed in this context"}},
		"quotes that do not end":           {text: pod("'a"), want: []string{"f.yaml:5: malformed YAML: found unexpected end of stream"}},
		"an alias without an anchor":       {text: "a: 1\nb: *x\n", want: []string{"f.yaml:2: malformed YAML: unknown anchor 'x' referenced"}},
		"an anchor within itself":          {text: "a: &x\n  b: *x\n", want: []string{"f.yaml:2: malformed YAML: the anchor x contains itself"}},
		"a merge of itself":                {text: "a: &x\n  <<: *x\n", want: []string{"f.yaml:2: malformed YAML: a mapping is merged into itself"}},
		"a merge of what is no mapping":    {text: "a: &x [1]\nb:\n  <<: *x\n", want: []string{"f.yaml:3: malformed YAML: only mappings can be merged"}},
		"a key that is a list":             {text: "? [a]\n: b\n", want: []string{"f.yaml:1: malformed YAML: a key must be text"}},
		"a key that is null":               {text: "a: b\n~: c\n", want: []string{"f.yaml:2: malformed YAML: a key must not be null"}},
		"a number that JSON cannot hold":   {text: "a:\n- .inf\n", want: []string{"f.yaml:2: malformed YAML: .inf is no number that JSON can hold"}},
		"a tag that does not fit":          {text: "a: !!int x\n", want: []string{"f.yaml:1: malformed YAML: \"x\" is no !!int"}},
		"a template of Helm's":             {text: "{{- if .Values.x }}\napiVersion: v1\n", want: []string{"f.yaml:1: malformed JSON: invalid character '{' looking for beginning of object key string", "f.yaml:2: there is text behind a JSON object; documents are separated by ---"}},
		"text behind JSON on its line":     {text: "{\"apiVersion\":\"v1\",\"kind\":\"Secret\"} x\n", want: []string{"f.yaml:1: want an object that begins with {, not \"x\""}},
		"text behind JSON":                 {text: "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}\n\nx\n", want: []string{"f.yaml:3: there is text behind a JSON object; documents are separated by ---"}},
		"JSON that does not end":           {text: "{\"apiVersion\":\"v1\",\n\"kind\":\"Pod\"", want: []string{"f.yaml:2: malformed JSON: unexpected end of JSON input"}},
		"JSON with a comma too many":       {text: "{\"apiVersion\":\"v1\",\n\"kind\":\"List\",\"items\":[\n{\"apiVersion\":\"v1\",\"kind\":\"Secret\"} 2]}", want: []string{"f.yaml:3: malformed JSON: invalid character '2' after array element"}},
		"JSON with a comma missing":        {text: "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\n\"a\":{\"b\" 1}}", want: []string{"f.yaml:2: malformed JSON: invalid character '1' after object key"}},
		"a list item that is no object":    {text: "apiVersion: v1\nkind: List\nitems:\n- 1\n- a\n", want: []string{"f.yaml:4: the items of a list must be objects, not \"1\"", "f.yaml:5: the items of a list must be objects, not a string"}},
		"UTF-16":                           {text: "\xff\xfek\x00", want: []string{"f.yaml:1: this is UTF-16; save the file as UTF-8"}},
		"a control character":              {text: "a: b\nc: \x01\n", want: []string{"f.yaml:2: malformed YAML: control characters are not allowed (value: 1)"}},
		"bytes that are no UTF-8":          {text: pod("a") + "x: \xff\n", want: []string{"f.yaml:5: malformed YAML: invalid leading UTF-8 octet (value: 255)"}},
		"what is wrong with several documents": {
			text: pod("") + "---\n" + pod("b: c") + "---\nkind: Pod\n---\nx: [\n",
			want: []string{
				"f.yaml:1: metadata.name is missing",
				"f.yaml:9: malformed YAML: mapping values are not allowed in this context",
				"f.yaml:11: apiVersion is missing",
				"f.yaml:14: malformed YAML: did not find expected node content",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, map[string]string{"f.yaml": tc.text})
			_, err := Read(t.Context(), Options{Paths: []string{dir}})
			if diff := cmp.Diff(tc.want, mistakes(t, err, dir)); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListsAreNotNestedWithoutEnd(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 12) + strings.Repeat("]}", 12)
	dir := written(t, map[string]string{"f.json": text})
	_, err := Read(t.Context(), Options{Paths: []string{dir}})
	want := []string{"f.json:1: lists are nested more than 8 deep"}
	if diff := cmp.Diff(want, mistakes(t, err, dir)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestAliasesCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	bombs := map[string]func(i int) string{
		"aliases": func(i int) string { return fmt.Sprintf("a%d: &a%d [%s]\n", i, i, repeated("*a", i-1)) },
		"merges of several": func(i int) string {
			return fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i, i, repeated("*a", i-1))
		},
		"values of merges": func(i int) string {
			return fmt.Sprintf("a%d: &a%d {p: {<<: *a%d}, q: {<<: *a%d}, r: {<<: *a%d}, s: {<<: *a%d}}\n", i, i, i-1, i-1, i-1, i-1)
		},
	}
	for name, line := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := []string{"a0: &a0 {k: 1234567890}\n"}
			for i := 1; i < 30; i++ {
				lines = append(lines, line(i))
			}
			dir := written(t, map[string]string{"f.yaml": strings.Join(lines, "")})
			_, err := Read(t.Context(), Options{Paths: []string{dir}})
			got := mistakes(t, err, dir)
			if len(got) != 1 || !strings.Contains(got[0], "unfold to more than") && !strings.Contains(got[0], "merges too many keys") {
				t.Errorf("got %q, want the bound that was exceeded", got)
			}
		})
	}
}

func repeated(name string, i int) string {
	return strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%s%d, ", name, i), 5), ", ")
}

func TestMistakesOfAllFilesAreReportedUpToABound(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("%02d.yaml", i)] = "\nkind: Pod\n"
	}
	dir := written(t, files)
	_, err := Read(t.Context(), Options{Paths: []string{dir}})
	all := mistakes(t, err, dir)
	if len(all) != 30 || all[0] != "00.yaml:2: apiVersion is missing" || all[29] != "29.yaml:2: apiVersion is missing" {
		t.Errorf("got %d mistakes, from %q to %q", len(all), all[0], all[len(all)-1])
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxReported+1 || lines[maxReported] != "and 10 more" {
		t.Errorf("the text has %d lines and ends in %q", len(lines), lines[len(lines)-1])
	}
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 {
		t.Errorf("errors.As found %v", one)
	}
}

func TestRepeatedKeysAreWarnedOf(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{"f.yaml": pod("a") + "  labels:\n    app: x\n  labels:\n    app: z\n"})
	set, err := Read(t.Context(), Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/f.yaml:7: labels is given twice; as with kubectl, the last one counts"}
	if diff := cmp.Diff(want, set.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	for _, w := range All[*Workload](set) {
		if got := w.Pod.Labels[0].Value; got != "z" {
			t.Errorf("got label %q, want the last one", got)
		}
	}
}

func TestWaitingForInputEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, typing := io.Pipe()
	t.Cleanup(func() { _ = typing.Close() })
	done := make(chan error, 1)
	go func() {
		_, err := Read(ctx, Options{Paths: []string{Stdin}, Input: in})
		done <- err
	}()
	// Once this is taken, somebody waits for more.
	if _, err := io.WriteString(typing, "a: b\n"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestReadingStopsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := written(t, map[string]string{"f.yaml": pod("a")})
	set, err := Read(ctx, Options{Paths: []string{dir}})
	if !errors.Is(err, context.Canceled) || set != nil {
		t.Errorf("got %v and error %v, want nothing and context.Canceled", set, err)
	}
}
