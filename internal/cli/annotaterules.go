package cli

import (
	"strings"

	"github.com/revision-router/revision-router/internal/annotation"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// The pages that say more, each with a section for every rule.
const (
	pageMessages = annotation.Home + "/blob/main/docs/messages.md#"
	pageReasons  = annotation.Home + "/blob/main/docs/reasons.md#"
)

// annotationRules are all that results can name.
func annotationRules() []annotation.Rule {
	var rules []annotation.Rule
	for _, info := range skew.Rules() {
		level := annotation.Error
		if info.Default == skew.Warn {
			level = annotation.Warning
		}
		rules = append(rules, annotation.Rule{
			ID: string(info.Rule), Summary: info.Summary, Level: level, Help: pageMessages + strings.ToLower(string(info.Rule)),
		})
	}
	for _, list := range []struct {
		level annotation.Level
		rules []reasonRule
	}{{annotation.Error, reasonRules()}, {annotation.Warning, warningRules()}} {
		for _, r := range list.rules {
			rules = append(rules, annotation.Rule{ID: r.name, Summary: r.summary, Level: list.level, Help: pageReasons + strings.ToLower(r.name)})
		}
	}
	return rules
}

// reasonRule is a reason or a warning of package routing as a rule.
type reasonRule struct{ name, summary string }

// reasonRules are the reasons for which a pod is refused, or left without the sidecar that it asks for. A reason to
// skip a pod is one of them where a container's image is auto, which nothing would replace.
func reasonRules() []reasonRule {
	const auto = "a container's image is auto, which only injection replaces, and "
	return []reasonRule{
		{string(routing.EmptyRevision), "istio.io/rev is there but empty, which no injector of Istio's matches"},
		{string(routing.UnknownRevision), "istio.io/rev names neither a revision nor a revision tag that exists"},
		{string(routing.NoDefaultRevision), "the default revision is asked for, and neither a revision nor a tag is named default"},
		{string(routing.DanglingTag), "the revision tag that is asked for leads to no revision"},
		{string(routing.NotRoutable), "the revision that is asked for takes no pods, and no earlier one of the tag does"},
		{string(routing.NoMesh), "a sidecar is asked for, and there is no revision of Istio at all"},
		{string(routing.PodOptOut), auto + "the pod opts out by its label sidecar.istio.io/inject=false"},
		{string(routing.NamespaceDisabled), auto + "the namespace switches injection off"},
		{string(routing.NotSelected), auto + "no label of pod or namespace asks for a sidecar"},
		{string(routing.HostNetwork), auto + "the pod is on the host's network, where istiod injects nothing"},
		{string(routing.IgnoredNamespace), auto + "istiod injects nothing in the namespace"},
		{string(routing.AnnotationOptOut), auto + "the pod opts out by its annotation sidecar.istio.io/inject=false"},
		{string(routing.NeverInjectSelector), auto + "a neverInjectSelector of the revision matches the pod"},
		{string(routing.AutoInjectDisabled), auto + "the revision injects only pods that ask for it"},
		{string(routing.AutoInjectInvalid), auto + "the revision injects nothing, because of its global.proxy.autoInject"},
	}
}

// warningRules are what is probably not meant, although a decision stands.
func warningRules() []reasonRule {
	return []reasonRule{
		{string(routing.PodRevisionOverruled), "istio.io/rev of a pod has no effect, because the namespace decides"},
		{string(routing.PodOptInIgnored), "sidecar.istio.io/inject=true of a pod has no effect in a namespace with injection off"},
		{string(routing.InjectionValue), "istio-injection has a value that is neither enabled nor disabled, and switches injection off"},
		{string(routing.BothNamespaceLabels), "istio.io/rev of a namespace has no effect beside istio-injection"},
		{string(routing.InjectLabelValue), "the label sidecar.istio.io/inject is neither true nor false, and does not count"},
		{string(routing.InjectNotRedirected), "a sidecar is injected, and Istio CNI sends no traffic through it"},
		{string(routing.AnnotationIgnored), "the annotation sidecar.istio.io/inject contradicts the label of that key, which wins"},
		{string(routing.AnnotationOptInIgnored), "the annotation sidecar.istio.io/inject=true alone selects no pod"},
		{string(routing.LabelsTooLong), "revision or version cannot be written as a label, so that the pod does not carry it"},
	}
}

// fieldsOfRule are where a write that violates the rule can be wrong, the likeliest first.
func fieldsOfRule(rule skew.Rule) []manifest.Field {
	switch rule {
	case skew.InPlaceStep, skew.DataPlaneBehind, skew.DataPlaneAhead, skew.ZTunnelSkew, skew.CNISkew, skew.SingletonSqueeze,
		skew.CNIZTunnelPair, skew.UnknownVersion, skew.AliasWithRevisionBased, skew.ZTunnelDrain:
		return []manifest.Field{
			manifest.FieldVersion, manifest.FieldProxyImage, manifest.FieldTarget, manifest.FieldRevision, manifest.FieldInjection,
		}
	case skew.TagTarget:
		return []manifest.Field{manifest.FieldTarget}
	case skew.TagRollout:
		return []manifest.Field{manifest.FieldRollout}
	case skew.NameConflict:
		return []manifest.Field{manifest.FieldName}
	case skew.UnknownRevisionLabel, skew.GatewayOwner:
		return []manifest.Field{manifest.FieldRevision, manifest.FieldInjection}
	case skew.InjectionLabels:
		return []manifest.Field{manifest.FieldInjection, manifest.FieldRevision}
	case skew.AmbientAndRevision:
		return []manifest.Field{manifest.FieldDataplaneMode, manifest.FieldRevision, manifest.FieldInjection}
	case skew.WaypointMissing:
		return []manifest.Field{manifest.FieldUseWaypoint, manifest.FieldGatewayClass}
	case skew.WaypointPolicy:
		return []manifest.Field{
			manifest.FieldTargets, manifest.FieldParents, manifest.FieldUseWaypoint, manifest.FieldDataplaneMode, manifest.FieldGatewayClass,
		}
	case skew.InUseDelete, skew.WaypointInUseDelete:
	}
	return nil // a deletion is wrong as a whole
}

// fieldOfWarning is the label or annotation that the warning is about, and whether it is the namespace's.
func fieldOfWarning(w routing.Warning) (fields []manifest.Field, ofNamespace bool) {
	switch w {
	case routing.PodRevisionOverruled:
		return []manifest.Field{manifest.FieldRevision}, false
	case routing.InjectionValue:
		return []manifest.Field{manifest.FieldInjection}, true
	case routing.BothNamespaceLabels:
		return []manifest.Field{manifest.FieldRevision}, true
	case routing.AnnotationIgnored, routing.AnnotationOptInIgnored:
		return []manifest.Field{manifest.FieldInjectAnnotation}, false
	case routing.PodOptInIgnored, routing.InjectLabelValue, routing.InjectNotRedirected, routing.LabelsTooLong:
	}
	return []manifest.Field{manifest.FieldInject, manifest.FieldInjectAnnotation}, false
}

// fieldOfDecision is the label that a decision is owed to, and whether it is the namespace's.
func fieldOfDecision(d routing.Decision) (fields []manifest.Field, ofNamespace bool) {
	if d.Action == routing.Skip { // where it refuses a pod, the image is what cannot be
		switch d.Reason {
		case routing.PodOptOut:
			return []manifest.Field{manifest.FieldInject, manifest.FieldImageAuto}, false
		case routing.AnnotationOptOut:
			return []manifest.Field{manifest.FieldInjectAnnotation, manifest.FieldImageAuto}, false
		}
		return []manifest.Field{manifest.FieldImageAuto}, false
	}
	switch d.Rule {
	case routing.NamespaceInjection:
		return []manifest.Field{manifest.FieldInjection}, true
	case routing.NamespaceRevision:
		return []manifest.Field{manifest.FieldRevision}, true
	case routing.PodInjection:
		return []manifest.Field{manifest.FieldInject}, false
	case routing.PodRevision, routing.GatewayRevision:
		return []manifest.Field{manifest.FieldRevision}, false
	}
	return nil, false
}
