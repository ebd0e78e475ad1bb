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

// Cluster is a kind cluster that runs.
type Cluster struct {
	// Name is kind's.
	Name string
	// Root is the folder of the project, Dir one for the kubeconfig, what is built and what is found out.
	Root, Dir string

	machine *Machine
	config  *rest.Config
}

// named is the cluster that the environment asks for, whether it runs or not.
func named(root string) (*Cluster, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("finding the project: %w", err)
	}
	c := &Cluster{Name: ClusterName, Root: root, Dir: filepath.Join(root, "bin", "e2e-kind")}
	if name := os.Getenv(clusterVariable); name != "" {
		c.Name = name
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("making a folder for the cluster: %w", err)
	}
	return c, nil
}

// Open returns the cluster that runs already, for a project's folder. Tests begin with it.
func Open(root string) (*Cluster, error) {
	c, err := named(root)
	if err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, fmt.Errorf("%w; no cluster was started for these tests: run make e2e-kind", err)
	}
	return c, nil
}

func (c *Cluster) connect() (err error) {
	if c.config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	c.config.QPS, c.config.Burst = 50, 100 // the default of 5 and 10 takes seconds for what the end of a procedure removes
	return nil
}

// Create creates the cluster of kind-config.yaml, and returns when its nodes are Ready. With reuse it takes one of the
// name that is there already, as it is.
func (m *Machine) Create(ctx context.Context, root string, reuse bool, log io.Writer) (*Cluster, error) {
	c, err := named(root)
	if err != nil {
		return nil, err
	}
	c.machine = m
	there, err := m.exists(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case there && !reuse:
		return nil, fmt.Errorf("there is a kind cluster %s already; take it with KEEP=1, delete it (kind delete cluster --name %s), or name another in %s",
			c.Name, c.Name, clusterVariable)
	case there:
		_, err = run(m.command(ctx, "export", "kubeconfig", "--name", c.Name, "--kubeconfig", c.Kubeconfig()))
	default:
		err = c.create(ctx, log)
	}
	if err != nil {
		return nil, err
	}
	err = c.connect()
	return c, err
}

func (m *Machine) exists(ctx context.Context, name string) (bool, error) {
	out, err := run(m.command(ctx, "get", "clusters"))
	if err != nil {
		return false, fmt.Errorf("listing kind clusters: %w", err)
	}
	return slices.Contains(strings.Fields(string(out)), name), nil
}

// create leaves nothing behind where it fails.
func (c *Cluster) create(ctx context.Context, log io.Writer) error {
	args := []string{
		"create", "cluster", "--name", c.Name, "--config", filepath.Join(c.Root, "kind-config.yaml"),
		"--kubeconfig", c.Kubeconfig(), "--wait", nodesReady.String(),
	}
	if c.machine.nodeImage != "" {
		args = append(args, "--image", c.machine.nodeImage)
	}
	create := c.machine.command(ctx, args...)
	out, err := create.CombinedOutput()
	_, _ = log.Write(out)
	if err == nil {
		return nil
	}
	if c.machine.nodeImage == "" && strings.Contains(string(out), "failed to pull image") {
		return MissingError{
			"kind cannot pull its node image here", "name one that is here in " + nodeImageVariable + ", or build one: kind build node-image",
		}
	}
	err = fmt.Errorf("kind create cluster: %w: %s", err, lastLine(out))
	return errors.Join(err, c.Delete(context.WithoutCancel(ctx)))
}

// Kubeconfig is a file of its own: the user's is left alone.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

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
