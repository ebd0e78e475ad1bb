package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// parsed reads all documents with the YAML parser alone.
func parsed(data []byte) ([]yamlDocument, error) {
	r, err := newYAMLReader(data)
	if err != nil {
		return nil, err
	}
	var docs []yamlDocument
	for {
		doc, err := r.next()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, err
		}
		docs = append(docs, *doc)
	}
}

// same compares the two ways to read YAML, and reports whether the quick one took the text.
func same(t *testing.T, text string) bool {
	t.Helper()
	var quick blockReader
	got := quick.read([]byte(text))
	if got == nil {
		return false
	}
	want, err := parsed([]byte(text))
	if err != nil || len(want) != 1 {
		t.Fatalf("took what is no single document (%d documents, %v):\n%s", len(want), err, text)
	}
	if len(want[0].keys) > 0 {
		t.Fatalf("took a mapping with repeated keys %q:\n%s", want[0].keys, text)
	}
	if diff := cmp.Diff(string(want[0].json), string(got.json)); diff != "" {
		t.Fatalf("JSON (-parser +quick):\n%s\nof:\n%s", diff, text)
	}
	if diff := cmp.Diff(want[0].marks, got.marks, cmp.AllowUnexported(mark{})); diff != "" {
		t.Fatalf("lines (-parser +quick):\n%s\nof:\n%s", diff, text)
	}
	return true
}

func seeds(t testing.TB) []string {
	t.Helper()
	texts := []string{
		fmt.Sprintf(podYAML, "shop", 7, "prod"),
		"a: 1\nb: two\n",
		"---\na:\n- b: c\n  d:\n  - 1\n  -  2\n- e\nf: {}\n",
		"a:\n  b:\n    c: d\n  e: f\ng:\nh: null\n",
		"a: |\n  x\n   y\n\n  z  \n\nb: |-\n    q\n",
		"a: |\n\n  x\nb: c\n",
		"- a: 1\n  b: 2\n- c\n- \"d\\te\"\n- 'f g'\n",
		"  - a: 1\n  - b\n",
		"a: \"\"\nb: ''\nc: \"x\\\"y\"\nd: 'it''s'\n",
		"a: 'b''c'\nd: ''''\n", "a: '''\n", "a: 'g'h'\n", "a: 'b'''\n", "a: ''b'\n", "a: 'b''\n", "a: 'b'' c'\n",
		"a: yes\nb: 0x1F\nc: 1_000\nd: 1.5e3\ne: 012\nf: .5\ng: -3\nh: +4\ni: 1.2.3\nj: ~\n",
		"a: b # c\n# d\ne: f#g\n\n\nh: i\n",
		"a: b\na: c\n", "yes: 1\n", "a: b: c\n", "a: [1, 2]\n", "a: {b: c}\n", "a: *b\n", "a: &b c\n", "a:\n - b\n  - c\n",
		"a: b\n  c\nd: e\n", "a: 'b\n  c'\n", "a:\n  b: c\n d: e\n", "a:\n- b\nc:\n  - d\n", "- - a\n", "-\n  a: b\n", "a: !!str 1\n",
		"? a\n: b\n", "a: >\n  b\n", "a: |2\n   b\n", "a:\tb\n", "a: b\r\nc: d\r\n", "a: \u00e9\nb: |\n  x\u4e16\n# \u20ac\n", "a: x\u2028b\n", "a: x\u0085b\n", "a: x\ufeffb\n", "a: x\xff\n", "a: x\u007f\n",
		"a: x\U0001f600y\nb: \"\u00fc\"\nc: '\u00fc'\n", "a: |\r\n  x\r\n  y\r\nb: |-\r\n  z\r\n\r\nc: d\r\n", "a: x\ry\n", "a: b\r\r\n", "a: b", "%YAML 1.2\n---\na: b\n",
		"- |\n a\n- b\n", "a:\n- |-\n  x\n  y\n- z\n", "a: --x\nb: -1-2\nc: (d)\ne: $F\ng: a, b\nh: x]\ni: http://j:80/k?l=m\n",
		"a: |\n  x\n # y\nb: c\n", "a: |\n  x\n y\nb: c\n", "a:\n  # c\n  b: d\n", "a:\n# c\n- b\n# d\n- e\n", "a: ---\nb: ...\n",
		"a:\n  - b:\n    - c\n    d: e\n  - f\n", "a: <<\n", "<<: a\n", "a: =\n", "a: .inf\nb: 1\n", "a: 1e999\n", "a/b.c-d_e: f\n",
		"x:\n    y: 1\n  z: 2\n", "a: b\n- c\n", "- a\nb: c\n", "a:\n\n\n  b: c\n\n", "a: b   \nc:   d\n", "a:\n  |\n  x\n",
	}
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	return texts
}

