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

// tools are kubectl, which carries out procedures, and Prometheus and promtool, which judge alerts, metrics and the dashboard.
func tools(ctx context.Context) error {
	_, kubectl := cluster.Tool(ctx, "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	_, prometheus := local.BuildPrometheus(ctx)
	return errors.Join(kubectl, prometheus)
}
