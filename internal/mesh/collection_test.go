package mesh

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// picture is everything that a mesh tells, for comparison.
func picture(m *routing.Mesh, names ...string) string {
	var b strings.Builder
	for _, r := range m.Revisions() {
		fmt.Fprintf(&b, "revision %+v\n", r)
	}
	for _, tag := range m.Tags() {
		fmt.Fprintf(&b, "tag %+v\n", tag)
	}
	for _, name := range names {
		r := m.Resolve(name)
		fmt.Fprintf(&b, "%s means %v by %v (%s)\n", name, r.Revision, r.Tag, r.Reason)
		ns, ok := m.Namespace(name)
		fmt.Fprintf(&b, "namespace %+v %t\n", ns, ok)
	}
	fmt.Fprintf(&b, "%d namespaces\n", m.NamespaceCount())
	return b.String()
}

// event is one call of a reflector.
type event struct {
	resource string
	deleted  bool
	object   any
}

// histories are what happens to each object, in its own order.
func histories(t *testing.T) [][]event {
	t.Helper()
	changed := aRevision("one", "v1.30.3")
	changed.Spec.Values = values(t, `{"sidecarInjectorWebhook":{"neverInjectSelector":[{"matchLabels":{"a":"b"}}]}}`)
	return [][]event{
		{{"istiorevisions", false, aRevision("one", "v1.29.6")}, {"istiorevisions", false, changed}},
		{{"istiorevisions", false, aRevision("two", "v1.30.3")}, {"istiorevisions", true, aRevision("two", "v1.30.3")}},
		{{"istiorevisiontags", false, aTag("default", "one")}, {"istiorevisiontags", false, aTag("default", "two")}, {"istiorevisiontags", false, aTag("default", "one")}},
		{{"istiorevisiontags", false, aTag("one", "one")}},
		{{"namespaces", false, aNamespace("shop", nil)}, {"namespaces", false, aNamespace("shop", map[string]string{"istio-injection": "enabled"})}},
		{{"namespaces", false, aNamespace("gone", nil)}, {"namespaces", true, aNamespace("gone", nil)}},
		{{"mutatingwebhookconfigurations", false, anInjector("plain", "")}},
		{{"mutatingwebhookconfigurations", false, anInjector("plain", "prod")}, {"mutatingwebhookconfigurations", false, anInjector("one", "prod")}},
		{{"deployments", false, anIstiod("istio-system", "plain", "1.28.0")}, {"deployments", false, anIstiod("istio-system", "plain", "1.28.1")}},
		{{"istios", false, &sail.Istio{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: sail.IstioSpec{Version: "v1.30.3"}}}},
	}
}

func values(t *testing.T, raw string) (v sail.Values) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Whatever order the watches deliver in, and whether an object comes by an event or by a list, the mesh is the same.
func TestOrderOfEventsDoesNotMatter(t *testing.T) {
	names := []string{"one", "two", "default", "prod", "plain", "shop", "gone"}
	var want string
	for round := range 200 {
		s := offline(t, Options{})
		s.sync(t)
		play(t, s, histories(t), round%2*50)
		if !s.publish() {
			t.Fatal("no snapshot was due")
		}
		got := picture(s.Mesh(), names...)
		if len(s.Istios()) != 1 {
			t.Fatalf("the Istios are %v, want one", s.Istios())
		}
		if want == "" {
			want = got
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order gives another mesh (-first +round %d):\n%s", round, diff)
		}
	}
	for _, part := range []string{"default means", "Version:v1.28.1", "NeverInject:[[{Key:a Operator:In Values:[b]}]]", "1 namespaces"} {
		if !strings.Contains(want, part) {
			t.Errorf("the mesh lacks %q:\n%s", part, want)
		}
	}
}

