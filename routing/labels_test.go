package routing_test

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestLabelOfTellsAbsentFromEmpty(t *testing.T) {
	set := map[string]string{"empty": "", "full": "x"}
	for key, want := range map[string]routing.Label{
		"empty": {Present: true}, "full": {Value: "x", Present: true}, "absent": {},
	} {
		if got := routing.LabelOf(set, key); got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
	if got := routing.LabelOf(nil, "any"); got.Present {
		t.Errorf("without labels: %+v, want an absent one", got)
	}
	if (routing.Label{}).Is("") {
		t.Error("an absent label is not the empty one")
	}
	if !present("").Is("") {
		t.Error("an empty label is the empty one")
	}
	if present("X").Is("x") {
		t.Error("values are compared as they are")
	}
}

func TestNamespaceOf(t *testing.T) {
	got := routing.NamespaceOf("bookinfo", map[string]string{"istio.io/rev": "", "istio-injection": "enabled", "app": "x"})
	want := routing.Namespace{Name: "bookinfo", Injection: present("enabled"), Revision: present("")}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := routing.NamespaceOf("plain", nil); got != (routing.Namespace{Name: "plain"}) {
		t.Errorf("without labels: %+v", got)
	}
}

// The keys are what other software reads: a change of one is a change of the interface.
func TestKeysAreThoseOfIstioAndOfTheSpecification(t *testing.T) {
	for got, want := range map[string]string{
		routing.LabelInjection:      "istio-injection",
		routing.LabelRevision:       "istio.io/rev",
		routing.LabelTag:            "istio.io/tag",
		routing.LabelInject:         "sidecar.istio.io/inject",
		routing.AnnotationMirror:    "kubernetes.io/config.mirror",
		routing.LabelRoutedRevision: "revision-router.io/revision",
		routing.LabelRoutedVersion:  "revision-router.io/version",
		routing.AnnotationReason:    "revision-router.io/reason",
		routing.AnnotationTag:       "revision-router.io/tag",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestValidLabelValue(t *testing.T) {
	for value, want := range map[string]bool{
		"":                      true,
		"a":                     true,
		"v1.30.3":               true,
		"default-v1-30-3":       true,
		"A_b.C-9":               true,
		strings.Repeat("x", 63): true,
		strings.Repeat("x", 64): false,
		"-a":                    false,
		"a-":                    false,
		".":                     false,
		"_a":                    false,
		"a.":                    false,
		"v1.30.3+vendor":        false,
		"a b":                   false,
		"a/b":                   false,
		"ä":                     false,
		"a\n":                   false,
	} {
		if got := routing.ValidLabelValue(value); got != want {
			t.Errorf("%q: valid %t, want %t", value, got, want)
		}
	}
}

func TestSystemNamespace(t *testing.T) {
	for _, name := range systemNamespaces() {
		if !routing.SystemNamespace(name) {
			t.Errorf("%s is not a system namespace, want that it is", name)
		}
	}
	for _, name := range []string{"", "default", "istio-system", "kube-system-2", "bookinfo"} {
		if routing.SystemNamespace(name) {
			t.Errorf("%s is a system namespace, want that it is not", name)
		}
	}
}

func TestReasonsAreDistinctWords(t *testing.T) {
	seen := map[routing.Reason]bool{}
	for _, known := range routing.Reasons() {
		if seen[known.Reason] {
			t.Errorf("%s is listed twice", known.Reason)
		}
		seen[known.Reason] = true
		if !routing.ValidLabelValue(string(known.Reason)) || strings.ContainsAny(string(known.Reason), "-_.") {
			t.Errorf("%q is not one word", known.Reason)
		}
		switch known.Action {
		case routing.Inject, routing.Skip, routing.Unresolvable:
		default:
			t.Errorf("%s belongs to no action: %q", known.Reason, known.Action)
		}
	}
}
