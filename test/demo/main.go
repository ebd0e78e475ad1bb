// Command demo shows the router at work on a control plane of this machine: the update guide's procedure
// "RevisionBased strategy and IstioRevisionTag" with Bookinfo, and a misspelt revision being refused. It exits
// non-zero if anything was not as told.
//
// With KEEP=1 the control plane stays until Ctrl-C, for looking around with kubectl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Getenv("KEEP") != ""); err != nil {
		fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func demo(ctx context.Context, keep bool) (err error) {
	fmt.Println("Preparing. What is missing is built from Go modules, once; afterwards this takes seconds.")
	prepared := time.Now()
	env, err := local.Start(ctx, local.Options{Log: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	fmt.Printf("-- ready after %s\n", time.Since(prepared).Round(100*time.Millisecond))

	walked := time.Now()
	if err := scenario.RevisionBasedWithTag(ctx, env.Scenario(os.Stdout)); err != nil {
		return err
	}
	fmt.Printf("The walk took %s. All was as told.\n", time.Since(walked).Round(100*time.Millisecond))
	if keep {
		return stay(ctx, env)
	}
	return nil
}

func stay(ctx context.Context, env *local.Environment) error {
	kubectl, err := cluster.Tool(ctx, "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	if err != nil {
		return fmt.Errorf("building kubectl: %w", err)
	}
	fmt.Printf(`
The cluster stays until Ctrl-C. In another terminal:

  export KUBECONFIG=%s
  alias kubectl=%s
  kubectl get pods -A -L revision-router.io/revision,revision-router.io/version
  curl %s

The router's log is %s.
`, env.Cluster.Kubeconfig(), kubectl, env.Metrics, env.RouterLog())
	<-ctx.Done()
	return nil
}
