package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// markdown writes the plan for a change request: a heading and a box to tick for every step, and the way back from it.
func (p *planPrinter) markdown() {
	fmt.Fprintf(p.out, "# Istio %s: %s to %s\n\n", inline(p.plan.Istio), inline(p.plan.From), inline(p.plan.To))
	fmt.Fprintln(p.out, sentence(p.headline()))
	if !p.plan.Possible {
		fmt.Fprint(p.out, "\n## Why not\n\n")
		for line := range strings.Lines(p.plan.Reason) {
			fmt.Fprintln(p.out, "- "+sentence(strings.TrimSpace(line)))
		}
		p.fenced("What would help:", p.plan.Advice)
	}
	if len(p.plan.Warnings) > 0 {
		fmt.Fprint(p.out, "\n## Wrong already, and not mended by this\n\n")
		for _, w := range p.plan.Warnings {
			fmt.Fprintln(p.out, "- [ ] "+sentence(w))
		}
	}
	if len(p.assumptions) > 0 {
		fmt.Fprint(p.out, "\n## Assumptions\n\n")
		for _, a := range p.assumptions {
			fmt.Fprintln(p.out, "- "+sentence(a))
		}
	}
	if len(p.plan.Before) > 0 {
		fmt.Fprint(p.out, "\n## Before the first step\n\n- [ ] What is under way has ended\n")
		p.fenced("", p.plan.Before)
	}
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		fmt.Fprintf(p.out, "\n## Step %d: %s\n\n", s.Order, sentence(s.Object))
		if s.From != "" || s.To != "" {
			fmt.Fprintf(p.out, "From %s to %s: ", inline(cell(s.From)), inline(cell(s.To)))
		}
		fmt.Fprintln(p.out, sentence(s.Why)+".")
		for _, w := range s.Warnings {
			fmt.Fprintln(p.out, "\n> "+sentence(w))
		}
		p.fenced("- [ ] Done", s.Commands)
		if len(s.WaitFor) > 0 {
			p.fenced("- [ ] Waited", s.WaitFor)
		}
		p.fenced("Undo, while no later step is done:", s.Undo)
	}
}

// fenced writes commands as a block of code below a line.
func (p *planPrinter) fenced(above string, commands []string) {
	if len(commands) == 0 {
		return
	}
	if above != "" {
		fmt.Fprintln(p.out, "\n"+above)
	}
	fmt.Fprint(p.out, "\n```bash\n")
	for _, c := range commands {
		fmt.Fprintln(p.out, visible(c))
	}
	fmt.Fprintln(p.out, "```")
}

// inline is code in a sentence. Names of objects hold no backticks, but files hold names that nobody has checked.
func inline(text string) string {
	if strings.Contains(text, "`") {
		text = strconv.Quote(text)
		text = strings.ReplaceAll(text, "`", "'")
	}
	return "`" + visible(text) + "`"
}

// sentence keeps text from being read as markup.
func sentence(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`, "`", "'", "[", `\[`, "|", `\|`).Replace(visible(text))
}
