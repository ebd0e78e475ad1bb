package sail

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// LabelVersion is the label of a Deployment or DaemonSet of Istio's charts that tells which version it runs.
const LabelVersion = "app.kubernetes.io/version"

// Istiod is what counts of an istiod Deployment.
type Istiod struct {
	Namespace, Revision string
	// Version in the form of spec.version; empty where the Deployment does not tell.
	Version string
}

// IstiodOf reads the metadata of an istiod Deployment.
func IstiodOf(namespace string, labels map[string]string) Istiod {
	return Istiod{
		Namespace: namespace,
		Revision:  labels[routing.LabelRevision],
		Version:   ChartVersion(labels[LabelVersion]),
	}
}

// ChartVersion gives a chart's version the form of spec.version, which has a leading v.
func ChartVersion(label string) string {
	if label != "" && strings.IndexByte("0123456789", label[0]) >= 0 {
		return "v" + label
	}
	return label
}

// Inventory is everything a [routing.Mesh] is made from, before plain Istio's objects are joined.
type Inventory struct {
	// Revisions and Tags are those of the Sail Operator.
	Revisions []routing.Revision
	Tags      []routing.Tag
	// Injectors are the configurations that the Sail Operator does not own.
	Injectors  []Injector
	Istiods    []Istiod
	Namespaces []routing.Namespace

	// Mode is who injects. What follows counts only in routing.Forward.
	Mode routing.Mode
	// Active is the revision that each Istio means, by the Istio's name.
	Active map[string]string
	// Reaches, Endpoints and Authorities tell whether and how the injectors of the Sail Operator's revisions can be
	// called; Reaches are by the revision's name.
	Reaches     map[string]Reach
	Endpoints   []Endpoints
	Authorities []Authority
	// AssumeEndpoints and AssumeCA take those for granted of which nothing could be read, as from files.
	AssumeEndpoints, AssumeCA bool
}

// Objects joins the inventory. The order within the lists does not matter. The slices of the inventory are taken
// over.
func (i Inventory) Objects() routing.Objects {
	o := routing.Objects{Revisions: i.Revisions, Tags: i.Tags, Namespaces: i.Namespaces}
	versions := versionsOf(i.Istiods)
	var dormant []Injector
	for _, in := range i.Injectors {
		switch {
		case in.Deactivated && in.Tag == "":
			dormant = append(dormant, in)
		case in.Deactivated:
		case in.ownName():
			o.Revisions = append(o.Revisions, in.revision(versions[istiodKey{in.Namespace, in.Revision}]))
		default:
			o.Tags = append(o.Tags, in.tag())
		}
	}
	active := len(o.Revisions)
	for _, in := range dormant {
		// istioctl install deactivates the default revision's configuration, too, and gives its names to a tag that
		// is named like it. That is the revision's own name, and found above.
		named := func(r routing.Revision) bool { return r.Name == in.Revision }
		if !slices.ContainsFunc(o.Revisions[:active], named) {
			o.Revisions = append(o.Revisions, in.revision(versions[istiodKey{in.Namespace, in.Revision}]))
		}
	}
	applyDefaultTag(i.Injectors, o)
	if i.Mode == routing.Forward {
		i.forward(&o)
	}
	return o
}

// applyDefaultTag moves enableNamespacesByDefault to where routing looks for it, on the revision. Where plain
// Istio's tag named default leads there, the webhook for unlabelled pods is in the tag's configuration (istioctl
// tag set --auto-inject-namespaces), whatever the revision's own values say.
func applyDefaultTag(injectors []Injector, o routing.Objects) {
	isDefault := func(in Injector) bool { return in.Tag == routing.DefaultRevision && !in.ownName() }
	if !slices.ContainsFunc(injectors, isDefault) {
		return
	}
	// Which of several objects of that name counts is for routing to say.
	names := routing.NewMesh(routing.Objects{Revisions: slices.Clone(o.Revisions), Tags: slices.Clone(o.Tags)})
	found := names.Resolve(routing.DefaultRevision)
	if found.Revision == nil || found.Tag == nil || found.Tag.Origin != routing.Webhook {
		return
	}
	for _, in := range injectors {
		if !isDefault(in) || in.tag() != *found.Tag {
			continue
		}
		for i := range o.Revisions {
			if r := &o.Revisions[i]; r.Name == in.Revision {
				r.Injection.EnableNamespacesByDefault = in.NamespacesByDefault
			}
		}
	}
}

type istiodKey struct{ namespace, revision string }

// versionsOf leaves a revision out whose Deployments disagree: its version is then not known.
func versionsOf(istiods []Istiod) map[istiodKey]string {
	versions := make(map[istiodKey]string, len(istiods))
	for _, d := range istiods {
		key := istiodKey{d.Namespace, d.Revision}
		if seen, ok := versions[key]; ok && seen != d.Version {
			versions[key] = ""
			continue
		}
		versions[key] = d.Version
	}
	return versions
}
