package istio

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// TestEveryLabelThatIsReadIsTried is what makes the comparison exhaustive: no selector asks for a label that is not
// among the four, nor for a value that is not tried. It fails when a later chart reads something new.
func TestEveryLabelThatIsReadIsTried(t *testing.T) {
	for name, c := range clusters(t) {
		all := webhooks(t, c.configurations)
		for _, v := range c.views {
			tried := labelValues(all, v.objects)
			for _, w := range all {
				onNamespace := untried(w.namespace, tried, routing.LabelInjection, routing.LabelRevision)
				onPod := untried(w.object, tried, routing.LabelInject, routing.LabelRevision)
				for _, missing := range append(onNamespace, onPod...) {
					t.Errorf("%s, %s: %v asks for %s, which is not tried", name, v.name, w, missing)
				}
			}
		}
	}
}

// untried returns the requirements that the values tried for keys do not cover.
func untried(selector labels.Selector, tried []routing.Label, keys ...string) []string {
	requirements, _ := selector.Requirements()
	var missing []string
	for _, r := range requirements {
		known := slices.Contains(keys, r.Key())
		for _, value := range r.ValuesUnsorted() {
			switch r.Key() {
			case "kubernetes.io/metadata.name":
				known = routing.SystemNamespace(value)
			case "istio.io/deactivated":
				known = true // on no object at all, which is what it is for
			default:
				known = known && slices.Contains(tried, routing.Label{Value: value, Present: true})
			}
		}
		if !known {
			missing = append(missing, r.String())
		}
	}
	return missing
}

// TestCompareSeesWhatIsWrong: a comparison that cannot fail would prove nothing.
func TestCompareSeesWhatIsWrong(t *testing.T) {
	planes := []plane{
		{revision: "1-30", tags: []string{"default"}, namespacesByDefault: true},
		{revision: "1-31", tags: []string{"prod"}},
	}
	cases := map[string]struct {
		chart func([]configuration) []configuration
		view  func(*routing.Objects)
	}{
		"the router takes a tag for one of the other revision": {
			view: func(o *routing.Objects) { o.Tags[1].Revision = "1-30" },
		},
		"the router does not know a tag": {
			view: func(o *routing.Objects) { o.Tags = o.Tags[:1] },
		},
		"the router knows a revision that does not run": {
			view: func(o *routing.Objects) { o.Revisions = append(o.Revisions, routing.Revision{Name: "unknown"}) },
		},
		"the router does not know about namespaces by default": {
			view: func(o *routing.Objects) { o.Revisions[0].Injection.EnableNamespacesByDefault = false },
		},
		"a chart without one of the webhooks": {
			chart: func(all []configuration) []configuration {
				all[0].Webhooks = all[0].Webhooks[1:]
				return all
			},
		},
		"a chart whose webhook injects pods that opted out": {
			chart: func(all []configuration) []configuration {
				all[0].Webhooks[0].ObjectSelector = nil
				return all
			},
		},
		"a chart that calls another revision": {
			chart: func(all []configuration) []configuration {
				all[0].Webhooks[0].ClientConfig.Service.Name = "istiod-1-31"
				return all
			},
		},
		"a chart that matches twice": {
			chart: func(all []configuration) []configuration { return append(all, all[0]) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			installed, known := rendered(t, planes...), objects(sailObjects(t, planes...), nil)
			if r := compare(t, installed, known); len(r.differences) > 0 {
				t.Fatalf("%d differences before anything is changed, the first: %s", len(r.differences), r.differences[0])
			}
			if tc.chart != nil {
				installed = tc.chart(installed)
			}
			if tc.view != nil {
				tc.view(&known)
			}
			if r := compare(t, installed, known); len(r.differences) == 0 {
				t.Errorf("no difference in %d combinations", r.combinations)
			}
		})
	}
}

