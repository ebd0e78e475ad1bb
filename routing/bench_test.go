package routing_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// largeObjects is a cluster at the size that the router is made for: 10,000 namespaces, 100 revisions, 1,000 tags.
func largeObjects() routing.Objects {
	var o routing.Objects
	for i := range 100 {
		o.Revisions = append(o.Revisions, revision(fmt.Sprintf("default-v1-30-%d", i)))
	}
	for i := range 1000 {
		o.Tags = append(o.Tags, tag(fmt.Sprintf("tag-%d", i), o.Revisions[i%100].Name))
	}
	o.Tags = append(o.Tags[1:], tag("default", o.Revisions[0].Name))
	for i := range 10_000 {
		ns := routing.Namespace{Name: fmt.Sprintf("namespace-%d", i)}
		if i%2 == 0 {
			ns.Revision = present(o.Tags[i%1000].Name)
		} else {
			ns.Injection = present("enabled")
		}
		o.Namespaces = append(o.Namespaces, ns)
	}
	return o
}

func BenchmarkDecide(b *testing.B) {
	large := meshOf(largeObjects())
	ns, _ := large.Namespace("namespace-9998")
	enabled, _ := large.Namespace("namespace-9999")
	cases := []struct {
		name string
		in   routing.Input
		want routing.Action
	}{
		{"a tag of a large mesh", routing.Input{Mesh: large, Namespace: ns}, routing.Inject},
		{"the default", routing.Input{Mesh: large, Namespace: enabled}, routing.Inject},
		{"not selected", routing.Input{Mesh: large, Namespace: routing.Namespace{Name: "x"}}, routing.Skip},
		{"an unknown revision", routing.Input{Mesh: large, Pod: routing.Pod{Revision: present("gone")}}, routing.Unresolvable},
		{"opted out", routing.Input{Mesh: large, Pod: routing.Pod{Inject: present("false")}}, routing.Skip},
		{"ten neverInjectSelectors", neverInjectInput(10), routing.Inject},
		{"all warnings that combine", warningInput(large), routing.Skip},
		{"a rollout under way", rolloutInput(), routing.Inject},
	}
	for _, tc := range cases {
		b.Run(tc.name, func(b *testing.B) {
			if got := routing.Decide(tc.in); got.Action != tc.want {
				b.Fatalf("decided %+v, want %s", got, tc.want)
			}
			b.ReportAllocs()
			for b.Loop() {
				routing.Decide(tc.in)
			}
		})
	}
}

func neverInjectInput(n int) routing.Input {
	var values routing.Injection
	in := routing.Input{Namespace: routing.Namespace{Name: "bookinfo", Injection: present("enabled")}}
	for i := range n {
		key := fmt.Sprintf("key-%d", i)
		values.NeverInject = append(values.NeverInject, routing.Selector{
			{Key: key, Operator: routing.OpIn, Values: []string{"a", "b", "c"}},
		})
		in.Pod.Labels = append(in.Pod.Labels, routing.Pair{Key: key, Value: "d"})
	}
	in.Mesh = valuesMesh(values)
	return in
}

func rolloutInput() routing.Input {
	return routing.Input{
		Mesh: rolloutMesh(50), Namespace: routing.Namespace{Name: "bookinfo", Revision: present("prod")},
		Pod: routing.Pod{Workload: routing.Workload{Kind: "Deployment", Name: "productpage-v1"}},
	}
}

func warningInput(m *routing.Mesh) routing.Input {
	return routing.Input{
		Mesh:      m,
		Namespace: routing.Namespace{Name: "bookinfo", Injection: present("on"), Revision: present("a")},
		Pod:       routing.Pod{Inject: present("true"), Revision: present("b"), InjectAnnotation: present("false")},
	}
}

func BenchmarkNewMesh(b *testing.B) {
	o := largeObjects()
	b.ReportAllocs()
	for b.Loop() {
		// NewMesh takes over the lists that it sorts.
		fresh := o
		fresh.Revisions, fresh.Tags = slices.Clone(o.Revisions), slices.Clone(o.Tags)
		if m := routing.NewMesh(fresh); m.NamespaceCount() != 10_000 {
			b.Fatalf("%d namespaces, want 10,000", m.NamespaceCount())
		}
	}
}
