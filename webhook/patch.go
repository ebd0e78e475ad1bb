package webhook

import "github.com/revision-router/revision-router/routing"

// marks are what the router writes on a pod. Empty means that the key must not be there.
type marks struct{ revision, version, reason, tag, followed string }

// marksOf is what a decision leaves on the pod. A pod that is not injected carries none of them, so that a label
// of the router never says of a pod what is not so.
func marksOf(d routing.Decision) marks {
	if d.Action != routing.Inject {
		return marks{}
	}
	m := marks{reason: string(d.Reason), tag: d.Tag, followed: string(d.Followed)}
	if routing.ValidLabelValue(d.Revision) {
		m.revision = d.Revision
	}
	if routing.ValidLabelValue(d.Version) {
		m.version = d.Version
	}
	return m
}

// mark is one key of the router's: what it should say, and what the pod brought.
type mark struct {
	key  string
	want string
	have member
}

// settled: nothing has to change.
func (m mark) settled() bool {
	if m.want == "" {
		return !m.have.present
	}
	return m.have.present && string(m.have.value) == m.want
}

// appendPatch appends the smallest JSON Patch (RFC 6902) that leaves exactly these marks on the pod, and nothing
// where they are there already. A second pass finds nothing to do, so that reinvocation is harmless. No other
// key is touched: above all not istio.io/rev, which changed behind its ReplicaSet makes that start pods without
// end (istio/istio issue 33237).
func (p *podReview) appendPatch(dst []byte, m marks) []byte {
	labels := [...]mark{
		{routing.LabelRoutedRevision, m.revision, p.routedRevision},
		{routing.LabelRoutedVersion, m.version, p.routedVersion},
	}
	annotations := [...]mark{
		{routing.AnnotationReason, m.reason, p.routedReason},
		{routing.AnnotationTag, m.tag, p.routedTag},
		{routing.AnnotationFollowed, m.followed, p.routedFollowed},
	}
	start := len(dst)
	if !p.hasMetadata {
		if !anyWanted(labels[:]) && !anyWanted(annotations[:]) {
			return dst
		}
		dst = append(dst, `[{"op":"add","path":"/metadata","value":{"labels":`...)
		dst = appendMap(dst, labels[:])
		dst = append(dst, `,"annotations":`...)
		dst = appendMap(dst, annotations[:])
		return append(dst, `}}]`...)
	}
	dst = appendOperations(dst, start, place{"/metadata/labels", p.hasLabels}, labels[:])
	dst = appendOperations(dst, start, place{"/metadata/annotations", p.hasAnnotations}, annotations[:])
	if len(dst) > start {
		dst = append(dst, ']')
	}
	return dst
}

// place is a map of the pod's metadata, and whether the pod has it.
type place struct {
	path   string
	exists bool
}

// appendOperations appends the operations for one map to a patch that began at start.
func appendOperations(dst []byte, start int, at place, list []mark) []byte {
	if !at.exists {
		if !anyWanted(list) {
			return dst
		}
		dst = appendOperation(dst, start, "add", pointer{at.path, ""})
		dst = append(dst, `,"value":`...)
		dst = appendMap(dst, list)
		return append(dst, '}')
	}
	for _, m := range list {
		switch {
		case m.settled():
			continue
		case m.want == "":
			dst = appendOperation(dst, start, "remove", pointer{at.path, m.key})
			dst = append(dst, '}')
			continue
		case m.have.present:
			dst = appendOperation(dst, start, "replace", pointer{at.path, m.key})
		default:
			dst = appendOperation(dst, start, "add", pointer{at.path, m.key})
		}
		dst = append(dst, `,"value":`...)
		dst = appendString(dst, m.want)
		dst = append(dst, '}')
	}
	return dst
}

// pointer is a JSON pointer to a map, or to a key of it where that is not empty.
type pointer struct{ path, key string }

// appendOperation begins an operation, and the list where it is the first.
func appendOperation(dst []byte, start int, op string, at pointer) []byte {
	if len(dst) == start {
		dst = append(dst, '[')
	} else {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"op":"`...)
	dst = append(dst, op...)
	dst = append(dst, `","path":"`...)
	dst = append(dst, at.path...)
	if at.key != "" {
		dst = appendPointer(dst, at.key)
	}
	return append(dst, '"')
}

// appendPointer appends a key as a token of a JSON pointer (RFC 6901), which has its own escapes for ~ and /. The
// keys are the router's own constants, so that nothing in them needs an escape of JSON.
func appendPointer(dst []byte, key string) []byte {
	dst = append(dst, '/')
	for i := range len(key) {
		switch key[i] {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, key[i])
		}
	}
	return dst
}

func anyWanted(list []mark) bool {
	for _, m := range list {
		if m.want != "" {
			return true
		}
	}
	return false
}

func appendMap(dst []byte, list []mark) []byte {
	dst = append(dst, '{')
	first := true
	for _, m := range list {
		if m.want == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, m.key)
		dst = append(dst, ':')
		dst = appendString(dst, m.want)
	}
	return append(dst, '}')
}
