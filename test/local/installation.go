package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/scenario"
)

// installationNodes is the number of nodes of an [Installation]: a roll-out that surges has somewhere to go.
const installationNodes = 2

// Installation is a control plane with nodes on which Helm itself installs the chart. Nothing that it installs is
// changed: the Deployment controller makes the pods, and each of them is a router process with the pod's arguments and
// environment, the volumes that it mounts and a token of its ServiceAccount that is bound to it; the API server calls
// the webhooks by their Service, through the endpoints that Kubernetes itself keeps, and checks the certificate against
// the Service's name.
//
// What differs from a cluster:
//
//   - A process has no file system of its own, so mounts are folders elsewhere, and flags that name a mounted path name
//     that folder. It has no /var/run/secrets either, so a kubeconfig leads it to the mounted token and CA.
//   - A process has no address of its own: it listens on free ports of loopback, and the API server's connections to
//     pods go through a proxy that knows which (its own egress selector, as konnectivity's). kube-proxy is not there:
//     the API server chooses among the endpoints itself (--enable-aggregator-routing).
//   - kwok answers for the readiness of pods. It goes by an annotation of the pod, which [Installation.Values] sets and
//     the readiness probe of the process changes.
type Installation struct {
	Cluster *cluster.Cluster

	dir, helm string
	routers   *Routers
	injectors *Injectors
}

// StartInstallation starts the control plane, with these CustomResourceDefinitions and without the chart. Close ends it.
func StartInstallation(ctx context.Context, log io.Writer, definitions ...fs.FS) (_ *Installation, err error) {
	i := &Installation{}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.dir, err = os.MkdirTemp("", "helm-"); err != nil {
		return nil, fmt.Errorf("making a work folder: %w", err)
	}
	progress(log, "building the router and helm")
	if i.routers, err = NewRouters(ctx); err != nil {
		return nil, err
	}
	if i.helm, err = Helm(ctx); err != nil {
		return nil, err
	}
	progress(log, "starting a control plane with nodes")
	i.Cluster, err = cluster.Start(ctx, cluster.Options{Log: log, Nodes: installationNodes, Args: i.routers.Flags()})
	if err != nil {
		return nil, fmt.Errorf("starting a control plane: %w", err)
	}
	for _, crds := range definitions {
		if err := cluster.InstallCRDs(ctx, i.Cluster.Config(), crds); err != nil {
			return nil, fmt.Errorf("installing the CustomResourceDefinitions: %w", err)
		}
	}
	if i.injectors, err = StartInjectors(); err != nil {
		return nil, err
	}
	return i, i.routers.Start(ctx, i.Cluster)
}

// Values are the values that an install needs here, as arguments of helm: the annotation that [cluster.AnnotationReady]
// tells about, so that a pod is not ready before its router is.
func (i *Installation) Values() []string {
	return []string{"--set-string", "podAnnotations." + strings.ReplaceAll(cluster.AnnotationReady, ".", `\.`) + "=false"}
}

// Helm runs helm as an administrator and returns what it prints.
func (i *Installation) Helm(ctx context.Context, args ...string) (string, error) {
	return i.HelmBy(ctx, i.helm, args...)
}

// HelmBy does the same with another helm.
func (i *Installation) HelmBy(ctx context.Context, binary string, args ...string) (string, error) {
	args = append(args, "--kubeconfig", i.Cluster.Kubeconfig())
	command := exec.CommandContext(ctx, binary, args...) //nolint:gosec // the caller names the binary on purpose
	command.Env = append(os.Environ(), "HELM_CONFIG_HOME="+i.dir, "HELM_CACHE_HOME="+i.dir, "HELM_DATA_HOME="+i.dir)
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("helm %s: %w\n%s\n%s", strings.Join(args, " "), err, output, i.routers.Logs())
	}
	return string(output), nil
}

// Package makes a package of the chart, as a release does, and returns its path.
func (i *Installation) Package(ctx context.Context) (string, error) {
	source, err := os.MkdirTemp(i.dir, "package-")
	if err != nil {
		return "", fmt.Errorf("making a work folder: %w", err)
	}
	chart, err := charts.Unpack(source)
	if err != nil {
		return "", err
	}
	if _, err := i.Helm(ctx, "package", chart, "--destination", source); err != nil {
		return "", err
	}
	packages, err := filepath.Glob(filepath.Join(source, "*.tgz"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("helm package made %v: %w", packages, err)
	}
	return packages[0], nil
}

// Scenario is the installation as a scenario needs it.
func (i *Installation) Scenario(out io.Writer) scenario.Env {
	return scenario.Env{Config: i.Cluster.Config(), Injectors: i.injectors.ClientConfig, Out: out}
}

// Calls is how many connections the API server has made to pods.
func (i *Installation) Calls() int { return int(i.routers.network.made.Load()) }

// Logs are the ends of the logs of the routers that run.
func (i *Installation) Logs() string { return i.routers.Logs() }

// Close ends the routers and the control plane. It tells of routers that ended unasked or not in time.
func (i *Installation) Close() error {
	var errs []error
	if i.routers != nil {
		errs = append(errs, i.routers.Close())
	}
	if i.injectors != nil {
		errs = append(errs, i.injectors.Close())
	}
	if i.Cluster != nil {
		errs = append(errs, i.Cluster.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(i.dir))...)
}
