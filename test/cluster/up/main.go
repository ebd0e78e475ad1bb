// Command up starts a local cluster without containers, prints how to reach it and stops it on Ctrl-C:
//
//	go run ./test/cluster/up [--nodes N] [--kubeconfig FILE] [--build-only] [-- KUBE-APISERVER-FLAG...]
//
// With --nodes=0 it is etcd and kube-apiserver alone, which are built and started faster.
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

	"github.com/revision-router/revision-router/test/cluster"
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
	buildOnly := flags.Bool("build-only", false, "build the binaries if they are missing, and start nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *nodes < 0 {
		return fmt.Errorf("--nodes=%d: there cannot be less than none; give 0 or more", *nodes)
	}
	if *buildOnly {
		return build(ctx, *nodes, s.err)
	}
	return serve(ctx, *kubeconfig, cluster.Options{Log: s.err, Args: flags.Args(), Nodes: *nodes}, s)
}

func build(ctx context.Context, nodes int, log io.Writer) error {
	if err := cluster.Build(ctx, log); err != nil || nodes == 0 {
		return err
	}
	return cluster.BuildWorkloads(ctx, log)
}

// serve runs a cluster until ctx ends.
func serve(ctx context.Context, kubeconfig string, o cluster.Options, s streams) (err error) {
	started := time.Now()
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	path := c.Kubeconfig()
	if kubeconfig != "" {
		if path, err = filepath.Abs(kubeconfig); err != nil {
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
