package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing/skew"
)

// verdict is one line of the JSON output; the fields and their order are the documented ones.
type verdict struct {
	Allowed  bool      `json:"allowed"`
	Findings []finding `json:"findings"`
}

type finding struct {
	Rule    skew.Rule  `json:"rule"`
	Level   skew.Level `json:"level"`
	Message string     `json:"message"`
}

func (a answer) verdict() verdict {
	v := verdict{Allowed: a.allowed(), Findings: []finding{}} // JSON: a list, never null
	for _, f := range a.findings {
		v.Findings = append(v.Findings, finding{f.Rule, f.Level, f.Message})
	}
	return v
}

// print writes the answers to Out. What is worth saying about the input goes to Err.
func (o *checkOptions) print(streams Streams, j *judge, a *annotator) error {
	out, notices := bufio.NewWriter(streams.Out), bufio.NewWriter(streams.Err)
	writeNotices(notices, j.notices)
	var err error
	switch {
	case annotates(o.output):
		err = a.write(Streams{Out: out, Err: notices}, len(j.answers), j.results(a))
	case o.output == outputJSON:
		err = writeVerdicts(out, j.answers)
		writeLines(notices, j.ruleless())
	default:
		err = writeAnswers(out, j.answers)
		writeBelow(out, j.messages(skew.Deny))
		writeBelow(out, j.messages(skew.Warn))
		writeBelow(out, j.ruleless())
	}
	return errors.Join(err, out.Flush(), notices.Flush())
}

func writeVerdicts(out io.Writer, answers []answer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, a := range answers {
		if err := encoder.Encode(a.verdict()); err != nil {
			return fmt.Errorf("%s: %w", a.object, err)
		}
	}
	return nil
}

// writeAnswers lays the answers out as kubectl does, one row for each finding.
func writeAnswers(out io.Writer, answers []answer) error {
	w := newTable(out)
	fmt.Fprintln(w, "OBJECT\tOPERATION\tALLOWED\tRULE\tLEVEL")
	for _, a := range answers {
		findings := a.findings
		if len(findings) == 0 {
			findings = []skew.Finding{{}}
		}
		for _, f := range findings {
			fmt.Fprintf(w, "%s\t%s\t%t\t%s\t%s\n", cell(a.object), a.operation, a.allowed(), cell(string(f.Rule)), cell(string(f.Level)))
		}
	}
	return w.Flush()
}

// messages are what the findings of the level say, each once.
func (j *judge) messages(level skew.Level) []string {
	var lines []string
	for _, a := range j.answers {
		for i := range a.findings {
			f := &a.findings[i]
			if line := j.messageOf(f); f.Level == level && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// ruleless says which objects are admitted because no rule looks at their kind.
func (j *judge) ruleless() []string {
	if len(j.unruled) == 0 {
		return nil
	}
	line := "No rule looks at objects of kind " + strings.Join(j.unruled, ", ") + "."
	if slices.Contains(j.unruled, "Pod") {
		line += " Which revision a pod gets is the answer of router resolve."
	}
	return []string{line}
}
