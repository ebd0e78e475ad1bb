// Command standin is the program in every image that stands in for one of Istio's, or for an application, where the
// containers of pods really run. As Istio's images do, it takes what it is from its arguments: with discovery it is the
// istiod of the revision that $REVISION names, with anything else a container that waits to be stopped.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "discovery" {
		<-ctx.Done()
		return nil
	}
	d, err := newDiscovery(ctx, time.Now)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "istiod of revision %s, version %s, stands in\n", d.revision, d.version)
	return d.serve(ctx)
}
