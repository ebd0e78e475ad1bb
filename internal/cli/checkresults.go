package cli

import (
	"github.com/revision-router/revision-router/internal/annotation"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing/skew"
)

// results are one for each finding, in the order of the writes.
func (j *judge) results(a *annotator) []annotation.Result {
	var out []annotation.Result
	for i := range j.answers {
		for n := range j.answers[i].findings {
			out = append(out, j.result(a, &j.answers[i], &j.answers[i].findings[n]))
		}
	}
	return out
}

func (j *judge) result(a *annotator, of *answer, f *skew.Finding) annotation.Result {
	var fields []manifest.Field
	if of.operation != skew.Delete {
		fields = fieldsOfRule(f.Rule)
	}
	line := of.written.FieldLine(fields...)
	r := annotation.Result{
		Rule: string(f.Rule), Level: annotation.Error, Message: j.messageOf(f) + typed(of.written, line),
		Place: a.place(of.written, line), Subject: of.object, Justification: f.Overridden,
	}
	if f.Level != skew.Deny {
		r.Level = annotation.Warning
	}
	for _, field := range fields {
		if of.written.Has(field) {
			r.Field = string(field)
			break
		}
	}
	return r
}

// messageOf is what a finding says, with why it does not deny.
func (j *judge) messageOf(f *skew.Finding) string {
	switch {
	case f.Overridden != "":
		return f.Message + " Admitted because of " + skew.AnnotationOverride + ": " + f.Overridden
	case f.Excused:
		return f.Message + " Admitted because " + j.user + " is warned only."
	}
	return f.Message
}
