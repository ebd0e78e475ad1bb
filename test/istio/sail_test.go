package istio

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// sailClusters are states in which Sail's objects and the webhook configurations do not tell the same, because the
// operator has refused an object, has not come to it yet, or shares the cluster with plain Istio.
func sailClusters(t *testing.T) map[string]cluster {
	t.Helper()
	named, byDefault := plane{revision: "1-31"}, plane{revision: "1-31", namespacesByDefault: true}
	toNamed := setTag{tag: "default", to: named}
	withFlag := setTag{tag: "default", to: named, autoInjectNamespaces: true}
	return map[string]cluster{
		"Sail: a tag refused because an older revision has its name":       refusedTag(t),
		"Sail: a revision refused because an older tag has its name":       refusedRevision(t),
		"Sail: a tag whose revision was deleted":                           danglingTag(t),
		"Sail: a tag that was never reconciled":                            unreconciledTag(t),
		"Sail: a tag that was never reconciled, over istioctl's":           takenOverTag(t),
		"Sail: a tag that was never reconciled, over plain Istio in place": takenOverRevision(t),
		"Sail beside plain Istio in place":                                 besidePlain(t),
		"Sail: istioctl's tag default, without auto-inject-namespaces, for one of its revisions": tagOfSail(t,
			toNamed, byDefault),
		"Sail: istioctl's tag default with auto-inject-namespaces": tagOfSail(t, withFlag, named),
	}
}

// refusedTag: Sail installs the older of two objects with one name (sail-operator, pkg/validation).
func refusedTag(t *testing.T) cluster {
	t.Helper()
	planes := []plane{{revision: "1-30"}, {revision: "1-31"}}
	known := func() sail.Inventory {
		i := sailObjects(t, planes...)
		i.Tags = append(i.Tags, unreconciled("1-31"))
		return i
	}
	return managed(ownedBySail(rendered(t, planes...)), known)
}

func refusedRevision(t *testing.T) cluster {
	t.Helper()
	tagged := plane{revision: "1-31", tags: []string{"default"}}
	known := func() sail.Inventory {
		i := sailObjects(t, tagged)
		i.Revisions = append(i.Revisions, sailRevision(t, plane{}, later()))
		return i
	}
	return managed(ownedBySail(rendered(t, tagged)), known)
}

// danglingTag: deleting the revision leaves the tags' configurations and their status where they were.
func danglingTag(t *testing.T) cluster {
	t.Helper()
	remaining, deleted := plane{revision: "1-30"}, plane{revision: "1-31", tags: []string{"default", "prod"}}
	installed := slices.DeleteFunc(rendered(t, remaining, deleted), func(c configuration) bool {
		return !isTag(c) && c.Labels[routing.LabelRevision] == deleted.name()
	})
	known := func() sail.Inventory {
		i := sailObjects(t, remaining, deleted)
		i.Revisions = slices.DeleteFunc(i.Revisions, func(r routing.Revision) bool { return r.Name == deleted.name() })
		return i
	}
	return managed(ownedBySail(installed), known)
}

func unreconciledTag(t *testing.T) cluster {
	t.Helper()
	only := plane{revision: "1-31"}
	known := func() sail.Inventory {
		i := sailObjects(t, only)
		i.Tags = append(i.Tags, unreconciled("prod"))
		return i
	}
	return managed(ownedBySail(rendered(t, only)), known)
}

// takenOverTag: an IstioRevisionTag for a tag that istioctl made, before the operator has come to it.
func takenOverTag(t *testing.T) cluster {
	t.Helper()
	other, tagged := plane{revision: "1-31"}, plane{revision: "1-30", tags: []string{"prod"}}
	installed := rendered(t, tagged)
	for i := range installed {
		if !isTag(installed[i]) {
			own(&installed[i])
		}
	}
	i := sailObjects(t, plane{revision: "1-30"}, other)
	i.Tags = append(i.Tags, unreconciled("prod"))
	return beside(append(installed, ownedBySail(rendered(t, other))...), i)
}

