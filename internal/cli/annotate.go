package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/internal/annotation"
	"github.com/revision-router/revision-router/internal/manifest"
)

// Output formats for the code hosts that show what is wrong beside the lines of a change.
const (
	outputGitHub = "github"
	outputGitLab = "gitlab"
	outputSARIF  = "sarif"
)

// annotates reports whether the format is one of these.
func annotates(output string) bool {
	return slices.Contains([]string{outputGitHub, outputGitLab, outputSARIF}, output)
}

// annotator writes them.
type annotator struct {
	command string
	output  string
	// madeFrom is the directory that what is read from standard input was made from; empty where nobody says.
	madeFrom string
}

// place is where a code host finds the line of an object. What came through standard input is known by the file that it
// was made from, without a line, if the tool that made it says so.
func (a *annotator) place(o *manifest.Object, line int) annotation.Place {
	if o.File != manifest.Stdin {
		return annotation.Place{File: o.File, Line: line}
	}
	origin := o.Origin.Path
	if origin == "" {
		return annotation.Place{}
	}
	if a.madeFrom != "" {
		if o.Origin.Chart {
			_, origin, _ = strings.Cut(origin, "/")
		}
		origin = path.Join(filepath.ToSlash(a.madeFrom), origin)
	}
	return annotation.Place{File: origin}
}

// typed is what a message ends with whose place is in standard input: nothing else tells where that is.
func typed(o *manifest.Object, line int) string {
	if o.File != manifest.Stdin {
		return ""
	}
	return fmt.Sprintf(" (line %d of standard input)", line)
}

// write writes the report to Out, and how much there is to Err, since the report may go to a file.
func (a *annotator) write(streams Streams, objects int, results []annotation.Result) error {
	r := annotation.Report{Command: a.command, Results: results, Rules: annotationRules(), Directory: workingDirectory()}
	for i := range r.Results {
		r.Results[i].Message = visible(r.Results[i].Message)
	}
	var err error
	switch a.output {
	case outputGitHub:
		err = r.GitHub(streams.Out)
	case outputGitLab:
		err = r.GitLab(streams.Out)
	default:
		err = r.SARIF(streams.Out)
	}
	_, told := fmt.Fprintf(streams.Err, "%s: %s, %s.\n",
		count(objects, "object"), count(r.Count(annotation.Error), "error"), count(r.Count(annotation.Warning), "warning"))
	return errors.Join(err, told)
}

// workingDirectory is where relative paths begin; empty where that is not known, and absolute ones stay so.
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}

// unreadable shows on GitHub what cannot be read, too, beside the lines. The other formats are whole reports, which
// would say that nothing else is wrong: without one, what was found before stands.
func (a *annotator) unreadable(streams Streams, err error) {
	var wrong manifest.Errors
	if a.output != outputGitHub || !errors.As(err, &wrong) {
		return
	}
	r := annotation.Report{Directory: workingDirectory()}
	for _, e := range wrong[:min(len(wrong), maxNotices)] {
		place, text := annotation.Place{File: e.File, Line: e.Line}, e.Text
		if e.File == manifest.Stdin {
			place, text = annotation.Place{}, e.Error()
		}
		r.Results = append(r.Results, annotation.Result{
			Rule: unreadableTitle, Level: annotation.Error, Place: place, Message: visible(text),
		})
	}
	out := bufio.NewWriter(streams.Out)
	_ = r.GitHub(out) // the error that is about to be returned says the same
	_ = out.Flush()
}

// unreadableTitle is no rule: it heads what could not be read.
const unreadableTitle = "Unreadable"
