package cli

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/internal/status"
)

// statusTables writes a report for people, in tables as kubectl's of several kinds: one below the other, each name with
// its kind in front.
type statusTables struct {
	out     *bufio.Writer
	report  *status.Report
	wide    bool
	headers bool
	screen  screen
}

// statusTable is one of them.
type statusTable struct {
	header []string
	rows   [][]string
}

// shownCommands is how many commands are written out in the narrow form.
const shownCommands = 3

func (t *statusTables) write() error {
	fmt.Fprintln(t.out, t.bold(headline(t.report)))
	t.problems()
	for _, table := range []statusTable{
		t.controlPlanes(), t.tags(), t.components(), t.gateways(), t.workloads(), t.restarts(), t.asking(),
	} {
		if len(table.rows) == 0 {
			continue
		}
		fmt.Fprintln(t.out)
		if err := t.table(table.header, table.rows); err != nil {
			return err
		}
	}
	t.commands()
	return nil
}

// headline is the report in a sentence.
func headline(r *status.Report) string {
	s := r.Summary
	text := count(s.ControlPlanes, "control plane") + ", " + count(s.Workloads, "workload") + " (" + count(s.Pods, "pod") + "): "
	switch {
	case s.ControlPlanes == 0 && s.Errors+s.Warnings == 0:
		return "There is no control plane of Istio here."
	case s.Errors+s.Warnings == 0:
		text += "nothing is wrong"
	case s.Errors == 0:
		text += count(s.Warnings, "warning")
	case s.Warnings == 0:
		text += count(s.Errors, "error")
	default:
		text += count(s.Errors, "error") + ", " + count(s.Warnings, "warning")
	}
	if s.Restarts > 0 {
		verb := " wait"
		if s.Restarts == 1 {
			verb = " waits"
		}
		text += "; " + count(s.Restarts, "workload") + verb + " for a restart"
	}
	return text + "."
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// problems writes what is wrong with what to do about it.
func (t *statusTables) problems() {
	for i := range t.report.Problems {
		p := &t.report.Problems[i]
		fmt.Fprintln(t.out)
		label := strings.ToLower(string(p.Severity)) + ": "
		text := p.Name + ": " + p.Message
		switch {
		case p.Advice != "" && len(p.Next) > 0:
			text += " " + p.Advice + ":"
		case p.Advice != "":
			text += " " + p.Advice + "."
		}
		lines := wrapped(label+visible(text), t.screen.width)
		for n, line := range lines {
			if n == 0 {
				line = t.severity(p.Severity, label) + strings.TrimPrefix(line, label)
			}
			fmt.Fprintln(t.out, line)
		}
		t.steps(p.Next)
	}
}

// steps writes commands, each on a line of its own, so that it can be copied.
func (t *statusTables) steps(commands []string) {
	shown := commands
	if !t.wide && len(commands) > shownCommands+1 {
		shown = commands[:shownCommands]
	}
	for _, c := range shown {
		fmt.Fprintln(t.out, "  "+visible(c))
	}
	if more := len(commands) - len(shown); more > 0 {
		fmt.Fprintf(t.out, "  (and %d more, see -o wide)\n", more)
	}
}

// commands ends the output with what does the restarts.
func (t *statusTables) commands() {
	if len(t.report.RestartCommands) == 0 {
		return
	}
	fmt.Fprintln(t.out, "\nTo restart what can be restarted now:")
	t.steps(t.report.RestartCommands)
}

func (t *statusTables) table(header []string, rows [][]string) error {
	limit := t.screen.columns
	if t.wide {
		limit = 0
	}
	if !t.headers {
		header = nil
	}
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
	}
	return writeColumns(t.out, header, rows, limit)
}

const (
	ansiReset  = "\x1b[0m"
	ansiBold   = "\x1b[1m"
	ansiRed    = "\x1b[1;31m"
	ansiYellow = "\x1b[1;33m"
)

func (t *statusTables) bold(text string) string { return t.coloured(ansiBold, text) }

func (t *statusTables) severity(s status.Severity, text string) string {
	if s == status.Error {
		return t.coloured(ansiRed, text)
	}
	return t.coloured(ansiYellow, text)
}

func (t *statusTables) coloured(code, text string) string {
	if !t.screen.colour {
		return text
	}
	return code + text + ansiReset
}

// wrapped breaks text between words into lines of at most width.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), "  "+word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
