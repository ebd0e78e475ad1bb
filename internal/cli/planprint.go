package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing/plan"
)

// planPrinter writes a plan.
type planPrinter struct {
	out         *bufio.Writer
	plan        *plan.Plan
	assumptions []string
	screen      screen
}

// planDocument is -o json. Commands are lines of text, so that each can be handed to a shell as it is.
type planDocument struct {
	Possible    bool       `json:"possible"`
	Reason      string     `json:"reason"`
	Advice      []string   `json:"advice"`
	Istio       string     `json:"istio"`
	Strategy    string     `json:"strategy"`
	From        string     `json:"from"`
	To          string     `json:"to"`
	WaitFirst   string     `json:"waitFirst"`
	Steps       []planStep `json:"steps"`
	Assumptions []string   `json:"assumptions"`
	Warnings    []string   `json:"warnings"`
}

type planStep struct {
	Order    int      `json:"order"`
	Object   string   `json:"object"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Why      string   `json:"why"`
	Command  string   `json:"command"`
	WaitFor  string   `json:"waitFor"`
	Undo     string   `json:"undo"`
	Warnings []string `json:"warnings"`
}

func (p *planPrinter) json() error {
	text := func(commands []string) string { return strings.Join(commands, "\n") }
	list := func(lines []string) []string { return append([]string{}, lines...) } // never null
	d := planDocument{
		Possible: p.plan.Possible, Reason: p.plan.Reason, Advice: list(p.plan.Advice), Istio: p.plan.Istio,
		Strategy: string(p.plan.Strategy), From: p.plan.From, To: p.plan.To, WaitFirst: text(p.plan.Before),
		Steps: []planStep{}, Assumptions: list(p.assumptions), Warnings: list(p.plan.Warnings),
	}
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		d.Steps = append(d.Steps, planStep{
			Order: s.Order, Object: s.Object, From: s.From, To: s.To, Why: s.Why,
			Command: text(s.Commands), WaitFor: text(s.WaitFor), Undo: text(s.Undo), Warnings: list(s.Warnings),
		})
	}
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(d)
}

// headline is the plan in a sentence.
func (p *planPrinter) headline() string {
	what := "Istio " + p.plan.Istio + " from " + p.plan.From + " to " + p.plan.To + " (" + string(p.plan.Strategy) + ")"
	if p.plan.From == p.plan.To {
		what = "Istio " + p.plan.Istio + " wholly to " + p.plan.To + " (" + string(p.plan.Strategy) + ")"
	}
	switch {
	case !p.plan.Possible:
		return "There is no way to bring " + what + "."
	case len(p.plan.Steps) == 0 && len(p.plan.Before) > 0:
		return what + ": nothing to do but to wait."
	case len(p.plan.Steps) == 0:
		return what + ": nothing to do, it is there already."
	}
	return what + ": " + count(len(p.plan.Steps), "step") + "."
}

// table lists the steps, and below them their commands.
func (p *planPrinter) table() error {
	fmt.Fprintln(p.out, p.coloured(ansiBold, visible(p.headline())))
	p.reasons()
	if len(p.plan.Warnings) > 0 {
		fmt.Fprintln(p.out)
	}
	for _, warning := range p.plan.Warnings {
		p.wrap("warning: " + warning)
	}
	if len(p.plan.Before) > 0 {
		fmt.Fprintln(p.out, "\nFirst wait for what is under way:")
		p.commands("", p.plan.Before)
	}
	if len(p.plan.Steps) > 0 {
		fmt.Fprintln(p.out)
		var rows [][]string
		for i := range p.plan.Steps {
			s := &p.plan.Steps[i]
			rows = append(rows, []string{strconv.Itoa(s.Order), cell(s.Object), cell(s.From), cell(s.To)})
		}
		if err := writeColumns(p.out, []string{"STEP", "OBJECT", "FROM", "TO"}, rows, p.screen.columns); err != nil {
			return err
		}
	}
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		fmt.Fprintln(p.out)
		fmt.Fprintln(p.out, p.coloured(ansiBold, strconv.Itoa(s.Order)+". "+visible(s.Object))+": "+visible(s.Why))
		p.commands("", s.Commands)
		p.commands("wait", s.WaitFor)
		p.commands("undo", s.Undo)
		for _, warning := range s.Warnings {
			p.wrap("  warning: " + warning)
		}
	}
	if len(p.assumptions) > 0 {
		fmt.Fprintln(p.out)
	}
	for _, a := range p.assumptions {
		p.wrap("assumed: " + a)
	}
	return nil
}

func (p *planPrinter) reasons() {
	if p.plan.Possible {
		return
	}
	fmt.Fprintln(p.out)
	for line := range strings.Lines(p.plan.Reason) {
		p.wrap("reason: " + strings.TrimSpace(line))
	}
	for _, a := range p.plan.Advice {
		fmt.Fprintln(p.out, "  try: "+visible(a))
	}
}

// commands writes a few lines with what they are for in front, the last one always: it may wait for an old revision to
// go. -o json and -o markdown have all of them.
func (p *planPrinter) commands(label string, commands []string) {
	const width = len("wait  ")
	for i, c := range commands {
		left := len(commands) - shownCommands
		switch {
		case left > 1 && i == shownCommands-1:
			fmt.Fprintf(p.out, "  %-*s(and %d more, see -o json or -o markdown)\n", width, "", left)
			continue
		case left > 1 && i >= shownCommands && i < len(commands)-1:
			continue
		}
		fmt.Fprintf(p.out, "  %-*s%s\n", width, label, visible(c))
		label = ""
	}
}

func (p *planPrinter) wrap(text string) {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	for _, line := range wrapped(visible(text), p.screen.width) {
		fmt.Fprintln(p.out, indent+line)
	}
}

func (p *planPrinter) coloured(code, text string) string {
	if !p.screen.colour {
		return text
	}
	return code + text + ansiReset
}
