package routing

import (
	"slices"
	"strconv"
	"strings"
)

// maxNames bounds how many names a refusal lists: it becomes an event of the ReplicaSet, which is cut at 1 KiB.
const maxNames = 10

// ExplainRefusal is the whole message for a pod that is refused: the reason, who is refused and where, what was
// looked for, what there is instead, and the next step. subject names the object as the reader knows it, such as
// `pod "web-*"`. It depends on no policy: for a decision of [Skip] it says why an image "auto" cannot stay.
func ExplainRefusal(subject string, in Input, d Decision) string {
	var b strings.Builder
	b.WriteString(string(d.Reason) + ": " + subject + " in namespace " + quoteIn(63, in.Namespace.Name) + " is refused: ")
	if in.Pod.ImageAuto {
		b.WriteString("a container's image is \"auto\", which only injection replaces, and ")
	}
	b.WriteString(Explain(in, d) + ". ")
	if d.Action == Skip {
		b.WriteString("Next: " + nextForSkip(in, d))
		return b.String()
	}
	names := usableNames(in.Mesh)
	if len(names) > 0 {
		b.WriteString("The mesh has " + enumerate(names) + ". ")
	}
	meant := ""
	if d.Reason != NotRoutable { // which is no slip
		meant = closest(d.Wanted, names)
	}
	if meant != "" {
		b.WriteString("Did you mean " + strconv.Quote(meant) + "? ")
	}
	b.WriteString("Next: " + nextForName(in, d, choice(in.Mesh, names, meant)))
	return b.String()
}

// nextForName is the command or step after which the pod would be admitted, or that shows what is wrong. name is
// the value to put into istio.io/rev, empty where none suggests itself.
func nextForName(in Input, d Decision, name string) string {
	label := "kubectl label namespace " + shellWord(in.Namespace.Name) + " "
	switch {
	case d.Reason == NoMesh && d.Rule == NamespaceInjection:
		return "install Istio, or " + label + LabelInjection + "-"
	case d.Reason == NoMesh && d.Rule == NamespaceRevision:
		return "install Istio, or " + label + LabelRevision + "-"
	case d.Reason == NoMesh:
		return "install Istio, or take the label off the pod template"
	case d.Reason == NotRoutable:
		return nextToRoute(in.Mesh, d)
	case d.Reason == DanglingTag:
		return showTag(in.Mesh.Resolve(d.Wanted).Tag)
	case name == "" && d.Reason == NoDefaultRevision:
		return "create an IstioRevisionTag named " + DefaultRevision + "; for its target, " + showNames(in.Mesh)
	case name == "":
		return showNames(in.Mesh)
	case d.Rule == NamespaceRevision:
		return label + LabelRevision + "=" + shellWord(name) + " --overwrite"
	case d.Rule == NamespaceInjection:
		return "create an IstioRevisionTag named " + DefaultRevision + ", or " + label + LabelInjection + "- " +
			LabelRevision + "=" + shellWord(name) + " --overwrite"
	}
	return "set the label " + LabelRevision + "=" + shellWord(name) + " in the pod template, or " + showNames(in.Mesh)
}

// nextForSkip is the step after which a pod with an image "auto" would be injected.
func nextForSkip(in Input, d Decision) string {
	label := "kubectl label namespace " + shellWord(in.Namespace.Name) + " "
	switch d.Reason {
	case PodOptOut:
		return "take the label " + LabelInject + "=false off the pod template, or set a real image"
	case NamespaceDisabled, NotSelected:
		return nextToSelect(in, d, label)
	case HostNetwork:
		return "set hostNetwork to false in the pod template, or a real image"
	case IgnoredNamespace:
		return "deploy it in another namespace, or set a real image"
	case AnnotationOptOut:
		return "take the annotation " + LabelInject + "=false off the pod template, or set a real image"
	case NeverInjectSelector, AutoInjectDisabled:
		return "set the label " + LabelInject + "=true in the pod template"
	case AutoInjectInvalid:
		return "set global.proxy.autoInject to enabled in the values of the Istio that owns the revision"
	}
	return "set a real image"
}