// play delivers the histories in a random order that keeps the order of each; in so many
// percent of the events, a list of the kind comes instead.
func play(t *testing.T, s *Source, left [][]event, relists int) {
	t.Helper()
	present := map[string]map[string]any{}
	for len(left) > 0 {
		n := rand.IntN(len(left))
		e := left[n][0]
		if left[n] = left[n][1:]; len(left[n]) == 0 {
			left = slices.Delete(left, n, n+1)
		}
		st := s.storeOf(t, e.resource)
		i, err := st.kind.objects.read(e.object)
		if err != nil {
			t.Fatal(err)
		}
		if present[e.resource] == nil {
			present[e.resource] = map[string]any{}
		}
		present[e.resource][i.key] = e.object
		deliver := st.Update
		if e.deleted {
			deliver = st.Delete
			delete(present[e.resource], i.key)
		}
		if rand.IntN(100) < relists {
			if err := st.Replace(slices.Collect(maps.Values(present[e.resource])), "2"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := deliver(e.object); err != nil {
			t.Fatal(err)
		}
	}
}

// Only what counts makes a snapshot due: a status that is written every few seconds must not.
func TestEventsWithoutConsequence(t *testing.T) {
	busy := aRevision("one", "v1.30.3")
	busy.Status.ObservedGeneration, busy.ResourceVersion = 9, "77"
	cases := map[string]struct {
		first, second event
		want          bool
	}{
		"an equal revision":                  {event{"istiorevisions", false, aRevision("one", "v1.30.3")}, event{"istiorevisions", false, aRevision("one", "v1.30.3")}, false},
		"a revision with another status":     {event{"istiorevisions", false, aRevision("one", "v1.30.3")}, event{"istiorevisions", false, busy}, false},
		"a revision with another version":    {event{"istiorevisions", false, aRevision("one", "v1.30.3")}, event{"istiorevisions", false, aRevision("one", "v1.30.4")}, true},
		"a namespace with a label of no use": {event{"namespaces", false, aNamespace("a", nil)}, event{"namespaces", false, aNamespace("a", map[string]string{"team": "x"})}, false},
		"a namespace with an empty label":    {event{"namespaces", false, aNamespace("a", nil)}, event{"namespaces", false, aNamespace("a", map[string]string{"istio.io/rev": ""})}, true},
		"another namespace":                  {event{"namespaces", false, aNamespace("a", nil)}, event{"namespaces", false, aNamespace("b", nil)}, true},
		"a namespace is deleted":             {event{"namespaces", false, aNamespace("a", nil)}, event{"namespaces", true, aNamespace("a", nil)}, true},
		"an unknown namespace is deleted":    {event{"namespaces", false, aNamespace("a", nil)}, event{"namespaces", true, aNamespace("b", nil)}, false},
		"a configuration loses its injectors": {
			event{"mutatingwebhookconfigurations", false, anInjector("one", "")},
			event{"mutatingwebhookconfigurations", false, withoutWebhooks(anInjector("one", ""))},
			true,
		},
		"a configuration that never had any": {
			event{"namespaces", false, aNamespace("a", nil)},
			event{"mutatingwebhookconfigurations", false, withoutWebhooks(anInjector("one", ""))},
			false,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := offline(t, Options{})
			s.sync(t)
			s.send(t, tc.first)
			if !s.publish() {
				t.Fatal("the first event made no snapshot due")
			}
			s.send(t, tc.second)
			if got := s.publish(); got != tc.want {
				t.Errorf("a snapshot was due: %t, want %t", got, tc.want)
			}
		})
	}
}

func withoutWebhooks(c *admissionregistrationv1.MutatingWebhookConfiguration) *admissionregistrationv1.MutatingWebhookConfiguration {
	c.Webhooks = nil
	return c
}

func (s *Source) send(t *testing.T, e event) {
	t.Helper()
	deliver := s.storeOf(t, e.resource).Update
	if e.deleted {
		deliver = s.storeOf(t, e.resource).Delete
	}
	if err := deliver(e.object); err != nil {
		t.Fatal(err)
	}
}

// A first list that comes from a stream is converted object by object; it must read as any other.
func TestStreamedListEqualsList(t *testing.T) {
	s := offline(t, Options{})
	st := s.storeOf(t, "namespaces")
	var streamed []any
	for _, name := range []string{"a", "b"} {
		converted, err := st.Transformer()(aNamespace(name, map[string]string{"istio.io/rev": name}))
		if err != nil {
			t.Fatal(err)
		}
		streamed = append(streamed, converted)
	}
	if err := st.Replace(streamed, "1"); err != nil {
		t.Fatal(err)
	}
	want := map[string]routing.Namespace{
		"a": routing.NamespaceOf("a", map[string]string{"istio.io/rev": "a"}),
		"b": routing.NamespaceOf("b", map[string]string{"istio.io/rev": "b"}),
	}
	if diff := cmp.Diff(want, s.watched.namespaces.values); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if err := st.Update(aRevision("not-a-namespace", "v1")); err == nil {
		t.Error("an object of another kind was taken for a namespace")
	}
}
