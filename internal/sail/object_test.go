package sail_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// A client decodes lists of every kind straight into the types, one object of unexpected content included.
func TestSchemeDecodesLists(t *testing.T) {
	scheme := runtime.NewScheme()
	sail.AddToScheme(scheme)
	codecs := serializer.NewCodecFactory(scheme)
	for kind, sample := range readSamples(t) {
		t.Run(kind, func(t *testing.T) {
			item, err := json.Marshal(sample)
			if err != nil {
				t.Fatal(err)
			}
			strange := fmt.Sprintf(`{"metadata":{"name":"strange"},"spec":{"values":[%s]}}`, `"no object"`)
			list := fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"%sList","metadata":{"resourceVersion":"7"},"items":[%s,%s]}`, kind, item, strange)
			read := func() runtime.Object {
				object, _, err := codecs.UniversalDeserializer().Decode([]byte(list), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				return object
			}
			items, err := meta.ExtractList(read())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, item := range items {
				m, err := meta.Accessor(item)
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, m.GetName())
			}
			name := (&unstructured.Unstructured{Object: sample}).GetName()
			if diff := cmp.Diff([]string{name, "strange"}, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			checkDeepCopy(t, read(), read())
		})
	}
}

// checkDeepCopy changes a copy of the list and compares the list with its equal, which nothing was copied from.
func checkDeepCopy(t *testing.T, list, equal runtime.Object) {
	t.Helper()
	all := cmp.Options{cmpopts.IgnoreUnexported(sail.Values{}, sail.CNIValues{}, sail.ZTunnelValues{})}
	changed := list.DeepCopyObject()
	if diff := cmp.Diff(list, changed, all); diff != "" {
		t.Fatalf("the copy differs:\n%s", diff)
	}
	items, err := meta.ExtractList(changed)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		m, err := meta.Accessor(item)
		if err != nil {
			t.Fatal(err)
		}
		m.SetName("changed")
		m.SetFinalizers(append(m.GetFinalizers(), "changed"))
		spoil(item)
	}
	if diff := cmp.Diff(equal, list, all); diff != "" {
		t.Errorf("changing a copy changed the original:\n%s", diff)
	}
}

// spoil overwrites whatever a copy could share with its original.
func spoil(object runtime.Object) {
	var conditions []sail.Condition
	var selectors []routing.Selector
	switch o := object.(type) {
	case *sail.Istio:
		conditions, selectors = o.Status.Conditions, slices.Concat(o.Spec.Values.NeverInject, o.Spec.Values.AlwaysInject)
	case *sail.IstioRevision:
		conditions, selectors = o.Status.Conditions, slices.Concat(o.Spec.Values.NeverInject, o.Spec.Values.AlwaysInject)
	case *sail.IstioRevisionTag:
		conditions = o.Status.Conditions
	case *sail.IstioCNI:
		conditions = o.Status.Conditions
	case *sail.ZTunnel:
		conditions = o.Status.Conditions
	}
	for i := range conditions {
		conditions[i].Type = "changed"
	}
	for _, s := range selectors {
		for i := range s {
			s[i].Key = "changed"
			for j := range s[i].Values {
				s[i].Values[j] = "changed"
			}
		}
	}
}

func TestOwner(t *testing.T) {
	yes, no := true, false
	cases := map[string]struct {
		owners []metav1.OwnerReference
		want   string
	}{
		"made by a user":                          {},
		"controlled by an Istio":                  {[]metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "default", Controller: &yes}}, "default"},
		"controlled by an Istio of an old API":    {[]metav1.OwnerReference{{APIVersion: "sailoperator.io/v1alpha1", Kind: "Istio", Name: "default", Controller: &yes}}, "default"},
		"owned, but not controlled":               {[]metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "default", Controller: &no}}, ""},
		"controlled by another kind":              {[]metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "ZTunnel", Name: "default", Controller: &yes}}, ""},
		"controlled by an Istio of another group": {[]metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Istio", Name: "default", Controller: &yes}}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := sail.IstioRevision{ObjectMeta: metav1.ObjectMeta{OwnerReferences: tc.owners}}
			if got := r.Revision().Istio; got != tc.want {
				t.Errorf("the Istio is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRevisionOfEveryField(t *testing.T) {
	var r sail.IstioRevision
	raw, err := json.Marshal(readSamples(t)["IstioRevision"])
	if err != nil {
		t.Fatal(err)
	}
	decode(t, raw, &r)
	deleted := metav1.NewTime(epoch())
	r.UID, r.CreationTimestamp, r.DeletionTimestamp = "u", metav1.NewTime(epoch().Local()), &deleted
	want := routing.Revision{
		Name: "default-v1-30-3", Version: "v1.30.3", Namespace: "istio-system", Origin: routing.Sail,
		Created: epoch(), UID: "u", Deleting: true, Remote: true,
		Injection: routing.Injection{
			EnableNamespacesByDefault: true, AutoInject: "disabled",
			NeverInject:  []routing.Selector{{{Key: "job", Operator: routing.OpIn, Values: []string{"batch"}}}},
			AlwaysInject: []routing.Selector{{{Key: "tier", Operator: routing.OpIn, Values: []string{"web"}}}},
		},
	}
	if diff := cmp.Diff(want, r.Revision()); diff != "" {
		t.Errorf("revision (-want +got):\n%s", diff)
	}
	var tag sail.IstioRevisionTag
	if raw, err = json.Marshal(readSamples(t)["IstioRevisionTag"]); err != nil {
		t.Fatal(err)
	}
	decode(t, raw, &tag)
	tag.UID, tag.CreationTimestamp, tag.DeletionTimestamp = "u", metav1.NewTime(epoch()), &deleted
	wantTag := routing.Tag{
		Name: "prod", Revision: "default-v1-30-3", TargetKind: "Istio", TargetName: "default", Origin: routing.Sail,
		Created: epoch(), UID: "u", Deleting: true,
	}
	if diff := cmp.Diff(wantTag, tag.Tag()); diff != "" {
		t.Errorf("tag (-want +got):\n%s", diff)
	}
}
