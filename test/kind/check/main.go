// Command check tells whether a kind cluster can be made on this machine, and in one line what is missing if not. The exit
// code is then 3.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/revision-router/revision-router/test/kind"
)

// cannot is the exit code where something is missing.
const cannot = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	_, err := kind.Find(ctx)
	stop()
	var missing kind.Missing
	switch {
	case err == nil:
		return
	case errors.As(err, &missing):
		fmt.Fprintln(os.Stderr, "no kind cluster can run here:", missing)
		os.Exit(cannot)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
