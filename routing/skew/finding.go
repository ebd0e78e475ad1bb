package skew

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Finding is one rule that a change violates.
type Finding struct {
	Rule Rule
	// Level is Deny or Warn, after the policy, the operator's exemption and the override were applied.
	Level Level
	// Message is what a user reads: the rule, the objects and versions, why, and what would pass.
	Message string
	// Objects are those that the finding is about, the changed one first.
	Objects []Ref
	// NextSteps are the commands or steps after which the change would pass, or that take its place, in order.
	NextSteps []string
	// Overridden is the reason of the override annotation, where it turned a denial into this warning.
	Overridden string
	// Excused: the finding would deny, and warns because of who makes the change (an operator, or a controller
	// of Kubernetes that finishes a deletion).
	Excused bool
}

// maxWarning is the length that the API conventions advise for an admission warning. The API server drops warnings
// past 4 KiB in sum and cuts single ones to 256 bytes then.
const maxWarning = 120

// Warning is the finding in one line of at most 120 bytes, for the warnings of an AdmissionResponse.
func (f Finding) Warning() string {
	line := f.Message
	if len(line) <= maxWarning {
		return line
	}
	const ellipsis = "..."
	cut := maxWarning - len(ellipsis)
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + ellipsis
}

// Denied reports whether any finding denies the change.
func Denied(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Deny {
			return true
		}
	}
	return false
}

// violation is a finding before the policy.
type violation struct {
	rule Rule
	// what says which rule is violated by what, in whole sentences.
	what string
	// todo introduces the steps, without a full stop: "Move them first". Without steps it is all there is to say.
	todo  string
	steps []string
	// instead: the steps take the place of the change, which would be refused again.
	instead bool
	objects []Ref
	// soft: a warning at most, whatever the policy says, because to refuse would leave no way forward.
	soft bool
}

func (v violation) message() string {
	var b strings.Builder
	b.WriteString(string(v.rule) + ": " + v.what)
	if v.todo != "" {
		b.WriteString(" " + v.todo)
		if len(v.steps) > 0 {
			b.WriteString(": " + strings.Join(v.steps[:min(named, len(v.steps))], "; "))
		}
		if more := len(v.steps) - named; more > 0 {
			b.WriteString("; and " + count(more, "more step"))
		}
		if !v.soft && !v.instead && len(v.steps) > 0 && !warnsByDefault(v.rule) {
			b.WriteString("; then retry")
		}
		b.WriteString(".")
	}
	return b.String()
}

func warnsByDefault(r Rule) bool {
	info, _ := r.info()
	return info.Default == Warn
}

// named is how many names a message holds before it counts the rest.
const named = 3

// some joins the first few names and counts the others.
func some(names []string) string {
	if last := len(names) - 1; last > 0 && last < named {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:named], ", ") + " and " + strconv.Itoa(len(names)-named) + " more"
}

// show is a version as messages write it.
func show(v Version) string {
	if s := v.String(); s != "" {
		return s
	}
	return "unknown version"
}
