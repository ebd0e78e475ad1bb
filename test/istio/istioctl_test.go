package istio

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// istioctlClusters are states that only istioctl tag makes. Sail has no part in them.
func istioctlClusters(t *testing.T) map[string]cluster {
	t.Helper()
	inPlace, canary := plane{}, plane{revision: "1-31"}
	byDefault := plane{revision: "1-31", namespacesByDefault: true}
	moved := setTag{tag: "default", to: canary}
	return map[string]cluster{
		"istioctl: tag default moved away from the revision in place": plain(tagSet(t, moved, inPlace, canary)),
		"istioctl: tag default moved away, namespaces by default where it came from": plain(
			tagSet(t, moved, plane{namespacesByDefault: true}, canary)),
		"istioctl: tag default moved away, another tag left behind": plain(
			tagSet(t, moved, plane{tags: []string{"prod"}}, canary)),
		"istioctl: tag default moved away and removed": plain(
			tagRemove("default", tagSet(t, moved, inPlace, canary))),
		"istioctl: tag default moved away and removed, another tag left behind": plain(
			tagRemove("default", tagSet(t, moved, plane{tags: []string{"prod"}}, canary))),
		"istioctl: tag default for the revision in place": plain(
			tagSet(t, setTag{tag: "default", to: inPlace}, inPlace, canary)),
		"istioctl: tag default for the revision in place, with auto-inject-namespaces": plain(
			tagSet(t, setTag{tag: "default", to: inPlace, autoInjectNamespaces: true}, inPlace, canary)),
		"istioctl: tag default with auto-inject-namespaces": plain(
			tagSet(t, setTag{tag: "default", to: canary, autoInjectNamespaces: true}, canary)),
		"istioctl: tag default without auto-inject-namespaces, for a revision with namespaces by default": plain(
			tagSet(t, setTag{tag: "default", to: byDefault}, byDefault)),
		"istioctl: another tag with auto-inject-namespaces": plain(
			tagSet(t, setTag{tag: "prod", to: canary, autoInjectNamespaces: true}, inPlace, canary)),
		"the older chart for the tag default": plain(
			slices.Concat(rendered(t, canary), olderDefault(t, canary))),
	}
}

// plain is a state that the router knows from webhook configurations alone.
func plain(installed []configuration) cluster {
	return cluster{
		configurations: installed,
		views:          []view{{"plain Istio", objects(sail.Inventory{}, installed)}},
	}
}

// setTag is a call of istioctl tag set.
type setTag struct {
	tag string
	to  plane
	// autoInjectNamespaces is the flag of that name. The values of the revision have no say.
	autoInjectNamespaces bool
}

// tagSet does what istioctl tag set does to the configurations of the planes (istioctl/pkg/tag): it renders the chart
// for the tag alone and, for the tag default, deactivates the revision that has no name.
func tagSet(t *testing.T, call setTag, planes ...plane) []configuration {
	t.Helper()
	installed := rendered(t, planes...)
	if call.tag == routing.DefaultRevision {
		for i := range installed {
			deactivateDefault(&installed[i])
		}
	}
	alone := rendered(t, plane{call.to.revision, []string{call.tag}, call.autoInjectNamespaces})
	return append(installed, slices.DeleteFunc(alone, func(c configuration) bool { return !isTag(c) })...)
}

// deactivateDefault gives every webhook of the default revision selectors that match nothing
// (istioctl/pkg/tag/util.go, DeactivateIstioInjectionWebhook).
func deactivateDefault(c *configuration) {
	if isTag(*c) || c.Labels[routing.LabelRevision] != routing.DefaultRevision {
		return
	}
	never := &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/deactivated": "never-match"}}
	for i := range c.Webhooks {
		c.Webhooks[i].NamespaceSelector, c.Webhooks[i].ObjectSelector = never, never
	}
}

// tagRemove deletes the tag's configuration. A deactivated revision stays as it is.
func tagRemove(tag string, installed []configuration) []configuration {
	return slices.DeleteFunc(installed, func(c configuration) bool { return c.Labels[routing.LabelTag] == tag })
}

func olderDefault(t *testing.T, to plane) []configuration {
	t.Helper()
	installed := configurations(t, defaultChart, values{"revision": to.revision})
	for i := range installed {
		stamp(&installed[i])
	}
	return installed
}
