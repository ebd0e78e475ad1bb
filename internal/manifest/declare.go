package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

const (
	// inPlace and revisionBased are the update strategies of an Istio; the first is the API's default.
	inPlace       = "InPlace"
	revisionBased = "RevisionBased"
	// profileRemote is the profile of a control plane in another cluster.
	profileRemote = "remote"
	// defaultNamespace is the API's default for spec.namespace.
	defaultNamespace = "istio-system"
)

// declaration holds what the objects stand for that the operator has not dealt with yet.
type declaration struct {
	// active is the revision that every Istio means, by the Istio's name.
	active   map[string]string
	warnings []string
}

// declare adds what the Sail Operator would make of objects that carry no status, as they lie in a Git
// repository: the revision of an Istio, and the revision that a tag leads to. This is what is declared and not
// what runs; for objects from a cluster, which carry a status, the status alone counts.
func (s *Set) declare(in *sail.Inventory) declaration {
	d := declaration{active: map[string]string{}}
	for o, istio := range All[*sail.Istio](s) {
		name, err := activeRevision(istio)
		if err != nil {
			d.warnings = append(d.warnings, fmt.Sprintf("%s:%d: Istio %s: %v", o.File, o.Line, o.Name, err))
			continue
		}
		d.active[o.Name] = name
		exists := func(r routing.Revision) bool { return r.Name == name }
		if !slices.ContainsFunc(in.Revisions, exists) {
			in.Revisions = append(in.Revisions, implied(istio, name))
			s.problem(o, &istio.Spec.Values)
		}
	}
	for i := range in.Tags {
		d.point(&in.Tags[i])
	}
	return d
}

// point gives a tag that was never reconciled the revision that its spec means. A target that is not there leaves
// it dangling, as in the cluster.
func (d *declaration) point(t *routing.Tag) {
	if t.Revision != "" {
		return
	}
	switch t.TargetKind {
	case "IstioRevision":
		t.Revision = t.TargetName
	case "Istio":
		t.Revision = d.active[t.TargetName]
	}
}

// activeRevision is the name of the revision that an Istio means: what the operator has said, else what it would
// name it (Sail Operator, controllers/istio, getActiveRevisionName).
func activeRevision(istio *sail.Istio) (string, error) {
	if name := istio.Status.ActiveRevisionName; name != "" {
		return name, nil
	}
	switch strategy := cmp.Or(istio.Spec.UpdateStrategy.Type, inPlace); {
	case strategy == inPlace:
		return istio.Name, nil
	case strategy != revisionBased:
		return "", fmt.Errorf("spec.updateStrategy.type is %q, not %s or %s", strategy, inPlace, revisionBased)
	case istio.Spec.Version == "":
		return "", errors.New("without spec.version the name of its revision depends on the operator's release")
	}
	return istio.Name + "-" + strings.ReplaceAll(istio.Spec.Version, ".", "-"), nil
}

// implied is the revision that the operator would make of an Istio.
func implied(istio *sail.Istio, name string) routing.Revision {
	r := sail.IstioRevision{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: istio.UID, CreationTimestamp: istio.CreationTimestamp},
		Spec: sail.IstioRevisionSpec{
			Version:   istio.Spec.Version,
			Namespace: cmp.Or(istio.Spec.Namespace, defaultNamespace),
			Values:    istio.Spec.Values,
		},
	}
	if istio.Spec.Profile == profileRemote {
		r.Spec.Values.Profile = profileRemote
	}
	out := r.Revision()
	out.Istio = istio.Name
	if istio.Status.ActiveRevisionName != "" && istio.Status.ObservedGeneration != istio.Generation {
		// The operator has yet to see the change, so that the version may be that of the next revision.
		out.Version = ""
	}
	return out
}
