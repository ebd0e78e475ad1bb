package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written makes a directory of the files, whose names may have slashes.
func written(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listing is one line per object: kind, namespace/name, file:line.
func listing(set *Set, dir string) []string {
	var out []string
	for _, o := range set.Objects {
		file := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(o.File, dir)), "/")
		out = append(out, fmt.Sprintf("%s %s/%s %s:%d", o.Kind, o.Namespace, o.Name, file, o.Line))
	}
	return out
}

// mistakes is one line per error.
func mistakes(t testing.TB, err error, dir string) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("got error %v (%T), want Errors", err, err)
	}
	var out []string
	for _, e := range all {
		out = append(out, strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(e.Error(), dir)), "/"))
	}
	return out
}

const onePod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n"

func pod(name string) string { return fmt.Sprintf(onePod, name) }

func TestReadForms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"an empty file":                           {text: ""},
		"nothing but comments":                    {text: "# one\n\n  # two\n"},
		"nothing but separators":                  {text: "---\n---\n# x\n---\n"},
		"an explicit null":                        {text: "---\nnull\n---\n~\n"},
		"one document":                            {text: pod("a"), want: []string{"Pod default/a f.yaml:1"}},
		"no newline at the end":                   {text: strings.TrimSuffix(pod("a"), "\n"), want: []string{"Pod default/a f.yaml:1"}},
		"several documents":                       {text: pod("a") + "---\n" + pod("b"), want: []string{"Pod default/a f.yaml:1", "Pod default/b f.yaml:6"}},
		"empty documents between":                 {text: "---\n---\n" + pod("a") + "---\n# c\n---\n\n" + pod("b"), want: []string{"Pod default/a f.yaml:3", "Pod default/b f.yaml:11"}},
		"separators with comments and blanks":     {text: "--- # one\n" + pod("a") + "---   \n" + pod("b"), want: []string{"Pod default/a f.yaml:2", "Pod default/b f.yaml:7"}},
		"content on the line of the separator":    {text: "--- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n--- \n" + pod("b"), want: []string{"Pod default/a f.yaml:1", "Pod default/b f.yaml:3"}},
		"document end markers and directives":     {text: "%YAML 1.1\n---\n" + pod("a") + "...\n%YAML 1.1\n---\n" + pod("b") + "...\n", want: []string{"Pod default/a f.yaml:3", "Pod default/b f.yaml:10"}},
		"a separator inside of literal text":      {text: pod("a") + "x: |\n  a\n  ---\n  b\n", want: []string{"Pod default/a f.yaml:1"}},
		"a byte order mark":                       {text: "\ufeff" + pod("a"), want: []string{"Pod default/a f.yaml:1"}},
		"a byte order mark before JSON":           {text: "\ufeff" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}`, want: []string{"Pod default/a f.yaml:1"}},
		"lines that end in CR LF":                 {text: strings.ReplaceAll(pod("a")+"---\n"+pod("b"), "\n", "\r\n"), want: []string{"Pod default/a f.yaml:1", "Pod default/b f.yaml:6"}},
		"JSON":                                    {text: "{\n \"apiVersion\": \"v1\",\n \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}\n}\n", want: []string{"Pod default/a f.yaml:1"}},
		"JSON lines":                              {text: "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}\n\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"b{\"}}\n", want: []string{"Pod default/a f.yaml:1", "Pod default/b{ f.yaml:3"}},
		"JSON values on one line":                 {text: "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}} {\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"b\"}}", want: []string{"Pod default/a f.yaml:1", "Pod default/b f.yaml:1"}},
		"JSON and YAML in turn":                   {text: "# c\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\n\"metadata\":{\"name\":\"a\"}}\n---\n" + pod("b") + "---\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"c\"}}\n", want: []string{"Pod default/a f.yaml:2", "Pod default/b f.yaml:5", "Pod default/c f.yaml:10"}},
		"YAML in flow style":                      {text: "{apiVersion: v1,\n kind: Pod, metadata: {name: a}}\n", want: []string{"Pod default/a f.yaml:1"}},
		"a list":                                  {text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n", want: []string{"Pod default/a f.yaml:4"}},
		"an empty list":                           {text: "apiVersion: v1\nkind: List\nitems: []\n"},
		"a list without items":                    {text: "apiVersion: v1\nkind: List\n"},
		"a list of lists":                         {text: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]}]}`, want: []string{"Pod default/a f.yaml:1"}},
		"a list whose items leave their type out": {text: "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n- {kind: Namespace, metadata: {name: b}}\n", want: []string{"Namespace /b f.yaml:5", "Pod default/a f.yaml:4"}},
		"unknown kinds and groups":                {text: "apiVersion: v1\nkind: Secret\n---\napiVersion: example.com/v1\nkind: Pod\n---\napiVersion: example.com/v1\nkind: PlayList\nitems: many\n"},
		"a kind of another version":               {text: "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: Gateway\nmetadata: {name: g}\n", want: []string{"Gateway default/g f.yaml:1"}},
		"a generated name, twice":                 {text: "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", want: []string{"Pod default/a-* f.yaml:1", "Pod default/a-* f.yaml:5"}},
		"the same object twice":                   {text: pod("a") + "---\n" + pod("a"), want: []string{"Pod default/a f.yaml:6"}},
		"a namespace of its own":                  {text: "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n", want: []string{"Pod shop/a f.yaml:1"}},
		"anchors, aliases and merges":             {text: "apiVersion: v1\nkind: List\nx: &x {apiVersion: v1, kind: Pod}\nitems:\n- <<: *x\n  metadata: {name: a}\n", want: []string{"Pod default/a f.yaml:5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, map[string]string{"f.yaml": tc.text})
			set, err := Read(t.Context(), Options{Paths: []string{dir}})
			if diff := cmp.Diff([]string(nil), mistakes(t, err, dir)); diff != "" {
				t.Fatalf("mistakes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, listing(set, dir)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadPaths(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{
		"mesh/b.yaml": pod("b"), "mesh/a/z.yml": pod("z"), "mesh/c.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}`,
		"mesh/d.jsonl": "", "mesh/README.md": "no manifest", "mesh/.hidden.yaml": "{", "mesh/.git/x.yaml": "{", "mesh/.git/empty/y.md": "",
		"outside/o.yaml": pod("o"), "any.txt": pod("any"), ".named.yaml": pod("named"),
	})
	link(t, filepath.Join(dir, "outside", "o.yaml"), filepath.Join(dir, "mesh", "e.yaml"))
	link(t, filepath.Join("a", "z.yml"), filepath.Join(dir, "mesh", "f.yaml"))
	link(t, "a", filepath.Join(dir, "mesh", "loop.yaml"))
	if err := os.Mkdir(filepath.Join(dir, "broken"), 0o750); err != nil {
		t.Fatal(err)
	}
	link(t, "nothing", filepath.Join(dir, "broken", "x.yaml"))

	for name, tc := range map[string]struct {
		paths    []string
		input    string
		want     []string
		warnings []string
		mistakes []string
	}{
		"a directory, without hidden files and links that lead out of it": {
			paths: []string{"mesh"},
			want: []string{
				"Pod default/b mesh/b.yaml:1", "Pod default/c mesh/c.json:1", "Pod default/z mesh/f.yaml:1",
			},
			warnings: []string{"mesh/e.yaml: passed over: this link leads out of the directory"},
		},
		"a file may be called anything":     {paths: []string{"any.txt"}, want: []string{"Pod default/any any.txt:1"}},
		"a hidden file that is named":       {paths: []string{".named.yaml"}, want: []string{"Pod default/named .named.yaml:1"}},
		"a link that is named is followed":  {paths: []string{"mesh/e.yaml"}, want: []string{"Pod default/o mesh/e.yaml:1"}},
		"standard input":                    {paths: []string{"-"}, input: pod("i"), want: []string{"Pod default/i -:1"}},
		"standard input and files in order": {paths: []string{"any.txt", "-"}, input: pod("any"), want: []string{"Pod default/any -:1"}},
		"standard input twice":              {paths: []string{"-", "-"}, input: pod("i"), mistakes: []string{"-: standard input can be read only once"}},
		"a subdirectory, with its links":    {paths: []string{"mesh/a"}, want: []string{"Pod default/z mesh/a/z.yml:1"}},
		"a file that is not there":          {paths: []string{"none.yaml", "any.txt"}, mistakes: []string{"none.yaml: cannot be read: no such file or directory"}},
		"a directory that is not there":     {paths: []string{"docs/"}, mistakes: []string{"docs: cannot be read: no such file or directory"}},
		"a directory without manifests": {
			paths:    []string{"mesh/.git/empty"},
			mistakes: []string{"mesh/.git/empty: this directory holds no file that ends in .yaml, .yml, .json, .jsonl"},
		},
		"a link to nothing": {paths: []string{"broken"}, mistakes: []string{"broken/x.yaml: cannot be read: no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := make([]string, len(tc.paths))
			for i, p := range tc.paths {
				if paths[i] = p; p != Stdin {
					paths[i] = filepath.Join(dir, filepath.FromSlash(p))
				}
			}
			set, err := Read(t.Context(), Options{Paths: paths, Input: strings.NewReader(tc.input)})
			if diff := cmp.Diff(tc.mistakes, mistakes(t, err, dir)); diff != "" {
				t.Fatalf("mistakes (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, listing(set, dir)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			var warnings []string
			for _, w := range set.Warnings {
				warnings = append(warnings, strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(w, dir)), "/"))
			}
			if diff := cmp.Diff(tc.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skipf("this file system has no links: %v", err)
	}
}
