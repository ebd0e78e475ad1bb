package docs

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/routing/skew"
)

// policies are the documents that policy.md shows, in order.
func policies(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "policy.md"), -1) {
		found = append(found, block[1])
	}
	if len(found) < 4 {
		t.Fatalf("policy.md shows %d policies", len(found))
	}
	return found
}

func TestPoliciesThatAreShownAreRight(t *testing.T) {
	shown := policies(t)
	everything, err := config.Parse([]byte(shown[0]))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), everything, cmp.Transformer("rules", func(l config.Levels) map[skew.Rule]skew.Level {
		if len(l) == 0 {
			return nil
		}
		return l
	})); diff != "" {
		t.Errorf("policy.md shows other defaults (-code +shown):\n%s", diff)
	}
	wrong := 0
	for _, document := range shown[1:] {
		if _, err := config.Parse([]byte(document)); err != nil {
			wrong++
			says := regexp.MustCompile(`, (\w+[\[.:])`).ReplaceAllString(err.Error(), ",\n $1")
			if !strings.Contains(read(t, "policy.md"), "```\n"+says+"\n```") {
				t.Errorf("policy.md does not say what is wrong with\n%sbut it is\n%s", document, says)
			}
		}
	}
	if wrong != 1 {
		t.Errorf("%d policies are wrong, want the one that is shown for it", wrong)
	}
}

// The one for looking before anything is refused has to warn about every rule that would refuse.
func TestThePolicyThatOnlyWarnsRefusesNothing(t *testing.T) {
	for _, document := range policies(t)[1:] {
		p, err := config.Parse([]byte(document))
		if err != nil || p.Unresolved != "Warn" {
			continue
		}
		for _, rule := range skew.Rules() {
			if level := p.Skew().Level(rule.Rule); level == skew.Deny {
				t.Errorf("%s would still refuse", rule.Rule)
			}
		}
		return
	}
	t.Error("policy.md shows no policy that only warns")
}

func TestEveryKeyOfThePolicyHasItsRow(t *testing.T) {
	var want []string
	keysOf(reflect.TypeFor[config.RouterPolicy](), "", &want)
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(read(t, "policy.md"), -1) {
		got = append(got, row[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-code +policy.md):\n%s", diff)
	}
}

// keysOf lists the keys of a type. What reads itself from JSON and is no list is a leaf, and so are lists of texts.
func keysOf(t reflect.Type, path string, keys *[]string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		key := path + name
		switch kind := f.Type; {
		case kind.Kind() == reflect.Struct && !kind.Implements(reflect.TypeFor[json.Unmarshaler]()):
			keysOf(kind, key+".", keys)
		case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct:
			*keys = append(*keys, key)
			keysOf(kind.Elem(), key+"[].", keys)
		default:
			*keys = append(*keys, key)
		}
	}
}
