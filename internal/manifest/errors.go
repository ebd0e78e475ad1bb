package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxReported bounds how many mistakes are spelt out: a wrong directory can hold thousands, and the first screen
// is what gets read.
const maxReported = 20

// Error is one mistake in what was read.
type Error struct {
	// File is the path as it was given or found, "-" for standard input.
	File string
	// Line counts from 1; it is 0 where the file as a whole could not be read.
	Line int
	// Text says what is wrong.
	Text string

	order int
}

// Error returns file:line: text, the form that editors and CI systems link to.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors is every mistake of all files, in the order in which they were read.
type Errors []*Error

// Error returns one line per mistake, the first twenty.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i == maxReported {
			fmt.Fprintf(&b, "\nand %d more", len(e)-maxReported)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find a single mistake.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, err := range e {
		out[i] = err
	}
	return out
}

// printable replaces what could steer a terminal: the texts repeat keys and values of files that nobody checked.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line))
	})
}
