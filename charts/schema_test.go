package charts_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// keywords are those of a JSON Schema that say which keys there are.
type keywords struct {
	Properties           map[string]keywords `json:"properties"`
	AdditionalProperties json.RawMessage     `json:"additionalProperties"`
	Items                *keywords           `json:"items"`
	Type                 json.RawMessage     `json:"type"`
}

func TestSchemaAndValuesHaveTheSameKeys(t *testing.T) {
	var root keywords
	if err := json.Unmarshal(chartFile(t, "values.schema.json"), &root); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(chartFile(t, "values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	// What Helm adds where another chart depends on this one.
	delete(root.Properties, "global")
	delete(root.Properties, "enabled")
	compareKeys(t, "", root, values)
}

func compareKeys(t *testing.T, path string, s keywords, values map[string]any) {
	t.Helper()
	inSchema := slices.Sorted(maps.Keys(s.Properties))
	if diff := cmp.Diff(inSchema, slices.Sorted(maps.Keys(values))); diff != "" {
		t.Errorf("keys of %q (-schema +values):\n%s", path, diff)
	}
	// The keys of these are chosen by who sets them.
	free := []string{"resources", "policy.rules"}
	for key, property := range s.Properties {
		child, isMap := values[key].(map[string]any)
		if isMap && len(property.Properties) > 0 && !slices.Contains(free, path+key) {
			compareKeys(t, path+key+".", property, child)
		}
	}
}

// A key that nobody knows must be an error at every level, or a misspelt value would silently mean the default.
func TestSchemaIsClosed(t *testing.T) {
	var document struct {
		keywords
		Definitions map[string]keywords `json:"definitions"`
	}
	if err := json.Unmarshal(chartFile(t, "values.schema.json"), &document); err != nil {
		t.Fatal(err)
	}
	open := []string{"/global", "/extraObjects[]", "#kubernetes", "#containers[]"}
	var walk func(path string, s keywords)
	walk = func(path string, s keywords) {
		if strings.Contains(string(s.Type), "object") {
			switch text := string(s.AdditionalProperties); {
			case text == "":
				t.Errorf("%s does not say whether it takes further keys", path)
			case text == "true" && !slices.Contains(open, path):
				t.Errorf("%s takes any key", path)
			}
		}
		for key, property := range s.Properties {
			walk(path+"/"+key, property)
		}
		if s.Items != nil {
			walk(path+"[]", *s.Items)
		}
	}
	walk("", document.keywords)
	for name, definition := range document.Definitions {
		walk("#"+name, definition)
	}
}

// Every value is judged: with a mistake in each of them at once, the refusal names each. Objects get a key that does not
// exist, everything else a value of a type that it does not have.
func TestEveryValueIsJudged(t *testing.T) {
	var root keywords
	if err := json.Unmarshal(chartFile(t, "values.schema.json"), &root); err != nil {
		t.Fatal(err)
	}
	delete(root.Properties, "global") // takes anything
	wrong, paths := mistakes("", root)
	text, err := yaml.Marshal(wrong)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "wrong.yaml", string(text))
	got := refusal(t, "--values", filepath.Join(dir, "wrong.yaml"))
	if len(paths) < 100 {
		t.Fatalf("%d values: the walk missed most", len(paths))
	}
	for _, path := range paths {
		if !strings.Contains(got, "at '"+path+"'") && !strings.Contains(got, "at '"+path+"/0") { // or the first of a list
			t.Errorf("%s: its mistake is not told of", path)
		}
	}
}

// mistakes returns wrong values for what a schema describes, and where they are.
func mistakes(path string, s keywords) (wrong map[string]any, paths []string) {
	wrong = map[string]any{"no-such-key": true}
	paths = append(paths, path)
	for key, property := range s.Properties {
		if len(property.Properties) > 0 {
			child, below := mistakes(path+"/"+key, property)
			wrong[key] = child
			paths = append(paths, below...)
			continue
		}
		wrong[key] = []any{[]any{}} // neither an object, nor a text, a number or a list of any of these
		paths = append(paths, path+"/"+key)
	}
	return wrong, paths
}
