//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/guide"
	"github.com/revision-router/revision-router/test/message"
)

// step is a case of a procedure, while it runs.
type step struct {
	*testing.T
	*world
	name string
}

// patience is how long a condition may take. What only the router brings about does not come without it.
func (s *step) patience() time.Duration {
	if routerOff() && strings.HasPrefix(s.name, routerCase) {
		return 5 * time.Second
	}
	return slower(patience)
}

// must is that of the case, as both have one.
func (s *step) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *step) until(what string, holds func(context.Context) error) {
	s.Helper()
	if err := awaitEvery(s.Context(), 50*time.Millisecond, s.patience(), holds); err != nil {
		s.Fatalf("waiting until %s: %v", what, err)
	}
}

// block is a block of the page, which counts as carried out.
func (s *step) block(id string) guide.Step {
	s.Helper()
	block, err := s.page.Step(id)
	s.must(err)
	results.ran(id)
	s.row.progress("  %s: %s", id, firstLine(block.Commands))
	return block
}

func firstLine(commands string) string {
	line, _, more := strings.Cut(strings.TrimSpace(commands), "\n")
	if more {
		line += " ..."
	}
	return line
}

// do carries out a block of the page, and returns what it printed. It has to succeed and to print what the page shows.
// Where the router says that something has to be waited for first, or where what is shown takes a moment, it is carried out
// again, as a person would.
func (s *step) do(id string) string {
	s.Helper()
	block := s.block(id)
	var printed string
	var last error
	s.until(id+" succeeds", func(ctx context.Context) (wrong error) {
		defer func() { last = wrong }()
		out, err := s.shell.run(ctx, block.Commands)
		if ctx.Err() != nil && last != nil {
			return last // it was cut short: what was wrong the time before says more
		}
		printed = out
		if err != nil {
			err = fmt.Errorf("%w\n%s\n%s", err, block.Commands, out)
			if refused(out) && (strings.Contains(out, "wait for") || unjudged(out)) {
				return err
			}
			s.Fatal(err)
		}
		missing := guide.Missing(block.Output, out)
		if block.Shows && strings.TrimSpace(block.Output) == "" {
			missing = []string{"a word of what it prints"}
		}
		if len(missing) > 0 && !results.updates(block, out) {
			return fmt.Errorf("it does not print\n%s\nbut\n%s", strings.Join(missing, "\n"), out)
		}
		return nil
	})
	return printed
}

// sh carries out commands that are none of the page's.
func (s *step) sh(commands string) string {
	s.Helper()
	out, err := s.shell.run(s.Context(), commands)
	if err != nil {
		s.Fatalf("%v\n%s\n%s", err, commands, out)
	}
	return out
}

func refused(printed string) bool { return strings.Contains(printed, "denied the request: ") }

// unjudged is what a router says that has just started, or does not get an answer from a busy API server in time.
func unjudged(printed string) bool { return strings.Contains(printed, "retry in a moment") }

// refused wants a block of the page to be refused by a rule, with the message that the page shows, and returns what was
// printed. The router hears of what happened a moment after it, so with the router the block is tried first, until it is
// refused. Nothing of that shows without the router: then it is carried out at once.
func (s *step) refused(id string, rule skew.Rule) string {
	s.Helper()
	block := s.block(id)
	if !routerOff() {
		s.until(id+" is refused", func(ctx context.Context) error {
			out, err := s.shell.run(ctx, block.Commands, tryOnly)
			return judge(block, rule, answer{out, err})
		})
	}
	return s.refusedNow(block, rule)
}

// refusedInPart is the same for a block of which a part is admitted, and has to be for the rest to be refused as shown.
func (s *step) refusedInPart(id string, rule skew.Rule) string {
	s.Helper()
	return s.refusedNow(s.block(id), rule)
}

func (s *step) refusedNow(block guide.Step, rule skew.Rule) string {
	s.Helper()
	var out string
	s.until(block.ID+" is judged", func(ctx context.Context) error {
		var err error
		out, err = s.shell.run(ctx, block.Commands)
		if err != nil && unjudged(out) {
			return err
		}
		s.must(judge(block, rule, answer{out, err}))
		return nil
	})
	if strings.TrimSpace(block.Output) == "" && block.Line > 0 && !results.updates(block, strings.Join(message.Split(out), "\n")) {
		s.Errorf("%s does not show what %s says:\n%s", guide.Path, block.ID, out)
	}
	message.Documented(s, withoutWarnings(out))
	return out
}

