package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/revision-router/revision-router/routing"
)

// none stands for an empty cell, as in kubectl, so that columns can be cut out.
const none = "<none>"

// writeJSON writes one object per line.
func writeJSON(out io.Writer, rows []row) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i := range rows {
		if err := encoder.Encode(&rows[i]); err != nil {
			return fmt.Errorf("%s %s/%s: %w", rows[i].Kind, rows[i].Namespace, rows[i].Name, err)
		}
	}
	return nil
}

// tableColumns says which columns a table has besides those that it always has.
type tableColumns struct {
	// wide: the warnings and the sentence.
	wide bool
	// followed: what led to another revision than the tag's target.
	followed bool
}

// writeTable lays the rows out as kubectl does.
func writeTable(out io.Writer, rows []row, with tableColumns) error {
	w := newTable(out)
	header := "NAMESPACE\tKIND\tNAME\tACTION\tREVISION\tTAG\tVERSION\tREASON"
	if with.followed {
		header += "\tFOLLOWED"
	}
	if with.wide {
		header += "\tWARNINGS\tWHY"
	}
	fmt.Fprintln(w, header)
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", cell(r.Namespace), r.Kind, cell(r.Name), r.Action,
			cell(r.Revision), cell(r.Tag), cell(r.Version), r.Reason)
		if with.followed {
			fmt.Fprintf(w, "\t%s", cell(string(r.Followed)))
		}
		if with.wide {
			fmt.Fprintf(w, "\t%s\t%s", cell(joined(r.Warnings)), cell(r.why))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// newTable has kubectl's layout.
func newTable(out io.Writer) *tabwriter.Writer {
	const minWidth, tabWidth, padding = 6, 4, 3
	return tabwriter.NewWriter(out, minWidth, tabWidth, padding, ' ', 0)
}

func cell(text string) string {
	if text == "" {
		return none
	}
	return visible(text)
}

// visible spells out what could steer a terminal or break a line: files hold names that no API server has checked.
func visible(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(text)
	}
	return text
}

func joined(warnings []routing.Warning) string {
	words := make([]string, len(warnings))
	for i, w := range warnings {
		words[i] = string(w)
	}
	return strings.Join(words, ",")
}

// writeBelow writes lines below a table, set off by an empty one.
func writeBelow(out *bufio.Writer, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintln(out)
	}
	writeLines(out, lines)
}

func writeLines(out *bufio.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(out, visible(line))
	}
}

func writeNotices(out *bufio.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(out, "warning: "+visible(line))
	}
}
