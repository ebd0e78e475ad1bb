package routing_test

import (
	"slices"
	"time"

	"github.com/revision-router/revision-router/routing"
)

func present(value string) routing.Label { return routing.Label{Value: value, Present: true} }

// day gives objects ages that can be compared.
func day(n int) time.Time { return time.Date(2026, time.March, n, 0, 0, 0, 0, time.UTC) }

// revision is one of Sail's.
func revision(name string) routing.Revision {
	return routing.Revision{
		Name: name, Version: "v1.30.0", Namespace: "istio-system", Origin: routing.Sail, Created: day(1), UID: "r-" + name,
	}
}

// tag is one of Sail's, younger than the revisions.
func tag(name, revision string) routing.Tag {
	return routing.Tag{Name: name, Revision: revision, Origin: routing.Sail, Created: day(2), UID: "t-" + name}
}

// meshOf builds a mesh and leaves o to the caller.
func meshOf(o routing.Objects) *routing.Mesh {
	return routing.NewMesh(routing.Objects{
		Revisions:  slices.Clone(o.Revisions),
		Tags:       slices.Clone(o.Tags),
		Namespaces: slices.Clone(o.Namespaces),
		Mode:       o.Mode,
	})
}

func systemNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}
}
