// Command prepare builds what the tests need from Go modules into the user's cache, before any test's time runs:
// etcd and kube-apiserver, and helm; with --workloads also what runs pods in name, and promtool, which the demo does not need. It
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
	workloads := flag.Bool("workloads", false, "also build kube-controller-manager, kube-scheduler, kwok, kubectl and promtool")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := cluster.Build(ctx, os.Stderr)
	if err == nil && *workloads {
		err = errors.Join(cluster.BuildWorkloads(ctx, os.Stderr), tools(ctx))
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

// tools are kubectl, which carries out procedures, and promtool, with which the tests of the chart judge its alerts.
func tools(ctx context.Context) error {
	_, kubectl := cluster.Tool(ctx, "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	_, promtool := cluster.Tool(ctx, "tools/promtool", "github.com/prometheus/prometheus/cmd/promtool")
	return errors.Join(kubectl, promtool)
}
