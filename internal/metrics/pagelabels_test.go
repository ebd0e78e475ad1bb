package metrics

import (
	"strings"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
	told "github.com/revision-router/revision-router/internal/events"
	"github.com/revision-router/revision-router/internal/registration"
	"github.com/revision-router/revision-router/internal/server"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/webhook"
	"github.com/revision-router/revision-router/webhook/forward"
)

// labelValues is the set that a label of a metric takes its values from, or what is to be said where they are names of
// objects.
func labelValues(m Metric, label string) (values []string, open string) {
	switch label {
	case "revision":
		return nil, "names of revisions"
	case "tag":
		return nil, "names of tags"
	case "version", "commit", "go_version":
		if m.Name == prefix+buildInfo {
			return nil, "of this build"
		}
		return nil, "versions of proxies; empty where one is not known"
	case "dry_run":
		return []string{"false", "true"}, ""
	case "certificate":
		return []string{certificateLeaf, certificateCA, certificateNextCA, certificatePrevious}, ""
	case "role":
		return words([]skew.Role{skew.Sidecar, skew.GatewayProxy, skew.WaypointProxy, skew.Ambient}), ""
	case "level":
		return words([]skew.Level{skew.Deny, skew.Warn}), ""
	}
	return closedValues(strings.TrimPrefix(m.Name, prefix), label), ""
}

// closedValues is for labels whose set depends on the metric.
func closedValues(name, label string) []string {
	switch name + " " + label {
	case decisions + " action":
		return words([]routing.Action{routing.Inject, routing.Skip, routing.Unresolvable})
	case decisions + " reason":
		var list []string
		for _, r := range routing.Reasons() {
			list = append(list, string(r.Reason))
		}
		return list
	case findings + " rule", meshObservations + " rule":
		var list []string
		for _, r := range skew.Rules() {
			list = append(list, string(r.Rule))
		}
		return list
	case requestDuration + " webhook":
		var list []string
		for _, e := range webhook.Entries() {
			list = append(list, e.Name)
		}
		return append(list, webhook.Changes)
	case snapshotObjects + " kind":
		return []string{"revision", "tag", "namespace"}
	}
	return map[string][]string{
		admissions + " verdict":           words(webhook.Verdicts()),
		warnings + " warning":             words(webhook.Warnings()),
		exempt + " exemption":             words(webhook.Exemptions()),
		rejected + " cause":               words(webhook.Causes()),
		namespaceReads + " result":        words(webhook.NamespaceReads()),
		changes + " kind":                 words(changeKinds()),
		unjudged + " kind":                words(changeKinds()),
		findings + " outcome":             findingOutcomes(),
		certificateActions + " action":    words(certificateKinds()),
		certificateActions + " outcome":   words(secretca.Outcomes()),
		bundleWebhooks + " state":         {bundleInOrder, bundleDifferent},
		rotationPhase + " phase":          words(certs.Phases()),
		openConnections + " phase":        words(server.Phases()),
		refusedRequests + " cause":        words(server.Refusals()),
		closedConnections + " reason":     words(server.Closures()),
		handshakeErrors + " cause":        words(server.HandshakeFailures()),
		registrationProblems + " problem": words(registration.Problems()),
		events + " outcome":               words(told.Outcomes()),
		forwards + " result":              words(forward.Results()),
		unroutableRevisions + " reason":   words(routing.UnroutableReasons()),
	}[name+" "+label]
}

func certificateKinds() []certs.Kind {
	var kinds []certs.Kind
	for _, kind := range certs.Kinds() {
		if kind != certs.Nothing {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func words[T ~string](values []T) []string {
	var list []string
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}
