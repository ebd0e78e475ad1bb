// Command up starts a local control plane, etcd and kube-apiserver, prints how to reach it and stops it on Ctrl-C:
//
//	go run ./test/cluster/up [--kubeconfig FILE] [--build-only] [-- KUBE-APISERVER-FLAG...]
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
	buildOnly := flags.Bool("build-only", false, "build the binaries if they are missing, and start nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *buildOnly {
		return cluster.Build(ctx, s.err)
	}
	return serve(ctx, *kubeconfig, flags.Args(), s)
}

// serve runs a control plane until ctx ends.
func serve(ctx context.Context, kubeconfig string, args []string, s streams) (err error) {
	c, err := cluster.Start(ctx, cluster.Options{Log: s.err, Args: args})
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
	fmt.Fprintln(s.err, "The control plane runs; Ctrl-C stops it and removes its data.")
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
