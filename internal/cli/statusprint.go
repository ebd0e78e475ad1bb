package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing/skew"
)

// statusPrinter shows reports.
type statusPrinter struct {
	options *statusOptions
	streams Streams
	policy  skew.Policy
	screen  screen

	// shown is what is there already, last its exit code, told the last trouble.
	shown string
	last  error
	told  string
}

// screen is what is known of where the output goes.
type screen struct {
	// terminal: what is shown can be replaced.
	terminal bool
	colour   bool
	width    int
	// columns is how wide a table may get; 0 where nobody looks at it, and a program may read it.
	columns int
}

const (
	// defaultWidth is for output that is no terminal: wide enough for sentences, and still readable side by side.
	defaultWidth       = 120
	minWidth, maxWidth = 60, 160
)

// screenOf looks at the output. NO_COLOR: https://no-color.org. COLUMNS is for a terminal that does not tell its width, or
// tells too much.
func screenOf(out io.Writer) screen {
	s := screen{width: defaultWidth}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.terminal = true
	s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		s.columns = width
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		s.columns = width
	}
	if s.columns > 0 {
		s.width = min(max(s.columns, minWidth), maxWidth)
	}
	return s
}

func (p *statusPrinter) report(seen *sight) *status.Report {
	return status.New(status.Input{
		Mesh: seen.mesh, Skew: seen.skew, Pods: seen.pods, Policy: p.policy, Overlaps: seen.overlaps,
		Namespace: p.options.source.only(),
	})
}

// once shows a report and returns its exit code.
func (p *statusPrinter) once(seen *sight) error {
	r := p.report(seen)
	out, notices := bufio.NewWriter(p.streams.Out), bufio.NewWriter(p.streams.Err)
	writeNotices(notices, seen.notices)
	err := p.write(out, r)
	if err = errors.Join(err, out.Flush(), notices.Flush()); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	return ended(r)
}

// changed shows a report if it differs from what is there already.
func (p *statusPrinter) changed(seen *sight) error {
	r := p.report(seen)
	p.last = ended(r)
	var text bytes.Buffer
	out := bufio.NewWriter(&text)
	err := errors.Join(p.write(out, r), out.Flush())
	if err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if p.told = ""; text.String() == p.shown {
		return nil
	}
	first := p.shown == ""
	p.shown = text.String()
	if _, err := io.WriteString(p.streams.Out, p.before(first)+p.shown); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	notices := bufio.NewWriter(p.streams.Err)
	writeNotices(notices, seen.notices)
	return notices.Flush()
}

// before sets a report off from the last one: a terminal is cleared, and elsewhere one follows the other.
func (p *statusPrinter) before(first bool) string {
	table := p.options.output == outputTable || p.options.output == outputWide
	switch {
	case table && p.screen.terminal:
		return "\x1b[H\x1b[2J\x1b[3J"
	case first:
		return ""
	case p.options.output == outputYAML:
		return "---\n"
	case table:
		return "\n" + p.options.clock.Now().UTC().Format("--- 2006-01-02 15:04:05Z") + "\n\n"
	}
	return ""
}

func (p *statusPrinter) write(out *bufio.Writer, r *status.Report) error {
	switch p.options.output {
	case outputJSON:
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case outputYAML:
		text, err := yaml.Marshal(r)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	case outputHTML:
		return writePage(out, r, pageInfo{From: p.options.from(), At: p.options.clock.Now()})
	}
	t := statusTables{
		out: out, report: r, wide: p.options.output == outputWide, headers: !p.options.noHeaders, screen: p.screen,
	}
	return t.write()
}
