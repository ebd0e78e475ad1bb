package mesh

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

func authority(tb testing.TB) []byte {
	tb.Helper()
	a, err := certs.NewAuthority(created().Time, 24*time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return certs.NewBundle(a.Certificate).PEM()
}

func aSlice(namespace, service, name string, ready bool) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
}

func aRoot(namespace string, ca []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sail.RootCertificates}, Data: map[string]string{"root-cert.pem": string(ca)},
	}
}

func aValidator(revision, namespace string, ca []byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{
			Name: "istio-validator-" + revision + "-" + namespace, Labels: map[string]string{routing.LabelRevision: revision},
		},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: ca}}},
	}
}

func ofIstio(r *sail.IstioRevision, namespace string) *sail.IstioRevision {
	yes := true
	r.Spec.Namespace = namespace
	r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "default", Controller: &yes}}
	return r
}

func rollingTag(name, installed, target, rollout string) *sail.IstioRevisionTag {
	t := aTag(name, installed)
	t.Spec.TargetRef.Name = target
	if rollout != "" {
		t.Annotations = map[string]string{routing.AnnotationRollout: rollout}
	}
	return t
}

// forwardHistories are what happens to each object, in its own order: an update of the control plane, a rollout that
// is raised, and a second control plane that comes and goes in a namespace of its own.
func forwardHistories(ca, other []byte) [][]event {
	old, next := "v29", "v30"
	active := func(name string) *sail.Istio {
		return &sail.Istio{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Status: sail.IstioStatus{ActiveRevisionName: name}}
	}
	byIstio := aTag("stable", old)
	byIstio.Spec.TargetRef = sail.TargetRef{Kind: "Istio", Name: "default"}
	gone := ofIstio(aRevision("elsewhere", "v1.30.3"), "istio-other")
	return [][]event{
		{{"istios", false, active(old)}, {"istios", false, active(next)}},
		{{"istiorevisions", false, ofIstio(aRevision(old, "v1.29.6"), "istio-system")}},
		{{"istiorevisions", false, ofIstio(aRevision(next, "v1.30.3"), "istio-system")}},
		{{"istiorevisions", false, ofIstio(aRevision("v27", "v1.27.1"), "istio-system")}},
		{{"istiorevisions", false, gone}, {"istiorevisions", true, gone}},
		{{"istiorevisions", false, ofIstio(aRevision("moved", "v1.30.3"), "istio-third")}},
		{{"istiorevisiontags", false, byIstio}},
		{
			{"istiorevisiontags", false, rollingTag("prod", old, old, "")},
			{"istiorevisiontags", false, rollingTag("prod", old, old, "v30=10")},
			{"istiorevisiontags", false, rollingTag("prod", old, old, "v30=50")},
		},
		{{"istiorevisiontags", false, rollingTag("bad", old, old, "v30=500")}},
		{{"istiorevisiontags", false, rollingTag("late", old, "moved", "")}},
		{{"endpointslices", false, aSlice("istio-system", "istiod-v29", "a", false)}, {"endpointslices", false, aSlice("istio-system", "istiod-v29", "a", true)}},
		{{"endpointslices", false, aSlice("istio-system", "istiod-v30", "b", false)}},
		{{"endpointslices", false, aSlice("istio-system", "istiod-v30", "c", true)}, {"endpointslices", true, aSlice("istio-system", "istiod-v30", "c", true)}},
		{{"endpointslices", false, aSlice("istio-system", "istiod-v30", "d", true)}},
		{{"endpointslices", false, aSlice("istio-third", "istiod-moved", "e", true)}, {"endpointslices", false, aSlice("istio-third", "istiod-moved", "e", false)}},
		{{"configmaps", false, aRoot("istio-system", other)}, {"configmaps", false, aRoot("istio-system", ca)}},
		{{"configmaps", false, aRoot("istio-third", ca)}},
		{{"validatingwebhookconfigurations", false, aValidator(next, "istio-system", nil)}, {"validatingwebhookconfigurations", false, aValidator(next, "istio-system", other)}},
		{{"mutatingwebhookconfigurations", false, anInjector(next, "")}},
		{{"namespaces", false, aNamespace("shop", map[string]string{"istio.io/rev": "prod", "team": "a"})}},
	}
}

// fakeServer is what an API server would tell: the objects that there are, by place and name.
type fakeServer struct {
	objects map[string]map[string]any
}

// where is the key of the objects of a kind, in a namespace where that matters.
func where(resource string, object any) (place, name string) {
	m, _ := meta.Accessor(object) // every object of the histories has metadata
	if resource == "endpointslices" || resource == "configmaps" {
		return resource + " of " + m.GetNamespace(), m.GetName()
	}
	return resource, m.GetName()
}

