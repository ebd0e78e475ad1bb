// Package certmanager stands in for cert-manager in tests: its own CustomResourceDefinitions, from its Go module, in a
// real API server, and as much of its controllers as the router depends on, built on its own library.
//
// What is real: the types, the schemas that the API server checks objects against, and how a certificate is made of a
// Certificate. What is not: its loops, its webhook and the cainjector, which take minutes to start and a node to run on.
package certmanager

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/cluster"
)

const module = "github.com/cert-manager/cert-manager"

// Install makes an API server serve cert-manager's kinds, as its module defines them at the version of go.mod. It may
// be called again.
func Install(ctx context.Context, config *rest.Config) error {
	var stderr bytes.Buffer
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Stderr = &stderr
	dir, err := list.Output()
	if err != nil {
		return fmt.Errorf("finding %s: %w: %s", module, err, stderr.String())
	}
	crds := os.DirFS(filepath.Join(string(bytes.TrimSpace(dir)), "deploy", "crds"))
	if err := cluster.InstallCRDs(ctx, config, crds); err != nil {
		return fmt.Errorf("installing cert-manager's CustomResourceDefinitions: %w", err)
	}
	return nil
}
