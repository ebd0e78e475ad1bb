package istio

import (
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// cluster is a state of a cluster: as the API server sees it, and as the router does.
type cluster struct {
	// configurations are the injectors' webhook configurations.
	configurations []configuration
	// views are the sources that the router may know the state from. Each has to lead to the same decisions.
	views []view
}

type view struct {
	name    string
	objects routing.Objects
}

// plane is one control plane: a release of the chart.
type plane struct {
	// revision is the Helm value; the empty one is the default revision.
	revision            string
	tags                []string
	namespacesByDefault bool
}

// clusters are the states that are compared, by what they are.
func clusters(t *testing.T) map[string]cluster {
	t.Helper()
	all := map[string]cluster{
		"no Istio at all":                              install(t),
		"one revision in place":                        install(t, plane{}),
		"one revision with a name":                     install(t, plane{revision: "1-31"}),
		"one revision in place, namespaces by default": install(t, plane{namespacesByDefault: true}),
		"one revision with a name, namespaces by default": install(t,
			plane{revision: "1-31", namespacesByDefault: true}),
		"two revisions without tags": install(t, plane{revision: "1-30"}, plane{revision: "1-31"}),
		"two revisions with the tags default and prod": install(t,
			plane{revision: "1-30", tags: []string{"default"}},
			plane{revision: "1-31", tags: []string{"prod"}}),
		"two revisions with tags, namespaces by default on the default one": install(t,
			plane{revision: "1-30", tags: []string{"default"}, namespacesByDefault: true},
			plane{revision: "1-31", tags: []string{"prod"}}),
		"two revisions with tags, namespaces by default on the other one": install(t,
			plane{revision: "1-30", tags: []string{"default"}},
			plane{revision: "1-31", tags: []string{"prod"}, namespacesByDefault: true}),
		"one revision with the tags default and prod": install(t,
			plane{revision: "1-31", tags: []string{"default", "prod"}}),
		"in place beside a revision with a tag": install(t,
			plane{}, plane{revision: "1-31", tags: []string{"prod"}}),
		"a tag for the revision in place": install(t,
			plane{tags: []string{"prod"}}, plane{revision: "1-31"}),
	}
	maps.Copy(all, istioctlClusters(t))
	maps.Copy(all, sailClusters(t))
	return all
}

// install renders the chart for each plane. Whether Helm or the Sail Operator did it makes no difference to the
// selectors, and must make none to the decisions.
func install(t *testing.T, planes ...plane) cluster {
	t.Helper()
	byHelm, bySail := rendered(t, planes...), ownedBySail(rendered(t, planes...))
	return cluster{
		configurations: byHelm,
		views: []view{
			{"plain Istio", objects(sail.Inventory{}, byHelm)},
			{"Sail", objects(sailObjects(t, planes...), bySail)},
			{"Sail's objects alone", objects(sailObjects(t, planes...), nil)},
		},
	}
}

// rendered returns the configurations of the planes, as the API server stores them.
func rendered(t *testing.T, planes ...plane) []configuration {
	t.Helper()
	var all []configuration
	for _, p := range planes {
		all = append(all, configurations(t, discoveryChart, p.values())...)
	}
	for i := range all {
		stamp(&all[i])
	}
	return all
}

func (p plane) values() values {
	return values{
		"revision":               p.revision,
		"revisionTags":           p.tags,
		"sidecarInjectorWebhook": values{"enableNamespacesByDefault": p.namespacesByDefault},
	}
}

func (p plane) name() string {
	if p.revision == "" {
		return routing.DefaultRevision
	}
	return p.revision
}

// stamp adds what the API server gives an object that it stores. Revisions come before their tags.
func stamp(c *configuration) {
	created := revisionsCreated()
	if isTag(*c) {
		created = tagsCreated()
	}
	c.CreationTimestamp, c.UID = metav1.NewTime(created), types.UID(c.Name)
}

func isTag(c configuration) bool { return c.Labels[routing.LabelTag] != "" }

func revisionsCreated() time.Time { return time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC) }
func tagsCreated() time.Time      { return revisionsCreated().Add(time.Hour) }
func later() time.Time            { return tagsCreated().Add(time.Hour) }

// objects is what the router makes of Sail's objects and of all configurations in the cluster.
func objects(i sail.Inventory, installed []configuration) routing.Objects {
	for _, c := range installed {
		if injector, ok := sail.FromWebhookConfiguration(&c); ok {
			i.Injectors = append(i.Injectors, injector)
		}
	}
	return i.Objects()
}

// clone keeps a mesh from taking over the slices of a view.
func clone(o routing.Objects) routing.Objects {
	return routing.Objects{Revisions: slices.Clone(o.Revisions), Tags: slices.Clone(o.Tags)}
}
