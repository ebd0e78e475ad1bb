package routing

// Labels and annotations that Istio reads. The router reads them and never writes them.
const (
	// LabelInjection on a Namespace: "enabled" selects the default revision, every other value, the empty one
	// included, switches injection off.
	LabelInjection = "istio-injection"
	// LabelRevision on a Namespace, Pod or Gateway names a revision or a revision tag.
	LabelRevision = "istio.io/rev"
	// LabelTag on an injector webhook configuration names the revision tag that it serves.
	LabelTag = "istio.io/tag"
	// LabelInject on a Pod opts in ("true") or out ("false"); the annotation of the same key is an older form
	// that no webhook selector can see.
	LabelInject = "sidecar.istio.io/inject"
	// AnnotationMirror marks the API object of a static pod, which only the kubelet can change.
	AnnotationMirror = "kubernetes.io/config.mirror"
)

// Labels and annotations that the router writes on pods it routed. No other key of a pod is ever touched.
const (
	// LabelRoutedRevision is the revision that the pod's labels resolved to, never a tag.
	LabelRoutedRevision = "revision-router.io/revision"
	// LabelRoutedVersion is that revision's Istio version, such as v1.30.3. Absent where it is not known.
	LabelRoutedVersion = "revision-router.io/version"
	// AnnotationReason is the [Reason] of the decision.
	AnnotationReason = "revision-router.io/reason"
	// AnnotationTag is the revision tag that was followed. Absent where the pod named the revision itself.
	AnnotationTag = "revision-router.io/tag"
	// AnnotationFollowed is what led to another revision than the tag's target, a [Followed]. Absent elsewhere.
	AnnotationFollowed = "revision-router.io/followed"
)

// DefaultRevision is the name under which Istio's selectors reach the revision without a name (Helm value
// revision "", IstioRevision "default") or the revision tag "default".
const DefaultRevision = "default"

// Label is the value of a label or annotation together with whether its key is there at all: Istio's selectors
// tell an absent key from an empty value, and so must everything that follows them.
type Label struct {
	Value   string
	Present bool
}

// LabelOf reads key from labels, which may be nil.
func LabelOf(labels map[string]string, key string) Label {
	value, ok := labels[key]
	return Label{Value: value, Present: ok}
}

// Is reports whether the label is present and has exactly this value.
func (l Label) Is(value string) bool { return l.Present && l.Value == value }

// named reports whether the label is present and not empty, so that it can name something.
func (l Label) named() bool { return l.Present && l.Value != "" }

// ValidLabelValue reports whether v may be the value of a Kubernetes label: at most 63 characters, letters,
// digits, '-', '_' and '.', beginning and ending with a letter or digit (apimachinery, validation.IsValidLabelValue).
func ValidLabelValue(v string) bool {
	if len(v) > 63 {
		return false
	}
	for i := range len(v) {
		c := v[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(v)-1
		if !alphanumeric && (!inner || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}
