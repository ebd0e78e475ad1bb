package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Options configure [Start]. The zero value is a cluster as tests want it.
type Options struct {
	// Log receives progress while binaries are built, which takes minutes. Nil means os.Stderr.
	Log io.Writer
	// Args are further kube-apiserver flags, such as --audit-policy-file=FILE. They come last, so they win.
	Args []string
	// Nodes is the number of nodes that pods run on, in name. With one or more the cluster also has
	// kube-controller-manager, kube-scheduler and, for the kubelets, kwok: Deployments roll out, Services get
	// EndpointSlices, what has no owner is collected, namespaces end; only containers are not there. A pod with the
	// annotation [AnnotationReady] is not ready. Zero is etcd and kube-apiserver alone, which start faster.
	Nodes int
}

// Cluster is a control plane of this process: it ends with the process if nobody stops it before.
type Cluster struct {
	dir         *workDir
	binaries    binaries
	credentials *credentials
	args        []string
	nodes       int
	etcd        *process
	workloads   []*process
	client      *http.Client
	port        int

	mu sync.Mutex
	// apiserver is nil while the API server is stopped.
	apiserver *process
	stopped   bool
}

// ErrStopped is returned by what cannot be done with a cluster after [Cluster.Stop].
var ErrStopped = errors.New("the control plane has been stopped")

// Start builds the binaries if they are missing, starts etcd and kube-apiserver and waits until the API server is
// ready and the namespace default exists. ctx bounds the start only: the cluster outlives it, until Stop.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	log := o.Log
	if log == nil {
		log = os.Stderr
	}
	bins, err := findBinaries(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("find the binaries of the control plane: %w", err)
	}
	if o.Nodes > 0 {
		if bins.workloads, err = findWorkloadBinaries(ctx, log); err != nil {
			return nil, fmt.Errorf("find the binaries that run workloads: %w", err)
		}
	}
	creds, err := newCredentials(time.Now())
	if err != nil {
		return nil, fmt.Errorf("generate the credentials of the control plane: %w", err)
	}
	dir, err := newWorkDir(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("make a directory for the control plane: %w", err)
	}
	c := &Cluster{dir: dir, binaries: bins, credentials: creds, args: o.Args, nodes: o.Nodes}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.credentials.write(c.dir.path); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.startOnFreePort(ctx); err != nil {
		return err
	}
	if err := writeKubeconfig(c.Kubeconfig(), c.Config()); err != nil || c.nodes == 0 {
		return err
	}
	return c.startWorkloads(ctx)
}

// Config returns the configuration of a cluster administrator (system:masters). The caller may change it.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{
		Host: c.url(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   bytes.Clone(c.credentials.ca),
			CertData: bytes.Clone(c.credentials.admin.cert),
			KeyData:  bytes.Clone(c.credentials.admin.key),
		},
		// Tests create many objects in a row; client-go's default of five requests a second would dominate them.
		QPS: -1,
	}
}

// ConfigFor returns the configuration of another user, who may do only what RBAC grants. It works by impersonation:
// the API server adds system:authenticated, and for a name such as system:serviceaccount:NAMESPACE:NAME without
// groups also the groups of ServiceAccounts. The ClusterRoles view, edit and admin grant nothing without
// [Options.Nodes]: a controller fills them in.
func (c *Cluster) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	if user == "" {
		return nil, errors.New("impersonate a user: the name is empty, which would mean the administrator; name one")
	}
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return config, nil
}

// Kubeconfig returns the path of a kubeconfig file for the administrator. Stop removes it.
func (c *Cluster) Kubeconfig() string { return c.dir.file(kubeconfigFile) }

// StopAPIServer stops the API server and leaves etcd running, as an outage. Doing it twice equals once.
func (c *Cluster) StopAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopAPIServer()
}

// StartAPIServer starts the API server again after StopAPIServer, on the same port and with the same data, and waits
// until it is ready.
func (c *Cluster) StartAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return ErrStopped
	}
	if c.apiserver != nil {
		return nil
	}
	// No caller's context: like Stop it is called without one, and startLimit bounds it.
	return c.startAPIServer(context.Background())
}

// Stop ends all processes and removes their data. Doing it twice equals once.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	err := errors.Join(c.stopWorkloads(), c.stopAPIServer())
	if c.etcd != nil {
		err = errors.Join(err, c.etcd.stop())
	}
	return errors.Join(err, c.dir.remove())
}
