package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/charts"
)

// helmTimeout is how long Helm waits for what it installs.
const helmTimeout = "10m"

// Chart is the release of the router in a cluster.
type Chart struct {
	cluster *Cluster
	helm    string
}

// Chart returns the release, which need not be installed, for a helm binary.
func (c *Cluster) Chart(helm string) *Chart { return &Chart{cluster: c, helm: helm} }

// Namespace makes the namespace of the router as docs/install.md says, with Pod Security's strictest level enforced.
func (c *Cluster) Namespace(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   charts.Name,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
	}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the namespace of the router: %w", err)
	}
	return nil
}

// Install installs the chart as docs/install.md says, with further values such as --set=mode=forward.
func (c *Chart) Install(ctx context.Context, values ...string) error {
	return c.apply(ctx, "install", values)
}

// Upgrade changes values of the release. Those that are not given again become the chart's own.
func (c *Chart) Upgrade(ctx context.Context, values ...string) error {
	return c.apply(ctx, "upgrade", values)
}

func (c *Chart) apply(ctx context.Context, verb string, values []string) error {
	args := slices.Concat([]string{
		verb, charts.Name, filepath.Join(c.cluster.Root, "charts", charts.Name), "--namespace", charts.Name,
		"--set", "image.repository=" + routerRepository, "--set", "image.tag=" + routerTag, "--wait", "--timeout", helmTimeout,
	}, values)
	if verb == "install" {
		args = append(args, "--create-namespace")
	}
	err := c.run(ctx, args...)
	return err
}

// Uninstall removes the release, and waits until its pods have ended. It is no error if there is none.
func (c *Chart) Uninstall(ctx context.Context) error {
	return c.uninstall(ctx, "--wait", "--timeout", helmTimeout)
}

func (c *Chart) uninstall(ctx context.Context, flags ...string) error {
	return c.run(ctx, append([]string{"uninstall", charts.Name, "--namespace", charts.Name, "--ignore-not-found"}, flags...)...)
}

// run keeps the user's plugins, repositories and settings out.
func (c *Chart) run(ctx context.Context, args ...string) error {
	home := filepath.Join(c.cluster.Dir, "helm")
	if err := os.MkdirAll(home, 0o750); err != nil {
		return fmt.Errorf("running helm: %w", err)
	}
	command := exec.CommandContext(ctx, c.helm, append(args, "--kubeconfig", c.cluster.Kubeconfig())...) //nolint:gosec // the arguments are ours
	command.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	if _, err := run(command); err != nil {
		return errors.Join(errors.New("helm "+strings.Join(args[:2], " ")), err)
	}
	return nil
}
