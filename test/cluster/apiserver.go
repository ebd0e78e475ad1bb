package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	loopback = "127.0.0.1"
	// startLimit is how long a component may take to become ready. It takes 3 seconds on an idle machine, and minutes on one
	// that has many times more to do than it can.
	startLimit = 5 * time.Minute
	// probeLimit bounds one readiness probe, so that one that hangs does not use up startLimit.
	probeLimit = 5 * time.Second
	// The API server's port is taken from below the ephemeral ranges of Linux (32768) and macOS (49152). From those
	// the kernel would give it, while the API server is stopped or not yet listening, to any listener on port 0 and
	// to any outgoing connection.
	firstPort, portCount = 20000, 10000
	// portAttempts bounds both the search for a free port and the starts that lost theirs to another process.
	portAttempts = 20
)

// errPortTaken: another process got the port between the choice and the start.
var errPortTaken = errors.New("another process listens on the port")

func (c *Cluster) url() string { return "https://" + net.JoinHostPort(loopback, strconv.Itoa(c.port)) }

// startOnFreePort chooses the cluster's port. A port can only be tested by taking it and giving it back, so another
// control plane that starts at the same time may choose the same one; the loser tries again.
func (c *Cluster) startOnFreePort(ctx context.Context) error {
	var err error
	for range portAttempts {
		if c.port, err = freePort(); err != nil {
			return err
		}
		if c.client, err = rest.HTTPClientFor(c.Config()); err != nil {
			return fmt.Errorf("make a client for %s: %w", c.url(), err)
		}
		if err = c.startAPIServer(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	p, err := startProcess("kube-apiserver", c.binaries.apiserver, c.dir, c.apiserverArgs())
	if err != nil {
		return err
	}
	c.apiserver = p
	err = p.await(ctx, c.ready)
	if err == nil {
		return nil
	}
	ended := p.ended()
	err = errors.Join(err, c.stopAPIServer())
	if ended && portTaken(c.port) {
		return fmt.Errorf("%w: %d: %w", errPortTaken, c.port, err)
	}
	return err
}

func (c *Cluster) stopAPIServer() error {
	if c.apiserver == nil {
		return nil
	}
	p := c.apiserver
	c.apiserver = nil
	c.client.CloseIdleConnections()
	return p.stop()
}

// ready is stricter than /readyz: that does not wait for the namespace default, in which many tests create a pod.
func (c *Cluster) ready(ctx context.Context) error {
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		if err := c.probe(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) probe(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url()+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return nil
}

func (c *Cluster) apiserverArgs() []string {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(c.port),
		// Else it looks for a default route, which a machine without a network does not have.
		"--advertise-address=" + loopback,
		// The Endpoints of the Service kubernetes must not hold a loopback address; nobody needs them.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--client-ca-file=" + caFile,
		"--tls-cert-file=" + servingCertFile,
		"--tls-private-key-file=" + servingKeyFile,
		// TokenRequest works, so a test can act as a ServiceAccount with a real token.
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + serviceAccountKeyFile,
		"--service-account-signing-key-file=" + serviceAccountKeyFile,
		// As in kubeadm's clusters; data planes have privileged pods.
		"--allow-privileged=true",
		// A share for each user is not what tests are about, and its start-up takes time.
		"--enable-priority-and-fairness=false",
		// Else a stop waits a minute for clients that watch, as every informer does, to go away by themselves.
		"--shutdown-watch-termination-grace-period=1s",
	}
	if c.nodes == 0 {
		// Every admission plugin of a real cluster but this one, which refuses pods until a controller has made the
		// ServiceAccount default of their namespace.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	return append(args, c.args...)
}

// freePort finds a port that nobody listens on now.
func freePort() (int, error) {
	for range portAttempts {
		port := firstPort + rand.IntN(portCount) //nolint:gosec // Spreads concurrent starts; nothing secret.
		if !portTaken(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%d ports between %d and %d are all taken or not allowed", portAttempts, firstPort, firstPort+portCount)
}

func portTaken(port int) bool {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(loopback), Port: port})
	if err != nil {
		return true
	}
	return listener.Close() != nil
}
