package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/revision-router/revision-router/internal/migrate"
	"github.com/revision-router/revision-router/internal/status"
)

// migratePrinter shows events as they come: a line for each, and on a terminal one below them that is replaced.
type migratePrinter struct {
	out     io.Writer
	options *migrateOptions
	screen  screen
	// under are the rollouts under way with what is missing, in the order in which they were begun.
	under []underWay
	// err is the first failure to write.
	err error
}

type underWay struct {
	ref     migrate.Ref
	message string
}

func newMigratePrinter(streams Streams, o *migrateOptions) *migratePrinter {
	return &migratePrinter{out: streams.Out, options: o, screen: screenOf(streams.Out)}
}

// clearLine takes the line away that a terminal shows last.
const clearLine = "\r\x1b[K"

func (p *migratePrinter) event(e migrate.Event) {
	if p.options.output == outputJSON {
		p.write(p.eventLine(e))
		return
	}
	p.follow(e)
	var b strings.Builder
	if p.screen.terminal {
		b.WriteString(clearLine)
	}
	for _, line := range p.lines(e) {
		b.WriteString(line + "\n")
	}
	if p.screen.terminal && e.Type != migrate.Finished && len(p.under) > 0 {
		b.WriteString(p.progress(e))
	}
	p.write(b.String())
}

func (p *migratePrinter) write(text string) {
	if _, err := io.WriteString(p.out, text); err != nil && p.err == nil {
		p.err = fmt.Errorf("writing the output: %w", err)
	}
}

// follow keeps what is under way.
func (p *migratePrinter) follow(e migrate.Event) {
	if e.Due == nil {
		return
	}
	at := len(p.under)
	for i := range p.under {
		if p.under[i].ref == e.Due.Ref {
			at = i
		}
	}
	switch {
	case e.Type == migrate.Adopted || e.Type == migrate.Restarted || e.Type == migrate.Progressing:
		if at == len(p.under) {
			p.under = append(p.under, underWay{ref: e.Due.Ref})
		}
		p.under[at].message = e.Message
	case at < len(p.under):
		p.under = append(p.under[:at], p.under[at+1:]...)
	}
}

// progress is the line that is replaced.
func (p *migratePrinter) progress(e migrate.Event) string {
	var under strings.Builder
	for _, u := range p.under {
		under.WriteString("; " + u.ref.Namespace + "/" + u.ref.Name)
		if u.message != "" {
			under.WriteString(" " + u.message)
		}
	}
	text := visible(waveOf(e) + howFar(e) + under.String())
	if width := p.screen.width - 1; len(text) > width {
		text = text[:width-3] + "..."
	}
	return text
}

// waveOf begins a line about a wave. What was under way before belongs to none.
func waveOf(e migrate.Event) string {
	if e.Wave == 0 {
		return ""
	}
	return "wave " + strconv.Itoa(e.Wave) + ": "
}

// howFar is the counts, with the time that is left.
func howFar(e migrate.Event) string {
	text := strconv.Itoa(e.Done) + " of " + strconv.Itoa(e.Total)
	if e.Remaining > 0 {
		text += ", about " + roughly(e.Remaining) + " left"
	}
	return text
}

// roughly is a duration as a person would say it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(1, int(d.Seconds()))) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + "m"
	}
	return strconv.Itoa(int(d.Hours())) + "h" + strconv.Itoa(int(d.Minutes())%60) + "m"
}

