package skew_test

import (
	"strconv"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

func BenchmarkCheck(b *testing.B) {
	large := ambient("v1.29.6")
	for i := range 5000 {
		name := "ns-" + strconv.Itoa(i)
		large.Namespaces = append(large.Namespaces, namespace(name, "istio-injection=enabled"))
		for j := range 4 {
			large.Workloads = append(large.Workloads, deployment(name, "app-"+strconv.Itoa(j), "default", "v1.29.6"))
		}
	}
	small := ambient("v1.29.6")
	for name, bc := range map[string]struct {
		mesh   skew.Mesh
		change skew.Change
	}{
		"small mesh":               {mesh: small, change: toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")},
		"5000 namespaces":          {mesh: large, change: toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")},
		"5000 namespaces, a label": {mesh: large, change: update(namespace("ns-1", "istio-injection=enabled"), namespace("ns-1", "istio-injection=enabled", "a=b"))},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				skew.Check(&bc.mesh, bc.change, skew.DefaultPolicy())
			}
		})
	}
}
