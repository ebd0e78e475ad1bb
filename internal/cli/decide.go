package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
)

// row is one line of the answer. The fields and their order are the JSON output.
type row struct {
	Kind      string            `json:"kind"`
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Action    routing.Action    `json:"action"`
	Reason    routing.Reason    `json:"reason"`
	Revision  string            `json:"revision"`
	Tag       string            `json:"tag"`
	Version   string            `json:"version"`
	Warnings  []routing.Warning `json:"warnings"`
	Followed  routing.Followed  `json:"followed,omitempty"`

	// why is the decision in a sentence, for the wide table.
	why string
}

// resolution is the answer of resolve.
type resolution struct {
	// rows are in order of namespace, kind and name.
	rows []row
	// refused: something is Unresolvable, or the webhook would refuse it.
	refused bool
	// refusals and warnings say more about the rows that need it.
	refusals, warnings messages
	// mentions are the same by place.
	mentions mentions
	// unknownNamespaces hold objects, but are not part of the input themselves.
	unknownNamespaces []string
}

// resolver decides everything in a set.
type resolver struct {
	set    *manifest.Set
	policy routing.Policy
	out    resolution
	// seen are the namespaces that are not in the set and have been noted.
	seen map[string]bool
	// places: what is said is kept by place as well.
	places bool
}

// resolve decides about everything in the namespace, or everywhere if it is empty.
func (r resolver) resolve(only string) *resolution {
	r.seen = map[string]bool{}
	set := r.set
	istio := map[string]bool{}
	for i := range set.Objects {
		o := &set.Objects[i]
		if only != "" && o.Namespace != only {
			continue
		}
		switch v := o.Value.(type) {
		case *manifest.Workload:
			if !v.History() {
				r.workload(o, v)
			}
		case *manifest.Gateway:
			ours, known := istio[v.Class]
			if !known {
				ours = set.IstioGateway(v.Class)
				istio[v.Class] = ours
			}
			if ours {
				r.gateway(o, v)
			}
		}
	}
	slices.Sort(r.out.unknownNamespaces)
	return &r.out
}

func (r *resolver) workload(o *manifest.Object, w *manifest.Workload) {
	in := routing.Input{Mesh: r.set.Mesh, Namespace: r.namespace(o.Namespace), Pod: w.Pod}
	d := routing.Decide(in)
	r.add(o, d, routing.Explain(in, d))
	switch verdict := r.policy.Judge(d, w.Pod); {
	case !verdict.Allowed():
		r.refuse(o, d, func(subject string) string { return routing.ExplainRefusal(subject, in, d) })
	case d.Action == routing.Unresolvable:
		// The policy lets it in. It is no answer to which revision it gets all the same.
		r.refuse(o, d, func(subject string) string {
			return string(d.Reason) + ": " + subject + " in namespace " + o.Namespace + " gets no sidecar: " +
				routing.Explain(in, d) + "."
		})
	}
	for _, warning := range d.Warnings.List() {
		text := func(subject string) string {
			return string(warning) + ": " + subject + " in namespace " + o.Namespace + ": " +
				routing.ExplainWarning(warning, in)
		}
		r.out.warnings.add(o, text)
		r.mention(remark(o, warning, text))
	}
}

func (r *resolver) refuse(o *manifest.Object, d routing.Decision, text func(subject string) string) {
	r.out.refused = true
	r.out.refusals.add(o, text)
	r.mention(refusal(o, d, text))
}

// mention is kept where somebody asks for places.
func (r *resolver) mention(m mention) {
	if r.places {
		r.out.mentions.add(m, r.set.Find(&manifest.Object{Kind: "Namespace", Name: m.object.Namespace}))
	}
}

func (r *resolver) gateway(o *manifest.Object, g *manifest.Gateway) {
	in := routing.GatewayInput{Mesh: r.set.Mesh, Namespace: r.namespace(o.Namespace), Revision: g.Revision}
	d := routing.DecideGateway(in)
	why := routing.ExplainGateway(in, d)
	r.add(o, d, why)
	if d.Action == routing.Unresolvable {
		r.refuse(o, d, func(subject string) string {
			return string(d.Reason) + ": " + subject + " in namespace " + o.Namespace +
				" belongs to no revision and is not programmed: " + why + "."
		})
	}
}

func (r *resolver) add(o *manifest.Object, d routing.Decision, why string) {
	warnings := d.Warnings.List()
	if warnings == nil {
		warnings = []routing.Warning{} // JSON: a list, never null
	}
	r.out.rows = append(r.out.rows, row{
		Kind: o.Kind, Namespace: o.Namespace, Name: o.Name,
		Action: d.Action, Reason: d.Reason, Revision: d.Revision, Tag: d.Tag, Version: d.Version,
		Warnings: warnings, Followed: d.Followed, why: why,
	})
}

// namespace takes one that is not in the set as unlabelled, and notes it.
func (r *resolver) namespace(name string) routing.Namespace {
	if ns, ok := r.set.Mesh.Namespace(name); ok {
		return ns
	}
	if !r.seen[name] {
		r.seen[name] = true
		r.out.unknownNamespaces = append(r.out.unknownNamespaces, name)
	}
	return routing.Namespace{Name: name}
}

// messages groups what is said about several objects in the same words, so that a thousand pods of one mistake
// make one message.
type messages struct {
	order []string
	of    map[string]*message
}

type message struct {
	// first are the objects that are named.
	first []string
	count int
	text  func(subject string) string
}

// maxNamed bounds how many objects one message names.
const maxNamed = 3

func (m *messages) add(o *manifest.Object, text func(subject string) string) {
	// Whatever stands for the subject, two messages are the same if all the rest is.
	key := text("\x00")
	if m.of == nil {
		m.of = map[string]*message{}
	}
	found, ok := m.of[key]
	if !ok {
		found = &message{text: text}
		m.of[key] = found
		m.order = append(m.order, key)
	}
	found.name(o)
}

// name adds an object that the message is about.
func (m *message) name(o *manifest.Object) {
	if m.count++; len(m.first) < maxNamed {
		m.first = append(m.first, subjectOf(o))
	}
}

// line is the message with its subject.
func (m *message) line() string {
	subject := m.first[0]
	if m.count > 1 {
		subject += " (and " + strings.Join(m.first[1:], ", ")
		if more := m.count - len(m.first); more > 0 {
			subject += fmt.Sprintf(" and %d more", more)
		}
		subject += ")"
	}
	return m.text(subject)
}

// subjectOf names what is refused or warned of: of a template it is the pods.
func subjectOf(o *manifest.Object) string {
	name := fmt.Sprintf("%s %q", o.Kind, o.Name)
	if _, workload := o.Value.(*manifest.Workload); workload && o.Kind != "Pod" {
		return "a pod of " + name
	}
	return name
}

// lines returns the messages in the order of the rows.
func (m *messages) lines() []string {
	out := make([]string, 0, len(m.order))
	for _, key := range m.order {
		out = append(out, m.of[key].line())
	}
	return out
}
