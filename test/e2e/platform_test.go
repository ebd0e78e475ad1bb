//go:build e2e

package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/sail"
)

// platform is a cluster for one procedure, and how the router gets there.
type platform interface {
	// config is an administrator's, kubeconfig the path of a file with it.
	config() *rest.Config
	kubeconfig() string
	// operator completes the options of the stand-in for the operator: how the API server, or in forward mode the router,
	// reaches the injectors of revisions. started is told when it runs.
	operator(o *sail.Options)
	started(o *sail.Operator)
	// install installs the chart with the arguments of helm that the procedure has, and waits until the router is ready.
	install(ctx context.Context, values []string) error
	// restart replaces the routers by new ones, and waits until they are ready.
	restart(ctx context.Context) error
	// image is one that containers of workloads can have here.
	image() string
	// binary is the path of the command router.
	binary() string
	// log is what the routers have logged.
	log(ctx context.Context) string
	close() error
}

// routerOff is with ROUTER=off: nothing is installed, so that every case that needs the router has to fail.
func routerOff() bool { return os.Getenv("ROUTER") == "off" }

// slower is how long something may take that takes so long on a local control plane. In a kind cluster images are started, probes
// wait for their turn, and what stops has its grace period.
func slower(d time.Duration) time.Duration {
	if os.Getenv("E2E_PROVIDER") == "kind" {
		return 5 * d
	}
	return d
}

// newPlatform starts the platform that E2E_PROVIDER names, or without it a local control plane.
func newPlatform(t *testing.T, p procedure) (platform, error) {
	t.Helper()
	switch name := os.Getenv("E2E_PROVIDER"); name {
	case "", "local":
		return startLocal(t.Context(), p)
	case "kind":
		return startKind(t.Context(), p)
	default:
		t.Fatalf("E2E_PROVIDER=%s: there are local and kind", name)
		return nil, nil
	}
}
