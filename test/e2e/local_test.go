//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/sail"
)

// localNodes of a local control plane: two, so that a DaemonSet can be half rolled out.
const localNodes = 2

// localPlatform is a control plane of this machine, and a router process.
type localPlatform struct {
	cluster *cluster.Cluster
	env     *local.Environment
	router  string
	// istiods are the injectors that a router in forward mode calls, by revision.
	istiods map[string]*injector.Istiod
}

// builtRouter is the program under test, built once for all procedures; or the file that E2E_ROUTER names.
var builtRouter = struct {
	sync.Mutex
	dir, path string
}{}

func buildRouter(ctx context.Context) (string, error) {
	builtRouter.Lock()
	defer builtRouter.Unlock()
	if builtRouter.path != "" {
		return builtRouter.path, nil
	}
	if given := os.Getenv("E2E_ROUTER"); given != "" {
		builtRouter.path = given
		return given, nil
	}
	dir, err := os.MkdirTemp("", "revision-router-e2e-")
	if err != nil {
		return "", err
	}
	builtRouter.dir = dir
	path, err := local.Build(ctx, dir, nil)
	if err != nil {
		return "", err
	}
	builtRouter.path = path
	return path, nil
}

func startLocal(ctx context.Context, p procedure) (_ platform, err error) {
	l := &localPlatform{istiods: map[string]*injector.Istiod{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.router, err = buildRouter(ctx); err != nil {
		return nil, err
	}
	if l.cluster, err = cluster.Start(ctx, cluster.Options{Nodes: localNodes}); err != nil {
		return nil, err
	}
	for _, crds := range []fs.FS{sailapi.CRDs(), inventory.CRDs()} {
		if err := cluster.InstallCRDs(ctx, l.cluster.Config(), crds); err != nil {
			return nil, err
		}
	}
	for revision, version := range p.forwardTo {
		l.istiods[revision], err = injector.StartIstiod(injector.IstiodOptions{Revision: revision, Version: version, Now: time.Now})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *localPlatform) config() *rest.Config { return l.cluster.Config() }
func (l *localPlatform) kubeconfig() string   { return l.cluster.Kubeconfig() }
func (l *localPlatform) binary() string       { return l.router }
func (l *localPlatform) image() string        { return "registry.example/app:1" } // nothing is pulled

func (l *localPlatform) operator(o *sail.Options) {
	if len(l.istiods) == 0 {
		o.Injector = new(injector.Server)
		return
	}
	// The router calls them by the names of their Services, which it is told to reach elsewhere; the API server does not.
	o.Inject = func(revision, _ string) admissionregistrationv1.WebhookClientConfig {
		istiod := l.istiods[revision]
		if istiod == nil {
			return admissionregistrationv1.WebhookClientConfig{}
		}
		name := "istiod"
		if revision != routing.DefaultRevision {
			name += "-" + revision
		}
		return admissionregistrationv1.WebhookClientConfig{
			Service:  &admissionregistrationv1.ServiceReference{Namespace: "istio-system", Name: name, Path: new("/inject")},
			CABundle: istiod.CABundle(),
		}
	}
}

// started puts each injector behind the pods of its istiod.
func (l *localPlatform) started(o *sail.Operator) {
	for revision, istiod := range l.istiods {
		istiod.Break(func(w http.ResponseWriter, r *http.Request, answer http.Handler) {
			if !o.Serving(revision) {
				http.Error(w, "no istiod of revision "+revision+" is ready", http.StatusServiceUnavailable)
				return
			}
			answer.ServeHTTP(w, r)
		})
	}
}

func (l *localPlatform) install(ctx context.Context, values []string) error {
	if len(l.istiods) > 0 {
		var args []string
		for _, istiod := range l.istiods {
			args = append(args, "--connect-to="+istiod.Host()+"="+istiod.Address())
		}
		raw, err := json.Marshal(args)
		if err != nil {
			return err
		}
		values = append(values, "--set-json", "extraArgs="+string(raw))
	}
	var err error
	l.env, err = local.Start(ctx, local.Options{Cluster: l.cluster, Binary: l.router, Values: values})
	return err
}

func (l *localPlatform) restart(ctx context.Context) error { return l.env.RestartRouter(ctx) }

func (l *localPlatform) log(context.Context) string {
	if l.env == nil {
		return "no router is installed"
	}
	log, err := os.ReadFile(l.env.RouterLog())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (l *localPlatform) close() error {
	var errs []error
	if l.env != nil {
		errs = append(errs, l.env.Close())
	}
	if l.cluster != nil {
		errs = append(errs, l.cluster.Stop())
	}
	for _, istiod := range l.istiods {
		errs = append(errs, istiod.Close())
	}
	return errors.Join(errs...)
}
