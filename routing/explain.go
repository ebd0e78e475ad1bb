package routing

import (
	"strconv"
	"strings"
)

// MaxWarningLength bounds every line of [ExplainWarning] and [UnresolvedWarning]: the API server truncates long
// warnings once there are many (apiserver, endpoints/filters/warning.go), and Kubernetes asks for 120 at most.
const MaxWarningLength = 120

// Explain says in one sentence, without a full stop, why a decision about a pod came out as it did. It says the
// same in the webhook's messages and on the command line. d has to be what [Decide] made of in.
func Explain(in Input, d Decision) string {
	if d.Action == Skip {
		return explainSkip(in, d)
	}
	return explainName(in.Mesh, d) + explainFollowed(in, d)
}

// ExplainGateway is [Explain] for the decisions of [DecideGateway].
func ExplainGateway(in GatewayInput, d Decision) string {
	return explainName(in.Mesh, d)
}

func explainSkip(in Input, d Decision) string {
	switch d.Reason {
	case PodOptOut:
		return "the pod's label " + LabelInject + "=false opts out"
	case NamespaceDisabled:
		return "the namespace's label " + pair(LabelInjection, in.Namespace.Injection.Value) + " switches injection off"
	case NotSelected:
		return "no label of the pod or its namespace asks for a sidecar"
	case HostNetwork:
		return "the pod is on the host's network, and istiod injects no such pod"
	case IgnoredNamespace:
		return "istiod injects nothing in the namespace " + in.Namespace.Name
	case AnnotationOptOut:
		return "the pod's annotation " + LabelInject + "=false opts out"
	case MirrorPod:
		return "the pod mirrors a static pod, which only the kubelet can change"
	}
	found := in.Mesh.ResolveFor(d.Wanted, in.Namespace.Name, in.Pod.Workload)
	revision := found.Revision
	if revision == nil {
		revision = found.Meant
	}
	if revision == nil {
		return ""
	}
	switch d.Reason {
	case NeverInjectSelector:
		return "a neverInjectSelector of " + revisionText(revision.Name, revision.Version) + " matches the pod"
	case AutoInjectDisabled:
		return revisionText(revision.Name, revision.Version) +
			" injects only pods that ask for it (global.proxy.autoInject: disabled)"
	case AutoInjectInvalid:
		return revisionText(revision.Name, revision.Version) + " injects nothing: its global.proxy.autoInject is " +
			strconv.QuoteToASCII(clip(revision.Injection.AutoInject, 63)) + ", neither enabled nor disabled"
	}
	return ""
}

// explainName tells what the rule that asked for a revision led to.
func explainName(m *Mesh, d Decision) string {
	who := asker(d)
	switch d.Reason {
	case EmptyRevision:
		return who + " is there but empty, which no injector of Istio's matches"
	case UnknownRevision:
		return who + " names neither a revision nor a tag that exists"
	case NoDefaultRevision:
		return who + " asks for the default revision, but neither a revision nor a tag is named " + DefaultRevision
	case DanglingTag:
		return who + " asks for the tag " + quoteIn(63, d.Tag) + ", " + dangling(m.Resolve(d.Wanted).Tag)
	case NotRoutable:
		return explainNotRoutable(m, who, d)
	case NoMesh:
		return who + " asks for a sidecar, but the cluster holds no revision of Istio at all"
	}
	if who == "" || d.Action != Inject {
		return ""
	}
	if d.Tag == "" {
		return who + " means " + revisionText(d.Revision, d.Version)
	}
	return who + " means " + revisionText(d.Revision, d.Version) + ", through the tag " + d.Tag
}

// asker is what asked for a revision, as the subject of a sentence.
func asker(d Decision) string {
	switch d.Rule {
	case NamespaceInjection:
		return "the namespace's label " + LabelInjection + "=enabled"
	case NamespaceRevision:
		return "the namespace's label " + revisionLabel(d.Wanted)
	case PodRevision:
		return "the pod's label " + revisionLabel(d.Wanted)
	case PodInjection:
		return "the pod's label " + LabelInject + "=true"
	case NamespacesByDefault:
		return "enableNamespacesByDefault of the default revision"
	case GatewayRevision:
		return "the Gateway's label " + revisionLabel(d.Wanted)
	case DefaultOwner:
		return "a Gateway for which no label names a revision"
	}
	return ""
}

func revisionLabel(value string) string {
	if value == "" {
		return LabelRevision
	}
	return pair(LabelRevision, value)
}

