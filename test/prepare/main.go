// Command prepare builds what the tests need from Go modules into the user's cache, before any test's time runs:
// etcd and kube-apiserver, and helm; with --workloads also what runs pods in name, Prometheus and promtool, which the demo does not need. It
// says what it does and how long that takes, and is done at once when everything is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
)

func main() {
	workloads := flag.Bool("workloads", false, "also build kube-controller-manager, kube-scheduler, kwok, kubectl, Prometheus and promtool")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := cluster.Build(ctx, os.Stderr)
	if err == nil && *workloads {
		err = errors.Join(cluster.BuildWorkloads(ctx, os.Stderr), kubectl(ctx), prometheus(ctx))
	}
	if err == nil {
		_, err = local.Helm(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// kubectl carries out the procedures of the update guide.
func kubectl(ctx context.Context) error {
	_, err := cluster.Tool(ctx, "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	return err
}

// prometheus is what the tests judge alerts, metrics and the dashboard with.
func prometheus(ctx context.Context) error {
	_, err := local.BuildPrometheus(ctx)
	return err
}
