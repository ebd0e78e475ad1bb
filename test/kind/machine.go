package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/test/cluster"
)

const (
	kindModule  = "tools/kind"
	kindPackage = "sigs.k8s.io/kind"
	// nodeImageVariable names an image of the nodes.
	nodeImageVariable = "KIND_NODE_IMAGE"
)

// MissingError is something that the machine lacks, so that there can be no cluster.
type MissingError struct{ What, Next string }

// Error is one line.
func (m MissingError) Error() string { return m.What + "; " + m.Next }

// Machine is what clusters are made with here.
type Machine struct {
	kind, nodeImage string
}

// Find looks for a Docker Engine that may run nodes, and for kind, which it builds where there is none. An error of type
// Missing tells what the machine lacks.
func Find(ctx context.Context) (*Machine, error) {
	m := &Machine{nodeImage: os.Getenv(nodeImageVariable)}
	if err := engine(ctx); err != nil {
		return nil, err
	}
	if err := network(ctx); err != nil {
		return nil, err
	}
	if m.nodeImage != "" {
		if err := nodeImage(ctx, m.nodeImage); err != nil {
			return nil, err
		}
	}
	var err error
	if m.kind, err = exec.LookPath("kind"); err == nil {
		return m, nil
	}
	if m.kind, err = cluster.Tool(ctx, kindModule, kindPackage); err != nil {
		return nil, fmt.Errorf("building kind: %w", err)
	}
	return m, nil
}

// engine tells whether a Docker Engine answers.
func engine(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return MissingError{"there is no docker command", "install Docker, or run .ci/engine as root on Debian or Ubuntu"}
	case err != nil && bytes.Contains(out, []byte("permission denied")):
		return MissingError{
			"the Docker Engine may not be used by " + who(), "run this as root, or as a member of the group docker",
		}
	case err != nil:
		return MissingError{"no Docker Engine answers", "start yours, or run .ci/engine as root on Debian or Ubuntu"}
	}
	return nil
}

// network tells whether the engine can make a network, which the nodes are on. One that runs without rights for iptables cannot.
func network(ctx context.Context) error {
	name := fmt.Sprintf("revision-router-probe-%d", os.Getpid())
	if out, err := exec.CommandContext(ctx, "docker", "network", "create", name).CombinedOutput(); err != nil { //nolint:gosec // the name is ours
		return MissingError{
			fmt.Sprintf("the Docker Engine cannot make a network for the nodes (%s)", lastLine(out)), "use one with rights for bridges and iptables",
		}
	}
	if _, err := run(exec.CommandContext(ctx, "docker", "network", "rm", name)); err != nil { //nolint:gosec // as above
		return fmt.Errorf("removing a network that was only tried: %w", err)
	}
	return nil
}

func who() string {
	if user := os.Getenv("USER"); user != "" {
		return user
	}
	return fmt.Sprintf("user %d", os.Getuid())
}

// nodeImage tells whether the image is here and a privileged container of it starts, which is what a node is.
func nodeImage(ctx context.Context, image string) error {
	if exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() != nil { //nolint:gosec // who runs the tests names it
		if out, err := exec.CommandContext(ctx, "docker", "pull", "--quiet", image).CombinedOutput(); err != nil { //nolint:gosec // as above
			return MissingError{
				fmt.Sprintf("the node image %s of %s can be neither found nor pulled (%s)", image, nodeImageVariable, lastLine(out)),
				"name one that is here (docker images), or build one: kind build node-image",
			}
		}
	}
	probe := exec.CommandContext(ctx, "docker", "run", "--rm", "--privileged", "--network=none", "--entrypoint=/bin/true", image) //nolint:gosec // as above
	if out, err := probe.CombinedOutput(); err != nil {
		return MissingError{
			fmt.Sprintf("nodes need privileged containers, which cannot be started here (%s)", lastLine(out)),
			"use a machine, or an engine, with those rights",
		}
	}
	return nil
}

// lastLine is what a program said at the end, where it says what went wrong.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	line := lines[len(lines)-1]
	for _, last := range slices.Backward(lines) {
		if strings.HasPrefix(strings.ToLower(last), "error: ") { // kubeadm's stack follows it
			return strings.TrimSpace(last)
		}
	}
	if strings.Contains(line, "--help") && len(lines) > 1 { // docker's advice
		for _, earlier := range lines {
			if strings.Contains(earlier, ": ") {
				return strings.TrimSpace(earlier)
			}
		}
	}
	return strings.TrimSpace(line)
}

// Command is kind with arguments.
func (m *Machine) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, m.kind, args...) //nolint:gosec // the arguments are ours
}

// run runs a program and returns what it wrote to standard output. An error has what it wrote to standard error.
func run(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	return out, nil
}