func revisionText(name, version string) string {
	if version == "" {
		return "revision " + name + " (version unknown)"
	}
	return "revision " + name + " (" + version + ")"
}

func dangling(t *Tag) string {
	switch {
	case t == nil:
		return "which leads to no revision"
	case t.Revision != "":
		return "which points at the revision " + quoteIn(63, t.Revision) + " that does not exist"
	case t.TargetName != "":
		return "which was never given a revision by its target, the " + t.TargetKind + " " + quoteIn(63, t.TargetName)
	}
	return "which points at no revision"
}

// ExplainWarning says in one line of at most [MaxWarningLength] bytes of plain ASCII what is probably not meant,
// and why it has no effect. The line holds values from the cluster, clipped and quoted where they need it.
func ExplainWarning(w Warning, in Input) string {
	ns, pod := in.Namespace, in.Pod
	switch w {
	case PodRevisionOverruled:
		decides := pairIn(14, LabelRevision, ns.Revision.Value)
		if ns.Injection.Present {
			decides = pairIn(14, LabelInjection, ns.Injection.Value)
		}
		return "pod label " + pairIn(14, LabelRevision, pod.Revision.Value) + " has no effect: the namespace's " +
			decides + " decides"
	case PodOptInIgnored:
		return "pod label " + LabelInject + "=true has no effect: the namespace has " +
			pairIn(20, LabelInjection, ns.Injection.Value)
	case InjectionValue:
		return "namespace label " + pairIn(20, LabelInjection, ns.Injection.Value) +
			" switches injection off: only \"enabled\" switches it on"
	case BothNamespaceLabels:
		return "namespace label " + pairIn(20, LabelRevision, ns.Revision.Value) + " has no effect beside " +
			pairIn(20, LabelInjection, ns.Injection.Value)
	case InjectLabelValue:
		return "pod label " + pairIn(24, LabelInject, pod.Inject.Value) + " is neither true nor false and does not count"
	case InjectNotRedirected:
		return "on the pod, " + pairIn(8, LabelInject, pod.inject().Value) +
			": a sidecar is injected, but Istio CNI redirects no traffic to it"
	case AnnotationIgnored:
		return "annotation " + pairIn(24, LabelInject, pod.InjectAnnotation.Value) + " is ignored: the label of that key wins"
	case AnnotationOptInIgnored:
		return "annotation " + LabelInject + "=true alone selects no pod: set it as a label"
	case LabelsTooLong:
		return "the revision's name or version is no valid label value, so the pod does not carry it"
	}
	return ""
}

// UnresolvedWarning is the line, bounded as in [ExplainWarning], for a pod that should have been refused and was
// let in without a sidecar, because the policy only warns.
func UnresolvedWarning(d Decision) string {
	const effect = ": admitted without a sidecar, "
	what := ""
	switch d.Reason {
	case EmptyRevision:
		what = "the label " + LabelRevision + " is empty"
	case UnknownRevision:
		what = pairIn(24, LabelRevision, d.Wanted) + " names no revision or tag"
	case NoDefaultRevision:
		what = "no revision or tag is named " + DefaultRevision
	case DanglingTag:
		what = "the tag " + quoteIn(24, d.Tag) + " leads to no revision"
	case NotRoutable:
		what = quoteIn(32, d.Wanted) + " takes no pods now"
	case NoMesh:
		what = "the cluster has no Istio revision"
	}
	return string(d.Reason) + effect + what
}

// pair writes a label as kubectl does, with the value quoted where it could be misread.
func pair(key, value string) string { return pairIn(63, key, value) }

// pairIn is pair with the value bounded to limit bytes.
func pairIn(limit int, key, value string) string { return key + "=" + quoteIn(limit, value) }

// quoteIn bounds what a user wrote to limit bytes, and quotes it where it is empty or holds anything but the
// characters of a label value: values reach a webhook before they are validated.
func quoteIn(limit int, value string) string {
	if value != "" && ValidLabelValue(value) {
		return clip(value, limit)
	}
	if quoted := strconv.QuoteToASCII(value); len(quoted) <= limit {
		return quoted
	}
	// Escapes make a value longer, so that what fits is found from the front.
	var b strings.Builder
	for _, r := range value {
		escaped := strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		if b.Len()+len(escaped)+len(`""...`) > limit {
			break
		}
		b.WriteString(escaped)
	}
	return `"` + b.String() + `"...`
}

// clip bounds s to limit bytes; s is plain ASCII, or quoted by the caller.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const more = "..."
	return s[:limit-len(more)] + more
}
