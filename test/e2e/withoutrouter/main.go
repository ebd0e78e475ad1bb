// Command withoutrouter proves that the end-to-end tests test the router: it runs the procedures without it, and wants every
// case that is the router's to fail and every other one to pass. It says "N of N cases of the router fail without it" and ends
// with 0, or names those that do not and ends with 1.
//
//	go run ./test/e2e/withoutrouter [flags of go test]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "withoutrouter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, flags []string, out io.Writer) error {
	args := append([]string{"test", "-json", "-count=1", "-tags=e2e", "-run=^TestProcedure", "-timeout=60m", "-parallel=4"}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, "./test/e2e")...) //nolint:gosec // flags of go test are what it takes
	command.Env = append(os.Environ(), "ROUTER=off")
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the tests: %w", err)
	}
	cases, err := read(events, out)
	// That tests fail is what is wanted: what they say is in the events.
	if ended := command.Wait(); ended != nil && !isExit(ended) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return err
	}
	return cases.judge(out)
}

func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}