func TestTheQuickReaderAgreesWithTheParser(t *testing.T) {
	t.Parallel()
	taken := 0
	for _, text := range seeds(t) {
		if same(t, text) {
			taken++
		}
	}
	if taken < 10 {
		t.Errorf("the quick reader took only %d texts, so that little was compared", taken)
	}
	if !same(t, fmt.Sprintf(podYAML, "shop", 7, "prod")) {
		t.Error("the quick reader did not take an ordinary pod")
	}
}

// TestTheQuickReaderTakesWhatKubectlPrints writes every object of the recorded meshes as kubectl does.
func TestTheQuickReaderTakesWhatKubectlPrints(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/meshes/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no meshes: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Items []map[string]any `json:"items"`
		}
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			text, err := yaml.Marshal(item)
			if err != nil {
				t.Fatal(err)
			}
			if !same(t, string(text)) {
				t.Errorf("%s: not taken:\n%s", file, text)
			}
		}
	}
}

func FuzzTheQuickReaderAgreesWithTheParser(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { same(t, text) })
}

// sameAsKubectl compares with the conversion that kubectl does.
func sameAsKubectl(t *testing.T, text string) {
	t.Helper()
	docs, err := parsed([]byte(text))
	if err != nil || len(docs) != 1 {
		return
	}
	want, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("read as %s, but kubectl says %v:\n%s", docs[0].json, err, text)
	}
	var wantValue, gotValue any
	if err := json.Unmarshal(want, &wantValue); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(docs[0].json, &gotValue); err != nil {
		t.Fatalf("no JSON: %v\n%s\nof:\n%s", err, docs[0].json, text)
	}
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Fatalf("(-kubectl +got):\n%s\nof:\n%s", diff, text)
	}
}

func TestYAMLMeansWhatKubectlReads(t *testing.T) {
	t.Parallel()
	texts := append(seeds(t),
		"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n",
		"a: &x {b: 1}\nd:\n  b: 3\n  <<: *x\n",
		"a: &x {b: 1}\ny: &y {b: 2, c: 4}\nd:\n  <<: [*x, *y]\n",
		"a: &x [1, 2]\nb: *x\n",
		"a: !!str 12\nb: !!int '12'\nc: !!float 1\nd: !!null ''\ne: !!binary aGVsbG8=\nf: !x y\n",
		"1: a\n1.5: b\ntrue: c\n0.1: d\n",
		"a: 2001-12-14\nb: 2001-12-14T21:59:43Z\nc: 12:30:45\nd: 0b101\ne: 0o17\nf: 1_0\ng: _1\nh: 1__0\ni: 0x\nj: +\nk: 1e3\nl: 1.\nm: .\n",
		"a: 18446744073709551615\nb: 18446744073709551616\nc: -9223372036854775808\n",
		"a: >\n  folded\n  text\n\n  more\nb: |+\n  kept\n\n",
		"a: \"\\u00e9\\x41\\e\\ \\_\\N\"\n", "\"a\": {\"b\": [1, null, \"c d\"]}\n",
	)
	for _, text := range texts {
		if strings.Contains(text, "\x7f") {
			continue // the one character that kubectl's parser refuses and this one does not
		}
		sameAsKubectl(t, text)
	}
}

// The types of plain scalars are this package's own rules; everything else about YAML is the parser's.
func FuzzPlainScalarsMeanWhatKubectlReads(f *testing.F) {
	for _, scalar := range []string{
		"", "~", "yes", "No", "oFF", "1", "-1", "+1", "0x1f", "0o17", "017", "08", "1_000", "1.5", "1e3", "1e", "1e+", ".5", ".",
		"1.2.3", "2001-12-14", "12e03", "0b11", "-0b11", "0b2", "9223372036854775808", "18446744073709551616", "1e999", "v1.30", "_1",
		"-", "--", "+-1", "-.5", "+.5e1", "0x", "1__0", "-_", "NaN", "Infinity", "0x1p4", "1_0.5_0",
	} {
		f.Add(scalar)
	}
	f.Fuzz(func(t *testing.T, scalar string) {
		odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("?&*!%#{}[]|>'\"`@:,<=", r) }
		if len(scalar) > 100 || strings.ContainsFunc(scalar, odd) || strings.HasPrefix(scalar, "---") || strings.HasPrefix(scalar, "...") {
			t.Skip("no plain scalar")
		}
		sameAsKubectl(t, "a: "+scalar+"\n")
		if !strings.ContainsAny(scalar, ".eE0123456789~") && scalar != "" && scalar != "-" {
			sameAsKubectl(t, scalar+": a\n")
		}
	})
}