// lines are what is said about an event.
func (p *migratePrinter) lines(e migrate.Event) []string {
	wave := waveOf(e)
	var name string
	if e.Due != nil {
		name = visible(e.Due.String())
	}
	switch e.Type {
	case migrate.Found:
		return []string{p.coloured(ansiBold, p.found(e))}
	case migrate.Planned:
		return []string{wave + name + ": " + moves(e.Due)}
	case migrate.Restarted:
		return []string{wave + "restarted " + name + ": " + moves(e.Due)}
	case migrate.Adopted:
		return []string{wave + "waiting for " + name + ", whose rollout is under way: " + visible(e.Message)}
	case migrate.RolledOut:
		if e.Message != "" {
			return []string{wave + name + ": " + visible(e.Message) + " (" + howFar(e) + ")"}
		}
		return []string{wave + name + " has rolled out in " + e.Took.Round(time.Second).String() + " (" + howFar(e) + ")"}
	case migrate.Failed:
		return p.trouble(ansiRed, "error: ", name+": "+e.Message, e.Next)
	case migrate.Held:
		return p.trouble(ansiYellow, "waits: ", name+": "+e.Message, e.Next)
	case migrate.LeftOver:
		return p.trouble(ansiYellow, "left: ", name+": "+e.Message, e.Next)
	case migrate.Interrupted:
		return []string{"interrupted: " + name + " goes on rolling out"}
	case migrate.Noted:
		return p.trouble(ansiYellow, "note: ", e.Message, e.Next)
	case migrate.Finished:
		return p.finished(e)
	case migrate.Progressing:
	}
	return nil
}

// moves is what a restart changes.
func moves(d *migrate.Due) string {
	var from []string
	for _, f := range d.From {
		from = append(from, f.String())
	}
	return visible(count(d.Pods, "pod") + " from " + strings.Join(from, ", ") + " to " + d.To.String())
}

// trouble is a sentence, with what to do about it below.
func (p *migratePrinter) trouble(colour, label, text, next string) []string {
	lines := wrapped(label+visible(text), p.screen.width)
	lines[0] = p.coloured(colour, label) + strings.TrimPrefix(lines[0], label)
	if next != "" {
		lines = append(lines, "  "+visible(next))
	}
	return lines
}

func (p *migratePrinter) coloured(code, text string) string {
	if !p.screen.colour {
		return text
	}
	return code + text + ansiReset
}

// migrateEvent is -o json, documented in docs/spec.md.
type migrateEvent struct {
	Time        time.Time            `json:"time"`
	Event       migrate.EventType    `json:"event"`
	Wave        int                  `json:"wave"`
	Namespace   string               `json:"namespace"`
	Kind        string               `json:"kind"`
	Name        string               `json:"name"`
	Pods        int                  `json:"pods"`
	From        []status.Proxy       `json:"from"`
	To          status.Proxy         `json:"to"`
	Tag         string               `json:"tag"`
	Reason      status.RestartReason `json:"reason"`
	Message     string               `json:"message"`
	Next        string               `json:"next"`
	Seconds     float64              `json:"seconds"`
	Total       int                  `json:"total"`
	Done        int                  `json:"done"`
	UnderWay    int                  `json:"underWay"`
	Waiting     int                  `json:"waiting"`
	Failed      int                  `json:"failed"`
	Left        int                  `json:"left"`
	Elsewhere   int                  `json:"elsewhere"`
	SecondsLeft float64              `json:"secondsLeft"`
	DryRun      bool                 `json:"dryRun"`
}

// eventLine is the event as JSON on a line of its own.
func (p *migratePrinter) eventLine(e migrate.Event) string {
	const tenth = 100 * time.Millisecond
	out := migrateEvent{
		Time: e.Time.UTC(), Event: e.Type, Wave: e.Wave, From: []status.Proxy{}, Message: e.Message, Next: e.Next,
		Seconds: e.Took.Round(tenth).Seconds(), SecondsLeft: e.Remaining.Round(tenth).Seconds(),
		Total: e.Total, Done: e.Done, UnderWay: e.UnderWay, Waiting: e.Waiting(), Failed: e.Failed, Left: e.Left, Elsewhere: e.Elsewhere,
		DryRun: p.options.dryRun,
	}
	if d := e.Due; d != nil {
		out.Namespace, out.Kind, out.Name, out.Pods = d.Namespace, d.Kind, d.Name, d.Pods
		out.From, out.To, out.Tag, out.Reason = append(out.From, d.From...), d.To, d.Tag, d.Reason
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil && p.err == nil {
		p.err = fmt.Errorf("writing %s: %w", e.Type, err)
	}
	return text.String()
}
