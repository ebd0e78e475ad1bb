package cluster

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
)

// assetsVariable names a folder with both binaries, as controller-runtime's envtest reads it. The cluster then uses
// those, and builds nothing.
const assetsVariable = "KUBEBUILDER_ASSETS"

// The nested modules that pin the versions of the binaries. kwok has one of its own: it needs older modules of
// Kubernetes.
const (
	controlPlaneModule = "tools/controlplane"
	kwokModule         = "tools/kwok"
)

// The components that run workloads.
const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

type binaries struct {
	etcd, apiserver string
	// workloads are the components that run workloads, by name; nil where nobody asked for them.
	workloads map[string]string
}

// Build builds etcd and kube-apiserver into the cache, unless they are there, and starts nothing. A test suite calls
// it first (go run ./test/cluster/up --build-only), because go test counts a build against a package's timeout, and
// shows no progress.
func Build(ctx context.Context, log io.Writer) error {
	_, err := findBinaries(ctx, log)
	return err
}

// BuildWorkloads builds what [Options.Nodes] needs beside that: kube-controller-manager, kube-scheduler and kwok.
func BuildWorkloads(ctx context.Context, log io.Writer) error {
	_, err := findWorkloadBinaries(ctx, log)
	return err
}

func findBinaries(ctx context.Context, log io.Writer) (binaries, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return assets(dir)
	}
	root, err := moduleRoot()
	if err != nil {
		return binaries{}, err
	}
	module := filepath.Join(root, filepath.FromSlash(controlPlaneModule))
	etcd, err := build(ctx, log, target{
		module: module, pkg: "go.etcd.io/etcd/server/v3", name: "etcd", estimate: "about half a minute on 2 cores",
	})
	if err != nil {
		return binaries{}, err
	}
	apiserver, err := build(ctx, log, target{
		module: module, pkg: "k8s.io/kubernetes/cmd/kube-apiserver", name: "kube-apiserver",
		estimate: "about 6 minutes on 2 cores",
	})
	return binaries{etcd: etcd, apiserver: apiserver}, err
}

// findWorkloadBinaries returns the components that run workloads by their names.
func findWorkloadBinaries(ctx context.Context, log io.Writer) (map[string]string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return namedAssets(dir, controllerManager, scheduler, kwok)
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, t := range []target{
		{
			module: controlPlaneModule, pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", name: controllerManager,
			estimate: "about 2 minutes on 2 cores, after kube-apiserver",
		},
		{
			module: controlPlaneModule, pkg: "k8s.io/kubernetes/cmd/kube-scheduler", name: scheduler,
			estimate: "about 15 seconds on 2 cores, after kube-controller-manager",
		},
		{module: kwokModule, pkg: "sigs.k8s.io/kwok/cmd/kwok", name: kwok, estimate: "about 2 minutes on 2 cores"},
	} {
		t.module = filepath.Join(root, filepath.FromSlash(t.module))
		if found[t.name], err = build(ctx, log, t); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// assets finds both binaries in the folder that the user named.
func assets(dir string) (binaries, error) {
	found, err := namedAssets(dir, "etcd", "kube-apiserver")
	return binaries{etcd: found["etcd"], apiserver: found["kube-apiserver"]}, err
}

// namedAssets finds binaries in the folder that the user named. One that is missing is an error: falling back to a
// build would test something else than what was asked for.
func namedAssets(dir string, names ...string) (map[string]string, error) {
	found := map[string]string{}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := exec.LookPath(path); err != nil {
			return nil, fmt.Errorf("%s=%s asks for the binary %s, which cannot be run: %w; put %s there, or unset %s to have them built",
				assetsVariable, dir, path, err, strings.Join(names, " and "), assetsVariable)
		}
		found[name] = path
	}
	return found, nil
}

// moduleRoot finds the project from the working directory, which for a test is the folder of its package, also in a
// nested module.
func moduleRoot() (string, error) {
	const declaration = "module github.com/revision-router/revision-router"
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the project: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		switch {
		case err == nil:
			for line := range strings.Lines(string(raw)) {
				if strings.TrimSpace(line) == declaration {
					return dir, nil
				}
			}
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("find the project: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the project: no go.mod with %q in %s or above it; run this inside the project",
				declaration, start)
		}
	}
}

// readVersions returns the versions that the go.mod in dir requires, by module path.
func readVersions(dir string) (map[string]string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("read the versions of the tools in %s: %w", dir, err)
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) >= 2 && strings.HasPrefix(fields[1], "v") {
			versions[fields[0]] = fields[1]
		}
	}
	return versions, nil
}
