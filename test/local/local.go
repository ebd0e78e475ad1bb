// Package local puts the router on a local control plane the way the chart installs it: the objects that the chart
// renders on a real API server, a router process with the rendered flags, policy and rights, and stand-ins for the
// istiods. The demo and the end-to-end tests use it where no cluster is given.
//
// Two things differ from a cluster, because nothing runs pods and routes Services here: the router is a process of
// this machine that impersonates its ServiceAccount, and webhooks are called by URL instead of by Service. Where several
// replicas are asked for, Deployment and Service do here what the controllers, the kubelet and kube-proxy would.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/scenario"
)

// The program that renders the chart, and the nested module that pins it.
const (
	helmModule  = "tools/helm"
	helmPackage = "helm.sh/helm/v4/cmd/helm"
)

// binaryName is that of the program under test.
const binaryName = "router"

// Options say how to set up.
type Options struct {
	// Log gets the progress, one line per step.
	Log io.Writer
	// Values are further arguments of helm template, such as --set policy.unresolved=Warn.
	Values []string
	// Replicas is the number of routers behind a Service, which are kept as a Deployment keeps them. Zero: a single
	// one, which the API server calls directly and which stops without a drain.
	Replicas int
	// Tags are build tags for the router, Env further variables of its environment.
	Tags, Env []string
	// Binary is a router that is built already. Empty: it is built from this checkout.
	Binary string
	// Cluster is a control plane that runs already, with the CustomResourceDefinitions of the Sail Operator. It stays the
	// caller's, and so do its injectors: Scenario has none. Nil: one is started, and ends with Close.
	Cluster *cluster.Cluster
}

// Environment is a control plane with the router in place.
type Environment struct {
	Cluster *cluster.Cluster
	// Health is the base URL of the router's health endpoint, Metrics that of its metrics. Of a single router only.
	Health, Metrics string
	// Deployment are the routers where Options.Replicas asked for several.
	Deployment *Deployment

	options   Options
	dir       string
	router    *process
	again     func(context.Context) error
	injectors *Injectors
}

// Start sets everything up and waits until the router is ready. Close ends it.
func Start(ctx context.Context, o Options) (_ *Environment, err error) {
	e := &Environment{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.dir, err = os.MkdirTemp("", "revision-router-"); err != nil {
		return nil, fmt.Errorf("making a work folder: %w", err)
	}
	if o.Binary == "" {
		progress(o.Log, "building the router")
		if o.Binary, err = Build(ctx, e.dir, o.Tags); err != nil {
			return nil, err
		}
	}
	progress(o.Log, "rendering the Helm chart")
	objects, err := Chart(ctx, o.Values...)
	if err != nil {
		return nil, err
	}
	e.options = o
	if e.Cluster = o.Cluster; e.Cluster == nil {
		if err := e.startCluster(ctx); err != nil {
			return nil, err
		}
	}
	progress(o.Log, "installing the chart and starting the router")
	if err := e.install(ctx, o.Binary, objects); err != nil {
		return nil, err
	}
	return e, nil
}

// startCluster starts a control plane and the stand-in injectors for it.
func (e *Environment) startCluster(ctx context.Context) (err error) {
	progress(e.options.Log, "starting etcd and kube-apiserver")
	if e.Cluster, err = cluster.Start(ctx, cluster.Options{Log: e.options.Log}); err != nil {
		return fmt.Errorf("starting a control plane: %w", err)
	}
	progress(e.options.Log, "installing the Sail Operator's CustomResourceDefinitions")
	if err := cluster.InstallCRDs(ctx, e.Cluster.Config(), sail.CRDs()); err != nil {
		return fmt.Errorf("installing the CustomResourceDefinitions: %w", err)
	}
	e.injectors, err = StartInjectors()
	return err
}

// Chart renders the chart with further arguments of helm template, such as --set policy.unresolved=Warn.
func Chart(ctx context.Context, args ...string) ([]*unstructured.Unstructured, error) {
	helm, err := Helm(ctx)
	if err != nil {
		return nil, err
	}
	return charts.Objects(ctx, charts.Options{Helm: helm, Args: args})
}

// Helm returns the path of the helm that the nested module tools/helm pins, and builds it where it is missing.
func Helm(ctx context.Context) (string, error) {
	helm, err := cluster.Tool(ctx, helmModule, helmPackage)
	if err != nil {
		return "", fmt.Errorf("building helm: %w", err)
	}
	return helm, nil
}

// Scenario is the environment as a scenario needs it.
func (e *Environment) Scenario(out io.Writer) scenario.Env {
	return scenario.Env{Config: e.Cluster.Config(), Injectors: e.injectors.ClientConfig, Out: out}
}

// Run runs the router's own commands, such as status, against the cluster, and returns what they print.
func (e *Environment) Run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, e.options.Binary, args...) //nolint:gosec // the arguments are ours
	command.Env = append(os.Environ(), "KUBECONFIG="+e.Cluster.Kubeconfig())
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("router %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return string(output), nil
}

// RouterLog is the path of the router's log.
func (e *Environment) RouterLog() string { return filepath.Join(e.dir, "router.log") }

// RestartRouter ends the router process and starts it anew, on the same ports. Of a single router only.
func (e *Environment) RestartRouter(ctx context.Context) error {
	if err := e.router.stop(); err != nil {
		return err
	}
	return e.again(ctx)
}

// StopRouter ends the router process as the kubelet does, by SIGTERM. The webhook configuration stays.
func (e *Environment) StopRouter() error { return e.router.stop() }

// Close stops the router, the stand-ins and the control plane, and removes their files.
func (e *Environment) Close() error {
	var errs []error
	if e.router != nil {
		errs = append(errs, e.router.stop())
	}
	if e.Deployment != nil {
		errs = append(errs, e.Deployment.close())
	}
	if e.injectors != nil {
		errs = append(errs, e.injectors.Close())
	}
	if e.Cluster != nil && e.options.Cluster == nil {
		errs = append(errs, e.Cluster.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}

// Build builds the program under test from this checkout into a folder, and returns its path.
func Build(ctx context.Context, dir string, tags []string) (string, error) {
	binary := filepath.Join(dir, binaryName)
	//nolint:gosec // the arguments are ours
	build := exec.CommandContext(ctx, "go", "build", "-tags="+strings.Join(tags, ","), "-o", binary,
		"github.com/revision-router/revision-router/cmd/router")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the router: %w\n%s", err, output)
	}
	return binary, nil
}

func progress(out io.Writer, step string) {
	if out != nil {
		fmt.Fprintln(out, "-- "+step)
	}
}
