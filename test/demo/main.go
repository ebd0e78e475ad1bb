// Command demo shows the router at work on a control plane of this machine: the update guide's procedure
// "RevisionBased strategy and IstioRevisionTag" with Bookinfo, and a misspelt revision being refused. With the argument
// forward the router injects by itself, and the walk is a gradual rollout of Bookinfo and 200 other workloads. It exits
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
	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	walk := guarding
	switch {
	case len(os.Args) == 2 && os.Args[1] == "forward":
		walk = forwarding
	case len(os.Args) > 1:
		fmt.Fprintln(os.Stderr, "usage: demo [forward]")
		stop()
		os.Exit(2) //nolint:gocritic // stop was called
	}
	if err := walk(ctx, os.Getenv("KEEP") != ""); err != nil {
		fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
		stop()
		os.Exit(1)
	}
}

// guarding is the demo of guard mode.
func guarding(ctx context.Context, keep bool) error {
	return demo(ctx, keep, local.Options{}, func(env *local.Environment) error {
		return scenario.RevisionBasedWithTag(ctx, env.Scenario(os.Stdout))
	})
}

// forwarding is the demo of forward mode.
func forwarding(ctx context.Context, keep bool) (err error) {
	mesh, err := forward.Start(scenario.ForwardRevisions()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mesh.Close()) }()
	values, err := mesh.HelmValues()
	if err != nil {
		return err
	}
	return demo(ctx, keep, local.Options{Values: values}, func(env *local.Environment) error {
		if err := mesh.Connect(env.Cluster.Config()); err != nil {
			return err
		}
		return scenario.GradualRollout(ctx, scenario.ForwardEnv{Env: env.Scenario(os.Stdout), Mesh: mesh, Router: env.Run})
	})
}

func demo(ctx context.Context, keep bool, options local.Options, walk func(*local.Environment) error) (err error) {
	fmt.Println("Preparing. What is missing is built from Go modules, once; afterwards this takes seconds.")
	prepared := time.Now()
	options.Log = os.Stdout
	env, err := local.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	fmt.Printf("-- ready after %s\n", time.Since(prepared).Round(100*time.Millisecond))

	walked := time.Now()
	if err := walk(env); err != nil {
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
