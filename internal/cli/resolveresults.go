package cli

import (
	"github.com/revision-router/revision-router/internal/annotation"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
)

// mention is what is said about one object.
type mention struct {
	rule   string
	level  annotation.Level
	object *manifest.Object
	// fields are where it can be mended, in the object, or ofNamespace in its namespace.
	fields      []manifest.Field
	ofNamespace bool
	text        func(subject string) string
}

func refusal(o *manifest.Object, d routing.Decision, text func(subject string) string) mention {
	m := mention{rule: string(d.Reason), level: annotation.Error, object: o, text: text}
	m.fields, m.ofNamespace = fieldOfDecision(d)
	return m
}

func remark(o *manifest.Object, w routing.Warning, text func(subject string) string) mention {
	m := mention{rule: string(w), level: annotation.Warning, object: o, text: text}
	m.fields, m.ofNamespace = fieldOfWarning(w)
	return m
}

// mentions groups what is said by the place where it can be mended, so that one label of a namespace is one thing to
// mend, however many templates it is about.
type mentions struct {
	order []mentionKey
	of    map[mentionKey]*mentionGroup
}

type mentionKey struct {
	rule, file string
	line       int
	text       string
}

type mentionGroup struct {
	message message
	first   mention
	at      *manifest.Object
	line    int
	others  []*manifest.Object
}

// add takes the namespace's object, nil where it is not among what was read: then the place is the object itself.
func (m *mentions) add(said mention, namespace *manifest.Object) {
	at, line := said.object, said.object.FieldLine(said.fields...)
	if said.ofNamespace {
		line = at.Line
		if namespace != nil {
			at, line = namespace, namespace.FieldLine(said.fields...)
		}
	}
	key := mentionKey{said.rule, at.File, line, said.text("\x00")}
	if m.of == nil {
		m.of = map[mentionKey]*mentionGroup{}
	}
	group, ok := m.of[key]
	if !ok {
		group = &mentionGroup{message: message{text: said.text}, first: said, at: at, line: line}
		m.of[key] = group
		m.order = append(m.order, key)
	}
	group.message.name(said.object)
	if said.object != at {
		group.others = append(group.others, said.object)
	}
}

// results are one for each place, in the order of the rows.
func (m *mentions) results(a *annotator) []annotation.Result {
	out := make([]annotation.Result, 0, len(m.order))
	for _, key := range m.order {
		g := m.of[key]
		r := annotation.Result{
			Rule: g.first.rule, Level: g.first.level, Message: g.message.line() + typed(g.at, g.line),
			Place: a.place(g.at, g.line), Subject: objectName(g.at),
		}
		for _, field := range g.first.fields {
			if g.at.Has(field) {
				r.Field = string(field)
				break
			}
		}
		for _, o := range g.others {
			r.Concerns = append(r.Concerns, annotation.Subject{Name: objectName(o), Place: a.place(o, o.Line)})
		}
		out = append(out, r)
	}
	return out
}
