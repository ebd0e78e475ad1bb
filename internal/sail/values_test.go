package sail_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

func TestValues(t *testing.T) {
	cases := map[string]struct {
		values   string
		want     sail.Values
		problems []string // parts of the message, in order
	}{
		"absent values are all zero": {values: `{}`},
		"null values are all zero":   {values: `null`},
		"every value that is read": {
			values: `{"revision":"canary","profile":"remote",
				"global":{"istioNamespace":"mesh","operatorManageWebhooks":true,"proxy":{"autoInject":"disabled"}},
				"sidecarInjectorWebhook":{"enableNamespacesByDefault":true,
					"neverInjectSelector":[{"matchLabels":{"b":"2","a":"1"}},{"matchExpressions":[{"key":"job","operator":"Exists"}]}],
					"alwaysInjectSelector":[{"matchExpressions":[{"key":"tier","operator":"In","values":["web","api"]}]}]},
				"istiodRemote":{"injectionURL":"https://istiod.example:443/inject","injectionPath":"/inject/cluster/c1"},
				"pilot":{"env":{"ANY":"thing"}}}`,
			want: sail.Values{
				Revision: "canary", Profile: "remote", IstioNamespace: "mesh", OperatorManageWebhooks: true,
				AutoInject: "disabled", EnableNamespacesByDefault: true,
				NeverInject: []routing.Selector{
					{{Key: "a", Operator: routing.OpIn, Values: []string{"1"}}, {Key: "b", Operator: routing.OpIn, Values: []string{"2"}}},
					{{Key: "job", Operator: routing.OpExists}},
				},
				AlwaysInject:  []routing.Selector{{{Key: "tier", Operator: routing.OpIn, Values: []string{"web", "api"}}}},
				InjectionURL:  "https://istiod.example:443/inject",
				InjectionPath: "/inject/cluster/c1",
			},
		},
		"a null deep inside is absent": {
			values: `{"revision":null,"global":{"proxy":null,"operatorManageWebhooks":null},"sidecarInjectorWebhook":{"neverInjectSelector":null}}`,
		},
		"a boolean written as a string costs only itself": {
			values:   `{"revision":"r","global":{"operatorManageWebhooks":"true","proxy":{"autoInject":"disabled"}}}`,
			want:     sail.Values{Revision: "r", AutoInject: "disabled"},
			problems: []string{"spec.values.global.operatorManageWebhooks: is of type string, want bool"},
		},
		"a list in place of an object costs what is below it": {
			values:   `{"revision":"r","global":[1],"sidecarInjectorWebhook":{"enableNamespacesByDefault":true}}`,
			want:     sail.Values{Revision: "r", EnableNamespacesByDefault: true},
			problems: []string{"spec.values.global: is of type array, want object"},
		},
		"every wrong type is reported": {
			values: `{"revision":1,"profile":{},"istiodRemote":{"injectionPath":7}}`,
			problems: []string{
				"spec.values.revision: is of type number, want string",
				"spec.values.profile: is of type object, want string",
				"spec.values.istiodRemote.injectionPath: is of type number, want string",
			},
		},
		"values that are no object": {
			values:   `"none"`,
			problems: []string{"spec.values: is of type string, want object"},
		},
		"one selector that is no selector costs only itself": {
			values:   `{"sidecarInjectorWebhook":{"neverInjectSelector":["all",{"matchLabels":{"a":"1"}}]}}`,
			want:     sail.Values{NeverInject: []routing.Selector{{{Key: "a", Operator: routing.OpIn, Values: []string{"1"}}}}},
			problems: []string{"spec.values.sidecarInjectorWebhook.neverInjectSelector[0]: is of type string, want object"},
		},
		"a selector that istiod ignores does not count": {
			values: `{"sidecarInjectorWebhook":{"neverInjectSelector":[
				{"matchExpressions":[{"key":"a","operator":"NotIn","values":[]}]},
				{"matchExpressions":[{"key":"a","operator":"Near","values":["b"]}]}]}}`,
			problems: []string{"neverInjectSelector[0]: istiod ignores this selector", "neverInjectSelector[1]: istiod ignores this selector"},
		},
		"an empty selector does not count": {
			values: `{"sidecarInjectorWebhook":{"alwaysInjectSelector":[{},{"matchLabels":{}}]}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			// Through a whole object, since that is what must survive.
			var revision sail.IstioRevision
			object := `{"metadata":{"name":"r"},"spec":{"version":"v1.30.3","values":` + tc.values + `},"status":{"observedGeneration":3}}`
			if err := json.Unmarshal([]byte(object), &revision); err != nil {
				t.Fatal(err)
			}
			if revision.Name != "r" || revision.Spec.Version != "v1.30.3" || revision.Status.ObservedGeneration != 3 {
				t.Errorf("the object lost more than its values: %+v", revision)
			}
			got := revision.Spec.Values
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(sail.Values{}, sail.CNIValues{}, sail.ZTunnelValues{})); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			checkProblems(t, got.Problem(), tc.problems)
		})
	}
}

func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(want) {
		t.Fatalf("got %d problems %q, want %d", len(lines), lines, len(want))
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("problem %d is %q, want it to contain %q", i, lines[i], want[i])
		}
	}
}

// An object decoded from anything that is JSON keeps its name, and decoding it again gives the same values.
func FuzzValues(f *testing.F) {
	f.Add(`{"revision":"r","global":{"proxy":{"autoInject":"disabled"}}}`)
	f.Add(`{"sidecarInjectorWebhook":{"neverInjectSelector":[{"matchLabels":{"a":"1"}},{}]}}`)
	f.Add(`{"global":[],"istiodRemote":3}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, values string) {
		if !json.Valid([]byte(values)) {
			t.Skip()
		}
		object := []byte(`{"spec":{"values":` + values + `},"metadata":{"name":"kept"}}`)
		var a, b sail.IstioRevision
		if err := json.Unmarshal(object, &a); err != nil {
			t.Fatalf("values %s lost the object: %v", values, err)
		}
		if err := json.Unmarshal(object, &b); err != nil {
			t.Fatal(err)
		}
		if a.Name != "kept" {
			t.Errorf("values %s lost the name", values)
		}
		for _, s := range append(a.Spec.Values.NeverInject, a.Spec.Values.AlwaysInject...) {
			if len(s) == 0 {
				t.Errorf("values %s left an empty selector, which selects nothing", values)
			}
		}
		if diff := cmp.Diff(a.Spec.Values, b.Spec.Values, cmpopts.IgnoreUnexported(sail.Values{}, sail.CNIValues{}, sail.ZTunnelValues{})); diff != "" {
			t.Errorf("values %s differ between two readings:\n%s", values, diff)
		}
	})
}