// nextToSelect is the step that makes some revision's selectors match a pod that none matches.
func nextToSelect(in Input, d Decision, label string) string {
	name := choice(in.Mesh, usableNames(in.Mesh), "")
	switch {
	case name == "":
		return "let the namespace's label " + LabelRevision + " name a revision; for their names, " + showNames(in.Mesh)
	case d.Reason == NamespaceDisabled && name == DefaultRevision:
		return label + LabelInjection + "=enabled --overwrite"
	case d.Reason == NamespaceDisabled:
		return label + LabelInjection + "- " + LabelRevision + "=" + shellWord(name) + " --overwrite"
	}
	return "set the label " + LabelRevision + "=" + shellWord(name) + " in the pod template, or " +
		label + LabelRevision + "=" + shellWord(name)
}

// showNames is the command that lists what istio.io/rev may name in this mesh.
func showNames(m *Mesh) string {
	if usesSail(m) {
		return "kubectl get istiorevisions,istiorevisiontags"
	}
	return "kubectl get mutatingwebhookconfigurations -L " + LabelRevision + "," + LabelTag
}

func showTag(t *Tag) string {
	if t == nil || t.Origin != Sail {
		return "kubectl get mutatingwebhookconfigurations -L " + LabelRevision + "," + LabelTag
	}
	return "kubectl get istiorevisiontag " + shellWord(t.Name) + " -o yaml"
}

func usesSail(m *Mesh) bool {
	return slices.ContainsFunc(m.revisions, func(r Revision) bool { return r.Origin == Sail }) ||
		slices.ContainsFunc(m.tags, func(t Tag) bool { return t.Origin == Sail })
}

// usableNames returns, in order, what istio.io/rev may be set to with the result that a pod is injected.
func usableNames(m *Mesh) []string {
	names := make([]string, 0, len(m.revisions)+len(m.tags))
	for name, r := range m.names {
		if r.Revision != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func enumerate(names []string) string {
	shown := names[:min(len(names), maxNames)]
	var b strings.Builder
	for i, name := range shown {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(clip(name, 63))
	}
	if more := len(names) - len(shown); more > 0 {
		b.WriteString(" and " + strconv.Itoa(more) + " more")
	}
	return b.String()
}

// choice is the name to put into a command: what was probably meant, else the default, else the only one.
func choice(m *Mesh, names []string, meant string) string {
	switch {
	case meant != "":
		return meant
	case m.Resolve(DefaultRevision).Revision != nil:
		return DefaultRevision
	case len(names) == 1:
		return names[0]
	}
	return ""
}

// closest returns the name that wanted is probably a slip for, or "". A slip is another case, one or two letters
// (none in very short names, where every name is near every other), or a version that only one name contains.
func closest(wanted string, names []string) string {
	const longest = 253 // what Kubernetes allows as a name; nothing longer can be a slip for one
	if len(wanted) < 3 || len(wanted) > longest {
		return ""
	}
	wanted = strings.ReplaceAll(strings.ToLower(wanted), ".", "-")
	limit := 1
	if len(wanted) > 5 {
		limit = 2
	}
	best, distance := "", limit+1
	var containing []string
	for _, name := range names {
		if strings.Contains(name, wanted) {
			containing = append(containing, name)
		}
		if gap := len(name) - len(wanted); gap > limit || gap < -limit {
			continue
		}
		if d := edits(wanted, name); d < distance {
			best, distance = name, d
		}
	}
	if best == "" && len(containing) == 1 {
		return containing[0]
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that make b of a (optimal string
// alignment).
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// shellWord makes s one word of a shell command, so that what a user copies does what it says.
func shellWord(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}) < 0
	if plain {
		return s
	}
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return "'" + strings.ReplaceAll(clip(printable, 253), "'", `'\''`) + "'"
}
