package sail

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The real operator's charts left these meshes behind. What is rendered here has the same names and labels, and says
// of every field that it sets what they say; and nothing of the kinds that are compared is missing.
func TestChartsAreThoseOfIstio(t *testing.T) {
	for _, name := range []string{"ambient-inplace", "revisionbased-during"} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("..", "..", "internal", "inventory", "testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			list := new(unstructured.UnstructuredList)
			if err := json.Unmarshal(raw, list); err != nil {
				t.Fatal(err)
			}
			ours := map[string]*object{}
			for _, r := range renderAll(list) {
				ours[identity(r.object)] = r.object
			}
			for i := range list.Items {
				want := &list.Items[i]
				if !compared(want.GetKind()) {
					continue
				}
				got := ours[identity(want)]
				if got == nil {
					t.Errorf("%s is not rendered", identity(want))
					continue
				}
				delete(ours, identity(want))
				if diff := cmp.Diff(want.GetLabels(), got.GetLabels()); diff != "" {
					t.Errorf("labels of %s (-real +rendered):\n%s", identity(want), diff)
				}
				for _, part := range []string{"spec", "webhooks"} {
					for _, difference := range contradictions(want.Object[part], plain(t, got.Object[part]), want.GetKind()+"."+part) {
						t.Errorf("%s: %s", identity(want), difference)
					}
				}
			}
			for key, o := range ours {
				if compared(o.GetKind()) {
					t.Errorf("%s is rendered, and is not in the real mesh", key)
				}
			}
		})
	}
}

// compared are the kinds that the meshes hold.
func compared(kind string) bool {
	return slices.Contains([]string{
		"Deployment", "DaemonSet", "Service", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	}, kind)
}

func identity(o *object) string {
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
}

func renderAll(list *unstructured.UnstructuredList) []rendered {
	o := new(Operator)
	byName := map[string]*object{}
	var all []rendered
	for i := range list.Items {
		item := &list.Items[i]
		switch item.GetKind() {
		case "IstioRevision":
			byName[item.GetName()] = item
			all = append(all, o.istiodChart(item)...)
		case "IstioCNI":
			all = append(all, o.cniChart(item, bare(text(item, "spec", "version")))...)
		case "ZTunnel":
			all = append(all, o.zTunnelChart(item, nil, bare(text(item, "spec", "version")))...)
		}
	}
	for i := range list.Items {
		if item := &list.Items[i]; item.GetKind() == "IstioRevisionTag" {
			all = append(all, o.tagChart(item, byName[text(item, "status", "istioRevision")])...)
		}
	}
	return all
}

func plain(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var content any
	if err := json.Unmarshal(raw, &content); err != nil {
		t.Fatal(err)
	}
	return content
}

// contradictions are the fields that are rendered otherwise than they are in the real object.
func contradictions(want, got any, path string) []string {
	if want, ok := asFloat(want); ok {
		if number, ok := asFloat(got); ok && number == want {
			return nil
		}
	}
	switch got := got.(type) {
	case map[string]any:
		actual, _ := want.(map[string]any)
		var found []string
		for key, value := range got {
			if at := path + "." + key; !empty(value) {
				found = append(found, contradictions(actual[key], value, at)...)
			}
		}
		return found
	case []any:
		actual, _ := want.([]any)
		if len(actual) != len(got) && !strings.HasSuffix(path, ".env") && !strings.HasSuffix(path, ".args") {
			return []string{fmt.Sprintf("%s has %d entries, %d in the real one", path, len(got), len(actual))}
		}
		var found []string
		for i, value := range got {
			at := fmt.Sprintf("%s[%d]", path, i)
			differs := func(other any) bool { return len(contradictions(other, value, at)) > 0 }
			if !slices.ContainsFunc(actual, func(other any) bool { return !differs(other) }) {
				found = append(found, fmt.Sprintf("%s is %v, in the real one %v", at, value, actual))
			}
		}
		return found
	}
	if !cmp.Equal(want, got) {
		return []string{fmt.Sprintf("%s is %v, in the real one %v", path, got, want)}
	}
	return nil
}

func empty(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && len(m) == 0
}

func asFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
