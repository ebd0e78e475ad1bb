package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/revision-router/revision-router/internal/cli"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md")

func silentRoot() *cobra.Command {
	return newRootCommand(cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
}

// everyCommand visits the root and all below it, but for those that cobra adds.
func everyCommand(root *cobra.Command, visit func(cmd *cobra.Command)) {
	visit(root)
	for _, cmd := range root.Commands() {
		everyCommand(cmd, visit)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	everyCommand(silentRoot(), func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short description %q", name, cmd.Short)
		}
		if len(cmd.Long) <= len(cmd.Short) {
			t.Errorf("%s: long description %q", name, cmd.Long)
		}
		if !strings.Contains(cmd.Example, "  # ") || !strings.Contains(cmd.Example, "\n  "+cmd.Root().Name()+" ") {
			t.Errorf("%s: the examples are %q", name, cmd.Example)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || strings.Contains(f.Usage, "\n") {
				t.Errorf("%s --%s: description %q", name, f.Name, f.Usage)
			}
		})
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			const widest = 120
			if len(line) > widest && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: a line of %d characters: %s", name, len(line), line)
			}
		}
	})
}

// docs/cli.md is the help of every command, so that a change of it shows in review.
func TestTheReferenceIsTheHelp(t *testing.T) {
	var page bytes.Buffer
	page.WriteString("# Commands\n\nThe help of every command, written by `go test ./cmd/router -run Reference -update`. What the formats hold is in\n" +
		"section 6 of [the specification](spec.md); how they are used in a pipeline, in [ci.md](ci.md).\n")
	everyCommand(silentRoot(), func(cmd *cobra.Command) {
		page.WriteString("\n## " + cmd.CommandPath() + "\n\n```text\n" + cmd.Long + "\n\n" + strings.TrimSpace(cmd.UsageString()) + "\n```\n")
	})
	const path = "../../docs/cli.md"
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("(-docs/cli.md +help):\n%s\nto accept it: go test ./cmd/router -run Reference -update", diff)
	}
}

func TestAMistakeOnTheCommandLineIsExitCode2(t *testing.T) {
	everyCommand(silentRoot(), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		for _, args := range [][]string{{"--no-such-flag"}, {"no-such-argument"}, {"--output=nothing"}, {"--output"}} {
			root := silentRoot()
			root.SetArgs(append(slices.Clip(path), args...))
			if code := exitCode(root.ExecuteContext(t.Context())); code != 2 {
				t.Errorf("router %s %s: exit code %d, want 2", strings.Join(path, " "), strings.Join(args, " "), code)
			}
		}
	})
}
