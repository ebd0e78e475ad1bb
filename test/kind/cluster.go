package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// clusterVariable names the cluster.
	clusterVariable = "KIND_CLUSTER"
	// ClusterName is that of kind-config.yaml.
	ClusterName = "revision-router"
	// nodesReady is how long kind waits for its nodes, on a machine that does other things besides.
	nodesReady = 5 * time.Minute
)

// Options say what cluster to create.
type Options struct {
	// Root is the folder of the project, Dir one for the kubeconfig and the images' archives.
	Root, Dir string
	// Reuse takes a cluster of the name that is there already, as it is.
	Reuse bool
	// Log gets the progress.
	Log io.Writer
}

// Cluster is a kind cluster that runs.
type Cluster struct {
	// Name is kind's, Created whether Create made it or found it.
	Name    string
	Created bool

	machine *Machine
	options Options
	config  *rest.Config
}

// Create creates the cluster of kind-config.yaml, and returns when its nodes are Ready.
func (m *Machine) Create(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{Name: ClusterName, machine: m, options: o}
	if name := os.Getenv(clusterVariable); name != "" {
		c.Name = name
	}
	there, err := m.exists(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case there && !o.Reuse:
		return nil, fmt.Errorf("there is a kind cluster %s already; delete it (kind delete cluster --name %s), or name another in %s",
			c.Name, c.Name, clusterVariable)
	case there:
		_, err = run(m.command(ctx, "export", "kubeconfig", "--name", c.Name, "--kubeconfig", c.Kubeconfig()))
	default:
		err = c.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	return c, nil
}

func (m *Machine) exists(ctx context.Context, name string) (bool, error) {
	out, err := run(m.command(ctx, "get", "clusters"))
	if err != nil {
		return false, fmt.Errorf("listing kind clusters: %w", err)
	}
	return slices.Contains(strings.Fields(string(out)), name), nil
}

// create leaves nothing behind where it fails.
func (c *Cluster) create(ctx context.Context) error {
	args := []string{
		"create", "cluster", "--name", c.Name, "--config", filepath.Join(c.options.Root, "kind-config.yaml"),
		"--kubeconfig", c.Kubeconfig(), "--wait", nodesReady.String(),
	}
	if c.machine.nodeImage != "" {
		args = append(args, "--image", c.machine.nodeImage)
	}
	create := c.machine.command(ctx, args...)
	out, err := create.CombinedOutput()
	_, _ = c.options.Log.Write(out)
	if err == nil {
		c.Created = true
		return nil
	}
	if c.machine.nodeImage == "" && strings.Contains(string(out), "failed to pull image") {
		return Missing{
			"kind cannot pull its node image here", "name one that is here in " + nodeImageVariable + ", or build one: kind build node-image",
		}
	}
	err = fmt.Errorf("kind create cluster: %w: %s", err, lastLine(out))
	return errors.Join(err, c.Delete(context.WithoutCancel(ctx)))
}

// Kubeconfig is a file of its own: the user's is left alone.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.options.Dir, "kubeconfig") }

// Config is an administrator's.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Delete deletes the cluster and its kubeconfig.
func (c *Cluster) Delete(ctx context.Context) error {
	_, err := run(c.machine.command(ctx, "delete", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig()))
	if err != nil {
		return fmt.Errorf("deleting the cluster: %w", err)
	}
	if err := os.Remove(c.Kubeconfig()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("deleting the cluster: %w", err)
	}
	return nil
}

// OnNode runs a program on a node.
func (c *Cluster) OnNode(ctx context.Context, node string, command ...string) ([]byte, error) {
	args := append([]string{"exec", node}, command...)
	return run(exec.CommandContext(ctx, "docker", args...)) //nolint:gosec // the arguments are ours
}