// happen changes the cluster, and tells the source if it follows the kind there: now and then twice, or by a list.
func (f *fakeServer) happen(t *testing.T, s *Source, e event) {
	t.Helper()
	place, name := where(e.resource, e.object)
	if f.objects[place] == nil {
		f.objects[place] = map[string]any{}
	}
	f.objects[place][name] = e.object
	if e.deleted {
		delete(f.objects[place], name)
	}
	for range 1 + rand.IntN(2) {
		for _, k := range s.kinds {
			if k.place() != place || !k.synced {
				continue
			}
			st := &store{source: s, kind: k}
			deliver := st.Update
			switch {
			case rand.IntN(4) == 0:
				deliver = func(any) error { return st.Replace(slices.Collect(maps.Values(f.objects[place])), "2") }
			case e.deleted:
				deliver = st.Delete
			}
			if err := deliver(e.object); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// place is the kind with its namespace, as where writes it.
func (k *kind) place() string {
	if !k.local {
		return k.resource.Resource
	}
	return k.resource.Resource + " of " + strings.TrimPrefix(k.variant, "namespace ")
}

// catchUp lists what is followed and was not listed yet, and publishes if a snapshot is due.
func (f *fakeServer) catchUp(t *testing.T, s *Source) {
	t.Helper()
	for range 3 { // publishing may find new namespaces, whose lists make another snapshot due
		s.publish()
		for _, k := range slices.Clone(s.kinds) {
			if k.synced {
				continue
			}
			if err := (&store{source: s, kind: k}).Replace(slices.Collect(maps.Values(f.objects[k.place()])), "1"); err != nil {
				t.Fatal(err)
			}
			s.opened(k)
		}
	}
}

// TestOrderOfEventsDoesNotMatterInForward: every replica sees the same objects, each in an order of its own, some of
// them twice, some by a list and some before it follows them at all. All end with the same answer for every pod.
func TestOrderOfEventsDoesNotMatterInForward(t *testing.T) {
	const rounds = 400
	ca, other := authority(t), authority(t)
	var want string
	events, snapshots := 0, uint64(0)
	for round := range rounds {
		s := offline(t, Options{Mode: routing.Forward})
		f := &fakeServer{objects: map[string]map[string]any{}}
		left := forwardHistories(ca, other)
		for len(left) > 0 {
			n := rand.IntN(len(left))
			f.happen(t, s, left[n][0])
			events++
			if left[n] = left[n][1:]; len(left[n]) == 0 {
				left = slices.Delete(left, n, n+1)
			}
			if rand.IntN(5) == 0 {
				f.catchUp(t, s)
			}
		}
		f.catchUp(t, s)
		snapshots += s.Stats().Generation
		got := forwardPicture(t, s)
		if want == "" {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order gives another answer (-first +round %d):\n%s", round, diff)
		}
	}
	for _, part := range []string{
		"stable means v30 ()", "late means v29 (LastGood)", "bad means v29 ()", "v27 means  NotRoutable TooOld", "moved means  NotRoutable NoEndpoints",
		"elsewhere means  UnknownRevision", "injector istiod-v30.istio-system.svc:443", "overlap injector-v30-", "prod sends 57 of 100",
	} {
		if !strings.Contains(want, part) {
			t.Errorf("the answer lacks %q:\n%s", part, want)
		}
	}
	t.Logf("%d orders, %d events, %d snapshots: one answer", rounds, events, snapshots)
}

// forwardPicture is everything that the source tells about forwarding.
func forwardPicture(t *testing.T, s *Source) string {
	t.Helper()
	m := s.Mesh()
	if m == nil {
		t.Fatalf("no snapshot: %v", s.Ready())
	}
	var b strings.Builder
	b.WriteString(picture(m, "shop"))
	for _, name := range []string{"v27", "v29", "v30", "moved", "elsewhere", "stable", "prod", "bad", "late"} {
		r := m.Resolve(name)
		revision, why := "", ""
		if r.Revision != nil {
			revision = r.Revision.Name + " (" + string(r.Followed) + ")"
		} else if r.Meant != nil {
			why = string(r.Meant.Unroutable)
		}
		fmt.Fprintf(&b, "%s means %s %s %s\n", name, revision, r.Reason, why)
		if i, ok := s.Injector(name); ok {
			fmt.Fprintf(&b, "injector %s %s %s %x\n", i.Address, i.ServerName, i.Path, i.CABundle)
		}
	}
	moved := 0
	for n := range 100 {
		d := routing.Decide(routing.Input{
			Mesh: m, Namespace: routing.NamespaceOf("shop", map[string]string{"istio.io/rev": "prod"}),
			Pod: routing.Pod{Workload: routing.Workload{Kind: "Deployment", Name: fmt.Sprintf("web-%d", n)}},
		})
		fmt.Fprintf(&b, "%d: %s %s\n", n, d.Revision, d.Followed)
		if d.Revision == "v30" {
			moved++
		}
	}
	fmt.Fprintf(&b, "prod sends %d of 100\n", moved)
	for _, o := range s.Overlaps() {
		fmt.Fprintf(&b, "overlap %s %s %s\n", o.Configuration, o.Webhook, o.Wanted)
	}
	return b.String()
}