// TestOneNameForTwoIsMatchedTwice explains the only way to two injectors for a pod that the charts leave open: a
// tag that is named like a revision. Helm does not refuse it, as istioctl and Sail do. The router names one of the
// two, the older; which of them a pod is left with depends on the names of the configurations.
func TestOneNameForTwoIsMatchedTwice(t *testing.T) {
	inPlace := plane{}
	other := plane{revision: "1-31", tags: []string{"default"}}
	installed := rendered(t, inPlace, other)
	known := objects(sailObjects(t, inPlace, other), nil)
	r := compare(t, installed, known)
	if len(r.doubles) == 0 {
		t.Fatal("no pod is matched twice, although a revision and a tag share the name default")
	}
	if len(r.doubles) != len(r.differences) {
		t.Errorf("%d combinations match twice, but %d differ: something else is wrong, too",
			len(r.doubles), len(r.differences))
	}
	mesh := routing.NewMesh(clone(known))
	for _, q := range r.doubles {
		d := routing.Decide(routing.Input{Mesh: mesh, Namespace: q.namespace, Pod: q.pod})
		if d.Wanted != routing.DefaultRevision {
			t.Errorf("%v: matched twice, although it asks for %q", q, d.Wanted)
		}
		if d.Action == routing.Inject && d.Revision != routing.DefaultRevision {
			t.Errorf("%v: decided %s, want the older of the two, %s", q, d.Revision, routing.DefaultRevision)
		}
	}
}

// TestInjectionDefaultsAreThoseOfTheChart: the zero value of routing.Injection stands for values that nobody set.
func TestInjectionDefaultsAreThoseOfTheChart(t *testing.T) {
	docs, err := render(discoveryChart, plane{}.values())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, doc := range docs {
		var object corev1.ConfigMap
		if err := yaml.Unmarshal(doc, &object); err != nil || object.Name != "istio-sidecar-injector" ||
			object.Kind != "ConfigMap" {
			continue
		}
		var config struct {
			Policy                                    string
			NeverInjectSelector, AlwaysInjectSelector []any
		}
		if err := yaml.Unmarshal([]byte(object.Data["config"]), &config); err != nil {
			t.Fatal(err)
		}
		found = append(found, fmt.Sprintf("policy %s, %d never, %d always",
			config.Policy, len(config.NeverInjectSelector), len(config.AlwaysInjectSelector)))
	}
	if diff := cmp.Diff([]string{"policy enabled, 0 never, 0 always"}, found); diff != "" {
		t.Errorf("configuration of the injector (-want +got):\n%s", diff)
	}
}

// TestStandInsAreThoseOfTheCharts: what the tests on a real API server use for Istio selects what Istio selects.
func TestStandInsAreThoseOfTheCharts(t *testing.T) {
	for _, p := range []plane{
		{},
		{namespacesByDefault: true},
		{revision: "1-31", tags: []string{"prod"}},
		{revision: "1-31", tags: []string{"default"}, namespacesByDefault: true},
	} {
		for _, want := range rendered(t, p) {
			t.Run(fmt.Sprintf("%s of %+v", want.Name, p), func(t *testing.T) {
				to := injector.Target{Revision: p.name(), NamespacesByDefault: p.namespacesByDefault}
				got := injector.RevisionConfiguration(to)
				if isTag(want) {
					got = injector.TagConfiguration(want.Labels[routing.LabelTag], to)
				}
				if got.Name != want.Name {
					t.Errorf("name %s, want %s", got.Name, want.Name)
				}
				if diff := cmp.Diff(selectorsOf(want), selectorsOf(*got)); diff != "" {
					t.Errorf("selectors (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func selectorsOf(c configuration) []string {
	var all []string
	for _, w := range c.Webhooks {
		namespace, _ := selector(w.NamespaceSelector)
		object, _ := selector(w.ObjectSelector)
		all = append(all, strings.Join([]string{w.Name, namespace.String(), object.String()}, " | "))
	}
	return all
}
