// Command router is the Revision Router: the webhook server and the offline commands around the same decisions.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/revision-router/revision-router/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	root := newRootCommand(cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if invokedByKubectl(os.Args[0]) {
		asPlugin(root)
	}
	err := root.ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

// exitCode prints the error, if it has something to say, and maps it: 0 fine, 1 something is refused or cannot be
// resolved, 2 usage, unreadable input or a failure.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	code := 2
	if exit, ok := errors.AsType[cli.ExitError](err); ok {
		code = exit.Code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "error:", text)
	}
	return code
}
