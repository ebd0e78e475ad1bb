package sail_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

type configurations = []*admissionregistrationv1.MutatingWebhookConfiguration

func istiod(namespace, revision, version string) sail.Istiod {
	labels := map[string]string{"app": "istiod", "istio.io/rev": revision}
	if version != "" {
		labels["app.kubernetes.io/version"] = version
	}
	return sail.IstiodOf(namespace, labels)
}

func TestInventoryOfPlainIstio(t *testing.T) {
	sailRevision := func(name string) routing.Revision {
		return routing.Revision{Name: name, Version: "v1.30.3", Namespace: "istio-system", Origin: routing.Sail, Created: epoch().Add(time.Hour), UID: "sail-" + name}
	}
	sailTag := func(name, revision string) routing.Tag {
		return routing.Tag{Name: name, Revision: revision, Origin: routing.Sail, Created: epoch().Add(time.Hour), UID: "sail-" + name}
	}
	const minute = time.Minute
	cases := map[string]struct {
		revisions      []routing.Revision
		tags           []routing.Tag
		configurations configurations
		istiods        []sail.Istiod
		want           string
		means          map[string]string
	}{
		"one revision, installed by Helm": {
			configurations: configurations{configuration("default", "")},
			istiods:        []sail.Istiod{istiod("istio-system", "default", "1.30.3")},
			want:           "default@v1.30.3",
			means:          map[string]string{"default": "default"},
		},
		"a Deployment that tells no version leaves it unknown": {
			configurations: configurations{configuration("default", "")},
			istiods:        []sail.Istiod{istiod("istio-system", "default", "")},
			want:           "default@",
		},
		"a Deployment in another namespace or of another revision does not count": {
			configurations: configurations{configuration("default", "")},
			istiods:        []sail.Istiod{istiod("elsewhere", "default", "1.30.3"), istiod("istio-system", "canary", "1.30.3")},
			want:           "default@",
		},
		"Deployments that disagree leave the version unknown": {
			configurations: configurations{configuration("default", "")},
			istiods: []sail.Istiod{
				istiod("istio-system", "default", "1.30.3"), istiod("istio-system", "default", "1.29.6"),
				istiod("istio-system", "default", "1.30.3"),
			},
			want: "default@",
		},
		"a version that is not a number keeps its form": {
			configurations: configurations{configuration("default", "")},
			istiods:        []sail.Istiod{istiod("istio-system", "default", "master")},
			want:           "default@master",
		},
		"two control planes with their own versions": {
			configurations: configurations{configuration("default", ""), configuration("canary", "", inNamespace("istio-canary"))},
			istiods:        []sail.Istiod{istiod("istio-canary", "canary", "1.31.0"), istiod("istio-system", "default", "v1.30.3")},
			want:           "canary@v1.31.0 default@v1.30.3",
		},
		"a tag of istioctl's leads to a revision of plain Istio": {
			configurations: configurations{configuration("canary", ""), configuration("canary", "prod", later(minute))},
			want:           "canary@ prod->canary",
			means:          map[string]string{"prod": "canary by tag prod", "canary": "canary"},
		},
		"a tag of istioctl's leads to a revision of Sail's": {
			revisions:      []routing.Revision{sailRevision("default-v1-30-3")},
			configurations: configurations{configuration("default-v1-30-3", "prod")},
			want:           "default-v1-30-3@v1.30.3 prod->default-v1-30-3",
			means:          map[string]string{"prod": "default-v1-30-3 by tag prod"},
		},
		"a tag whose revision was removed dangles": {
			configurations: configurations{configuration("canary", ""), configuration("gone", "prod")},
			want:           "canary@ prod->gone",
			means:          map[string]string{"prod": "DanglingTag"},
		},
		"a revision of Sail's takes the name": {
			revisions:      []routing.Revision{sailRevision("canary")},
			configurations: configurations{configuration("canary", "", inNamespace("elsewhere"))},
			istiods:        []sail.Istiod{istiod("elsewhere", "canary", "1.20.0")},
			want:           "canary@v1.30.3",
		},
		"a tag of Sail's takes the name": {
			revisions:      []routing.Revision{sailRevision("default-v1-30-3")},
			tags:           []routing.Tag{sailTag("prod", "default-v1-30-3")},
			configurations: configurations{configuration("canary", ""), configuration("canary", "prod")},
			want:           "canary@ default-v1-30-3@v1.30.3 prod->default-v1-30-3",
			means:          map[string]string{"prod": "default-v1-30-3 by tag prod"},
		},
		"istioctl install: the default revision's names are in a tag that is named like it": {
			configurations: configurations{configuration("default", "", deactivated), configuration("default", "default", later(minute))},
			istiods:        []sail.Istiod{istiod("istio-system", "default", "1.30.3")},
			want:           "default@v1.30.3",
			means:          map[string]string{"default": "default"},
		},
		"istioctl install, and a tag beside the default": {
			configurations: configurations{
				configuration("default", "", deactivated), configuration("default", "default", later(minute)),
				configuration("default", "prod", later(2*minute)),
			},
			want:  "default@ prod->default",
			means: map[string]string{"default": "default", "prod": "default by tag prod"},
		},
		"istioctl tag set default moves the default away": {
			configurations: configurations{
				configuration("default", "", deactivated), configuration("canary", ""),
				configuration("canary", "default", later(minute)),
			},
			want:  "canary@ default@ default->canary",
			means: map[string]string{"default": "canary by tag default", "canary": "canary"},
		},
		"another tag still leads to the revision that lost the name default": {
			configurations: configurations{
				configuration("default", "", deactivated), configuration("canary", "", later(minute)),
				configuration("canary", "default", later(2*minute)), configuration("default", "prod", later(3*minute)),
			},
			istiods: []sail.Istiod{istiod("istio-system", "default", "1.29.6"), istiod("istio-system", "canary", "1.30.3")},
			want:    "canary@v1.30.3 default@v1.29.6 default->canary prod->default",
			means:   map[string]string{"default": "canary by tag default", "prod": "default by tag prod"},
		},
		"the same where a tag of Sail's took the name": {
			revisions:      []routing.Revision{sailRevision("default-v1-30-3")},
			tags:           []routing.Tag{sailTag("default", "default-v1-30-3")},
			configurations: configurations{configuration("default", "", deactivated), configuration("default", "prod")},
			want:           "default@ default-v1-30-3@v1.30.3 default->default-v1-30-3 prod->default",
			means:          map[string]string{"default": "default-v1-30-3 by tag default", "prod": "default by tag prod"},
		},
		"a deactivated revision without a tag of its name is lost under its own name alone": {
			configurations: configurations{configuration("default", "", deactivated), configuration("default", "prod")},
			want:           "default@ prod->default",
			means:          map[string]string{"default": "UnknownRevision", "prod": "default by tag prod"},
		},
		"a deactivated tag means nothing": {
			configurations: configurations{configuration("canary", ""), configuration("canary", "prod", deactivated)},
			want:           "canary@",
			means:          map[string]string{"prod": "UnknownRevision"},
		},
		"a deactivated configuration beside an active one of the same revision": {
			configurations: configurations{configuration("default", "", deactivated), configuration("default", "", later(minute), func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
				c.UID = "second"
			})},
			want:  "default@",
			means: map[string]string{"default": "default"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for range 5 { // in any order
				rand.Shuffle(len(tc.configurations), func(i, j int) {
					tc.configurations[i], tc.configurations[j] = tc.configurations[j], tc.configurations[i]
				})
				m := mesh(tc.revisions, tc.tags, tc.configurations, tc.istiods)
				if got := describe(m); got != tc.want {
					t.Errorf("the mesh is %q, want %q", got, tc.want)
				}
				for name, want := range tc.means {
					if got := meaning(m, name); got != want {
						t.Errorf("%s means %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

func mesh(revisions []routing.Revision, tags []routing.Tag, cs configurations, istiods []sail.Istiod) *routing.Mesh {
	in := sail.Inventory{Revisions: append([]routing.Revision(nil), revisions...), Tags: append([]routing.Tag(nil), tags...), Istiods: istiods}
	for _, c := range cs {
		if injector, ok := sail.FromWebhookConfiguration(c); ok {
			in.Injectors = append(in.Injectors, injector)
		}
	}
	return routing.NewMesh(in.Objects())
}

// An unlabelled pod tells which revision has enableNamespacesByDefault in effect.
func TestNamespacesByDefault(t *testing.T) {
	const minute = time.Minute
	sailRevision := func(byDefault bool) []routing.Revision {
		return []routing.Revision{{Name: "rev", Origin: routing.Sail, UID: "s", Injection: routing.Injection{EnableNamespacesByDefault: byDefault}}}
	}
	cases := map[string]struct {
		revisions      []routing.Revision
		tags           []routing.Tag
		configurations configurations
		want           string // empty: not injected
	}{
		"the default revision's configuration has the webhook": {
			configurations: configurations{configuration("default", "", autoInject)}, want: "default",
		},
		"it has not": {configurations: configurations{configuration("default", "")}},
		"only another revision's configuration has it": {
			configurations: configurations{configuration("default", ""), configuration("canary", "", autoInject)},
		},
		"the default tag's configuration has it": {
			configurations: configurations{configuration("canary", ""), configuration("canary", "default", autoInject)}, want: "canary",
		},
		"another tag's configuration has it": {
			configurations: configurations{configuration("canary", ""), configuration("canary", "default"), configuration("canary", "prod", autoInject)},
		},
		"istioctl install writes it into the tag": {
			configurations: configurations{configuration("default", "", autoInject, deactivated), configuration("default", "default", autoInject, later(minute))},
			want:           "default",
		},
		"istioctl install without it": {
			configurations: configurations{configuration("default", "", autoInject, deactivated), configuration("default", "default", later(minute))},
		},
		"istioctl's default tag switches it on for a revision of Sail's": {
			revisions: sailRevision(false), configurations: configurations{configuration("rev", "default", autoInject)}, want: "rev",
		},
		"istioctl's default tag has no such webhook, whatever the values of Sail's revision say": {
			revisions: sailRevision(true), configurations: configurations{configuration("rev", "default")},
		},
		"a default tag of Sail's follows the values": {
			revisions: sailRevision(true), tags: []routing.Tag{{Name: "default", Revision: "rev", Origin: routing.Sail}},
			configurations: configurations{configuration("rev", "default")}, want: "rev",
		},
		"the older of two default tags decides": {
			configurations: configurations{
				configuration("a", ""), configuration("b", ""),
				configuration("a", "default"), configuration("b", "default", autoInject, later(minute)),
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := mesh(tc.revisions, tc.tags, tc.configurations, nil)
			d := routing.Decide(routing.Input{Mesh: m, Namespace: routing.Namespace{Name: "shop"}})
			if d.Revision != tc.want {
				t.Errorf("an unlabelled pod gets %q (%s), want %q", d.Revision, d.Reason, tc.want)
			}
		})
	}
}

// Joining the same inventory twice, in two orders, gives the same objects once routing has sorted them.
func TestInventoryDoesNotDependOnOrder(t *testing.T) {
	all := configurations{
		configuration("default", "", deactivated), configuration("canary", "", autoInject, later(time.Minute)),
		configuration("canary", "default", later(2*time.Minute)), configuration("default", "prod", later(3*time.Minute)),
		configuration("old", "", later(time.Hour)), configuration("old", "old", later(time.Minute)),
	}
	istiods := []sail.Istiod{
		istiod("istio-system", "default", "1.29.6"), istiod("istio-system", "canary", "1.30.3"),
		istiod("istio-system", "old", "1.1"), istiod("istio-system", "old", "1.2"),
	}
	want := mesh(nil, nil, all, istiods)
	for range 50 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		rand.Shuffle(len(istiods), func(i, j int) { istiods[i], istiods[j] = istiods[j], istiods[i] })
		got := mesh(nil, nil, all, istiods)
		if diff := cmp.Diff(want.Revisions(), got.Revisions()); diff != "" {
			t.Fatalf("revisions (-first +shuffled):\n%s", diff)
		}
		if diff := cmp.Diff(want.Tags(), got.Tags()); diff != "" {
			t.Fatalf("tags (-first +shuffled):\n%s", diff)
		}
	}
}