// withoutWarnings leaves out the lines that are warnings, of which the API server shows the beginning only.
func withoutWarnings(printed string) string {
	var b strings.Builder
	for line := range strings.Lines(printed) {
		if !strings.HasPrefix(line, "Warning: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// warned wants a block of the page to be admitted at once, with the warning that the page shows.
func (s *step) warned(id string) {
	s.Helper()
	block := s.block(id)
	out, err := s.shell.run(s.Context(), block.Commands)
	if err != nil || len(guide.Missing(block.Output, out)) > 0 || !strings.Contains(out, "Warning: ") {
		s.Fatalf("%s shows\n%s\nand it says\n%s%v", guide.Path, block.Output, out, err)
	}
}

// answer is what a shell said, and how it ended.
type answer struct {
	printed string
	err     error
}

// judge tells why an answer is not the refusal that a block should get.
func judge(block guide.Step, rule skew.Rule, a answer) error {
	switch {
	case a.err == nil:
		return fmt.Errorf("it is admitted:\n%s%s", block.Commands, a.printed)
	case !refused(a.printed) || !strings.Contains(a.printed, string(rule)+": "):
		return fmt.Errorf("it fails, and not by %s: %w\n%s%s", rule, a.err, block.Commands, a.printed)
	case len(guide.Missing(block.Output, a.printed)) > 0 && !results.updates(block, strings.Join(message.Split(a.printed), "\n")):
		return fmt.Errorf("%s shows\n%s\nand it says\n%s", guide.Path, block.Output, a.printed)
	}
	return nil
}

// healCommand wants a command that is none of the page's to be refused, and then carries out what the refusals say until it
// passes.
func (s *step) healCommand(command string, rule skew.Rule) {
	s.Helper()
	block := guide.Step{ID: command, Commands: command}
	out := s.refusedNow(block, rule)
	for range 8 { // a refusal names three steps at most, and the rest when it is asked again
		for _, command := range message.Commands(out) {
			s.row.progress("    as it says: %s", command)
			s.follow(command)
		}
		if !strings.Contains(out, "; then retry") {
			return // what it says takes the place of what was refused
		}
		var err error
		if out, err = s.shell.run(s.Context(), block.Commands); err == nil {
			s.settle()
			return
		}
		if !refused(out) {
			s.Fatalf("%v\n%s\n%s", err, block.Commands, out)
		}
	}
	s.Fatalf("%s is still refused:\n%s", block.ID, out)
}

// follow carries out a command of a refusal, and waits for what it began.
func (s *step) follow(command string) {
	s.Helper()
	command = s.withPatch(command)
	for _, one := range s.forEachNode(command) {
		s.sh(one)
	}
	if restarted := regexp.MustCompile(`^kubectl rollout restart (\w+) -n (\S+)$`).FindStringSubmatch(command); restarted != nil {
		s.sh("kubectl rollout status " + restarted[1] + " -n " + restarted[2] + " --timeout=2m")
	}
	s.settle()
}

// withPatch names the patch release, where a message leaves that to the user: the one that the operator knows.
func (s *step) withPatch(command string) string {
	minor := regexp.MustCompile(`v(\d+)[.-](\d+)[.-]<patch>`).FindStringSubmatch(command)
	if minor == nil {
		return command
	}
	latest := s.procedure.versions["v"+minor[1]+"."+minor[2]+"-latest"]
	return strings.ReplaceAll(command, "<patch>", latest[strings.LastIndex(latest, ".")+1:])
}

// forEachNode is a command for every node, where it is for a node that the user names.
func (s *step) forEachNode(command string) []string {
	s.Helper()
	if !strings.Contains(command, "<node>") {
		return []string{command}
	}
	var commands []string
	for _, name := range s.nodes() {
		commands = append(commands, strings.ReplaceAll(command, "<node>", name))
	}
	return commands
}

// nodes are those with a ZTunnel. A control plane of kind has none.
func (s *step) nodes() []string {
	s.Helper()
	list, err := s.kube.CoreV1().Pods("ztunnel").List(s.Context(), metav1.ListOptions{LabelSelector: ztunnelPods})
	s.must(err)
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Spec.NodeName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// admitted carries out a block of the page that is refused no longer, once the router has heard why.
func (s *step) admitted(id string) {
	s.Helper()
	block := s.block(id)
	s.until(id+" is admitted", func(ctx context.Context) error {
		a := s.answerOf(ctx, block)
		if a.err != nil {
			return fmt.Errorf("%w\n%s", a.err, a.printed)
		}
		return nil
	})
}

// restartRouter replaces the routers, where there are any.
func (s *step) restartRouter() {
	s.Helper()
	if !routerOff() {
		s.must(s.platform.restart(s.Context()))
	}
}

// settle waits until the operator and the controllers have nothing left to do.
func (s *step) settle() {
	s.Helper()
	s.until("the mesh is at rest", s.atRest)
}
