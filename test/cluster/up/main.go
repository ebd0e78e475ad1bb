// Command up starts a local cluster without containers, prints how to reach it and stops it on Ctrl-C:
//
//	go run ./test/cluster/up [--nodes N] [--run-router] [--kubeconfig FILE] [--build-only] [-- KUBE-APISERVER-FLAG...]
//
// With --nodes=0 it is etcd and kube-apiserver alone, which are built and started faster. With --run-router the pods that
// the router's chart makes run the router of this checkout, and the kinds of the mesh are there.
//
// Standard output holds only the export line, to be run in another shell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr})
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

type streams struct{ out, err io.Writer }

func run(ctx context.Context, args []string, s streams) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(s.err)
	kubeconfig := flags.String("kubeconfig", "", "write the kubeconfig to this `file`, which must not exist, and remove it at the end")
	nodes := flags.Int("nodes", 3, "how many nodes pods run on, in name; with `0` nothing runs pods, and Deployments do not roll out")
	runRouter := flags.Bool("run-router", false, "run the router of this checkout in pods of its chart, which are installed by Helm as in any cluster")
	buildOnly := flags.Bool("build-only", false, "build the binaries if they are missing, and start nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *nodes < 0 {
		return fmt.Errorf("--nodes=%d: there cannot be less than none; give 0 or more", *nodes)
	}
	if *runRouter && *nodes == 0 {
		return errors.New("--run-router with --nodes=0: pods need a node; give 1 or more")
	}
	if *buildOnly {
		return build(ctx, *nodes, s.err)
	}
	return serve(ctx, wanted{*kubeconfig, *runRouter}, cluster.Options{Log: s.err, Args: flags.Args(), Nodes: *nodes}, s)
}

func build(ctx context.Context, nodes int, log io.Writer) error {
	if err := cluster.Build(ctx, log); err != nil || nodes == 0 {
		return err
	}
	return cluster.BuildWorkloads(ctx, log)
}

// wanted is what people ask for beside the cluster itself: a file for its kubeconfig, and routers in it.
type wanted struct {
	kubeconfig string
	routers    bool
}

// serve runs a cluster until ctx ends.
func serve(ctx context.Context, w wanted, o cluster.Options, s streams) (err error) {
	started := time.Now()
	routers := new(local.Routers)
	if w.routers {
		if routers, err = local.NewRouters(ctx); err != nil {
			return err
		}
		o.Args = append(routers.Flags(), o.Args...)
	}
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return errors.Join(err, routers.Close())
	}
	defer func() { err = errors.Join(err, routers.Close(), c.Stop()) }()
	if w.routers {
		if err := runRouters(ctx, routers, c); err != nil {
			return err
		}
		fmt.Fprintln(s.err, "Pods of the router's chart run the router of this checkout, whatever image they name.")
	}
	path := c.Kubeconfig()
	if w.kubeconfig != "" {
		if path, err = filepath.Abs(w.kubeconfig); err != nil {
			return err
		}
		if err := copyNew(path, c.Kubeconfig()); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(path)) }()
	}
	fmt.Fprintf(s.out, "export KUBECONFIG=%q\n", path)
	fmt.Fprintf(s.err, "A cluster with %d nodes runs, after %s; Ctrl-C stops it and removes its data.\n", o.Nodes,
		time.Since(started).Round(100*time.Millisecond))
	<-ctx.Done()
	return nil
}

// runRouters installs the kinds of the mesh, and runs the routers of pods.
func runRouters(ctx context.Context, routers *local.Routers, c *cluster.Cluster) error {
	for _, kinds := range []fs.FS{sail.CRDs(), inventory.CRDs()} {
		if err := cluster.InstallCRDs(ctx, c.Config(), kinds); err != nil {
			return err
		}
	}
	if err := local.HoldPods(ctx, c); err != nil {
		return err
	}
	return routers.Start(ctx, c)
}

// copyNew never overwrites: the file could be the user's own kubeconfig.
func copyNew(to, from string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy the kubeconfig: %w", err)
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--kubeconfig %s: the file exists and is not overwritten; remove it or name another", to)
	}
	if err != nil {
		return fmt.Errorf("--kubeconfig %s: %w", to, err)
	}
	_, err = file.Write(raw)
	return errors.Join(err, file.Close())
}