// takenOverRevision: on the way from plain Istio in place to Sail and the tag default, before the operator has come
// to the tag.
func takenOverRevision(t *testing.T) cluster {
	t.Helper()
	sails := plane{revision: "1-31"}
	i := sailObjects(t, sails)
	i.Tags = append(i.Tags, unreconciled("default"))
	return beside(append(rendered(t, plane{}), ownedBySail(rendered(t, sails))...), i)
}

func besidePlain(t *testing.T) cluster {
	t.Helper()
	inPlace, sails := plane{namespacesByDefault: true}, plane{revision: "1-31", tags: []string{"prod"}}
	return beside(append(rendered(t, inPlace), ownedBySail(rendered(t, sails))...), sailObjects(t, sails))
}

// tagOfSail: the flag of istioctl decides about namespaces by default, not the values of Sail's revision.
func tagOfSail(t *testing.T, call setTag, of plane) cluster {
	t.Helper()
	installed := tagSet(t, call, of)
	for i := range installed {
		if !isTag(installed[i]) {
			own(&installed[i])
		}
	}
	return beside(installed, sailObjects(t, of))
}

// managed is a state that is all Sail's, so that its objects alone are enough to know it.
func managed(installed []configuration, known func() sail.Inventory) cluster {
	return cluster{
		configurations: installed,
		views: []view{
			{"Sail", objects(known(), installed)},
			{"Sail's objects alone", objects(known(), nil)},
		},
	}
}

// beside is a state that only Sail's objects and the configurations together tell.
func beside(installed []configuration, known sail.Inventory) cluster {
	return cluster{configurations: installed, views: []view{{"Sail", objects(known, installed)}}}
}

// sailObjects are the IstioRevisions and IstioRevisionTags of the planes, reconciled.
func sailObjects(t *testing.T, planes ...plane) sail.Inventory {
	t.Helper()
	var i sail.Inventory
	for _, p := range planes {
		i.Revisions = append(i.Revisions, sailRevision(t, p, revisionsCreated()))
		for _, name := range p.tags {
			tag := sailTag(name)
			tag.Spec.TargetRef.Name, tag.Status.IstioRevision = p.name(), p.name()
			i.Tags = append(i.Tags, tag.Tag())
		}
	}
	return i
}

// sailRevision has the values that the chart is rendered with, in the form that they have in the cluster.
func sailRevision(t *testing.T, p plane, created time.Time) routing.Revision {
	t.Helper()
	object := sail.IstioRevision{ObjectMeta: meta(p.name(), created)}
	object.Spec.Namespace = controlPlaneNamespace
	data, err := json.Marshal(p.values())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &object.Spec.Values); err != nil {
		t.Fatal(err)
	}
	if err := object.Spec.Values.Problem(); err != nil {
		t.Fatal(err)
	}
	return object.Revision()
}

func sailTag(name string) sail.IstioRevisionTag {
	tag := sail.IstioRevisionTag{ObjectMeta: meta(name, tagsCreated())}
	tag.Spec.TargetRef.Kind = "IstioRevision"
	return tag
}

// unreconciled is a tag without a status: the operator has installed nothing for it.
func unreconciled(name string) routing.Tag {
	tag := sailTag(name)
	tag.Spec.TargetRef.Name = "1-30"
	return tag.Tag()
}

func meta(name string, created time.Time) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(created),
	}
}

// ownedBySail gives the configurations the owners that the operator gives what it installs.
func ownedBySail(installed []configuration) []configuration {
	for i := range installed {
		own(&installed[i])
	}
	return installed
}

func own(c *configuration) {
	owner := metav1.OwnerReference{
		APIVersion: sail.GroupVersion().String(), Kind: "IstioRevision", Name: c.Labels[routing.LabelRevision],
	}
	if isTag(*c) {
		owner.Kind, owner.Name = "IstioRevisionTag", c.Labels[routing.LabelTag]
	}
	c.OwnerReferences = []metav1.OwnerReference{owner}
}
