// Package forward is a mesh for tests and for the demo of forward mode: stand-ins of istiods behind addresses that stay,
// and what the Sail Operator would write about them with global.operatorManageWebhooks. There are no webhooks of Istio's
// in it, so that a pod has a sidecar only if the router had it injected.
package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/balance"
	"github.com/revision-router/revision-router/test/injector"
)

// ControlPlane is the namespace of revisions that name no other.
const ControlPlane = "istio-system"

// urlPort is that of injectors behind a URL; any but 443, which Services have.
const urlPort = "15017"

// Revision is a control plane of the mesh.
type Revision struct {
	Name, Version string
	// Namespace is ControlPlane where it is empty.
	Namespace string
	// Remote: it runs elsewhere, and is reached by injectionURL and injectionCABundle.
	Remote bool
	// Values are those of spec.values besides what the mesh needs itself.
	Values map[string]any
}

// Mesh is a number of revisions. It may be used by several goroutines once it is connected.
type Mesh struct {
	revisions map[string]*standIn
	order     []*standIn
	dyn       dynamic.Interface
	kube      kubernetes.Interface
}

// standIn is a revision with what stands in for its istiod, and for the Service in front of it.
type standIn struct {
	Revision
	istiod   *injector.Istiod
	service  *balance.Service
	endpoint *balance.Endpoint
}

// Start starts the stand-ins. The API server learns of them by Connect and InstallRevision. Close ends them.
func Start(revisions ...Revision) (_ *Mesh, err error) {
	m := &Mesh{revisions: map[string]*standIn{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	for _, r := range revisions {
		if r.Namespace == "" {
			r.Namespace = ControlPlane
		}
		s := &standIn{Revision: r}
		s.istiod, err = injector.StartIstiod(injector.IstiodOptions{
			Revision: r.Name, Version: r.Version, Namespace: r.Namespace, Now: time.Now,
		})
		if err != nil {
			return nil, err
		}
		m.revisions[r.Name], m.order = s, append(m.order, s)
		if s.service, err = balance.New(); err != nil {
			return nil, fmt.Errorf("making the Service of %s: %w", r.Name, err)
		}
		if err := s.point(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// HelmValues are arguments of helm template for a router that forwards to the mesh, and that finds the stand-ins from
// outside of the cluster's network.
func (m *Mesh) HelmValues() ([]string, error) {
	var args, namespaces []string
	for _, s := range m.order {
		args = append(args, "--connect-to="+s.host()+"="+s.service.Address())
		if !slices.Contains(namespaces, s.Namespace) {
			namespaces = append(namespaces, s.Namespace)
		}
	}
	values, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("the router's arguments: %w", err)
	}
	spaces, err := json.Marshal(namespaces)
	if err != nil {
		return nil, fmt.Errorf("the namespaces of control planes: %w", err)
	}
	return []string{
		"--set", "mode=forward", "--set-json", "forward.controlPlaneNamespaces=" + string(spaces), "--set-json", "extraArgs=" + string(values),
	}, nil
}

// Connect names the API server that the objects go to.
func (m *Mesh) Connect(config *rest.Config) error {
	var err error
	if m.dyn, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if m.kube, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

// Version is that of a revision.
func (m *Mesh) Version(revision string) string { return m.revisions[revision].Version }

// Counts is what came to the injector of a revision so far.
func (m *Mesh) Counts(revision string) injector.Counts { return m.revisions[revision].istiod.Counts() }

// Replace puts a new injector in place of the one that a revision has, as a rolling restart of istiod does. What the
// old one has in flight breaks.
func (m *Mesh) Replace(revision string) error {
	s := m.revisions[revision]
	before := s.endpoint
	if err := s.istiod.Replace(); err != nil {
		return err
	}
	err := s.point()
	s.service.Remove(before)
	return err
}

// Stop ends the injector of a revision without a warning: connections to it break, and further ones are refused.
func (m *Mesh) Stop(revision string) error {
	s := m.revisions[revision]
	s.service.Remove(s.endpoint)
	return s.istiod.Close()
}

// Resume starts it again.
func (m *Mesh) Resume(revision string) error {
	s := m.revisions[revision]
	if err := s.istiod.Listen(); err != nil {
		return err
	}
	return s.point()
}

// Break makes the injector of a revision answer wrongly from now on; nil heals it.
func (m *Mesh) Break(revision string, fault injector.Fault) {
	m.revisions[revision].istiod.Break(fault)
}

// Close ends the stand-ins.
func (m *Mesh) Close() error {
	var errs []error
	for _, s := range m.order {
		if s.service != nil {
			s.service.Close()
		}
		errs = append(errs, s.istiod.Close())
	}
	return errors.Join(errs...)
}

// host is the address within a cluster.
func (s *standIn) host() string {
	if s.Remote {
		return s.istiod.ServerName() + ":" + urlPort
	}
	return s.istiod.Host()
}

// point leads the Service to where the injector listens now.
func (s *standIn) point() error {
	s.endpoint = balance.NewEndpoint(s.istiod.Address())
	return s.service.Add(s.endpoint)
}
