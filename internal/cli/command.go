package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newCommand completes a command with what all of them have in common: they take no arguments, read and write the
// streams only, and leave it to the caller to print the error.
func newCommand(streams Streams, c cobra.Command) *cobra.Command {
	cmd := &c
	cmd.DisableFlagsInUseLine = true // Use has them all
	cmd.SilenceErrors = true
	cmd.SilenceUsage = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(fmt.Errorf("%s takes no argument %q; name files with --filename: %s -f %s",
				cmd.Name(), args[0], cmd.CommandPath(), args[0]))
		}
		return nil
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.Err)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; see %s --help", err, cmd.CommandPath()))
	})
	return cmd
}

// unknownOutput says which formats there are.
func unknownOutput(got string, known []string) error {
	return fmt.Errorf("unknown output format %q: use -o %s", got, oneOf(known))
}

// oneOf lists alternatives.
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
