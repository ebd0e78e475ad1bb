package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/files"
	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/internal/lease"
	"github.com/revision-router/revision-router/internal/metrics"
)

// The values of --cert-provider.
const (
	// selfManaged: the router keeps a CA, and writes the CA bundles.
	selfManaged = "self-managed"
	// certManager: cert-manager keeps the certificate in a Secret that is mounted, and writes the CA bundles.
	certManager = "cert-manager"
	// mountedSecret: somebody else does.
	mountedSecret = "secret"
)

// CertOptions are the flags about the serving certificate.
type CertOptions struct {
	Provider string
	Dir      string
	Secret   string
	Lease    string
}

func (o *CertOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Provider, "cert-provider", selfManaged,
		"who keeps the serving certificate and the CA bundles: self-managed (the router), cert-manager, or secret (you)")
	flags.StringVar(&o.Dir, "cert-dir", "",
		"folder with tls.crt and tls.key, for providers other than self-managed; changes are taken up without a restart")
	flags.StringVar(&o.Secret, "cert-secret", "", "Secret that is mounted at --cert-dir, for messages")
	flags.StringVar(&o.Lease, "lease", "revision-router",
		"Lease whose holder writes the CA Secret and the CA bundles, while every replica serves; "+
			"empty lets every replica write, which is as safe")
}

func (o *CertOptions) validate() error {
	switch {
	case !slices.Contains([]string{selfManaged, certManager, mountedSecret}, o.Provider):
		return fmt.Errorf("--cert-provider %q: must be %s, %s or %s", o.Provider, selfManaged, certManager, mountedSecret)
	case o.Provider == selfManaged && o.Dir != "":
		return fmt.Errorf("--cert-dir %s: the router keeps the certificate itself with --cert-provider=%s; choose another provider", o.Dir, selfManaged)
	case o.Provider != selfManaged && o.Dir == "":
		return fmt.Errorf("--cert-dir must not be empty with --cert-provider=%s", o.Provider)
	}
	return nil
}

// certificates keeps the serving certificate, wherever it comes from.
type certificates interface {
	Source() *certs.Source
	Ready() error
	Start(ctx context.Context) error
}

func (s shared) newCertificates() (certificates, error) {
	if s.options.Certs.Provider == selfManaged {
		return s.newOwnCA()
	}
	return s.newMounted()
}

// newMounted serves what others keep; the router then writes nothing and takes part in no election.
func (s shared) newMounted() (certificates, error) {
	dns, ips := s.options.servingNames()
	names := dns[:1] // what the API server dials; certificates of others rarely hold cluster.local
	if len(dns) > 2 {
		names = slices.Concat(names, dns[2:])
	}
	for _, ip := range ips {
		names = append(names, ip.String())
	}
	watcher, err := files.New(files.Options{
		Dir: s.options.Certs.Dir, Names: names, Clock: wallClock(), Log: s.log.WithName("certs"), Hint: s.options.certHint(),
	})
	if err != nil {
		return nil, err
	}
	gauges := metrics.Certificates{Mounted: func() (*x509.Certificate, bool) {
		return watcher.Source().Leaf(), watcher.Failed()
	}}
	return watcher, gauges.Register(s.registry)
}

// certHint is what to look at when there is no certificate.
func (o *Options) certHint() string {
	secret := o.Certs.Secret
	if secret == "" {
		secret = "NAME"
	}
	if o.Certs.Provider == certManager {
		return fmt.Sprintf("is cert-manager running? kubectl -n %s describe certificate %s", o.Namespace, secret)
	}
	return fmt.Sprintf("is the Secret right? kubectl -n %s describe secret %s", o.Namespace, secret)
}

// ownCA is a Manager with the election that decides whether it writes.
type ownCA struct {
	*secretca.Manager
	election func(context.Context) error
}

// Start looks after certificates and takes part in the election.
func (c ownCA) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Manager.Start(ctx) })
	group.Go(func() error { return c.election(ctx) })
	return group.Wait()
}

// newOwnCA keeps the CA in its Secret, a leaf in memory, and the CA bundle in our webhook configurations.
func (s shared) newOwnCA() (certificates, error) {
	client, err := kubernetes.NewForConfig(s.api)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	writes, election, err := s.newElection(client)
	if err != nil {
		return nil, err
	}
	recorder, err := metrics.NewCertificateRecorder(s.registry)
	if err != nil {
		return nil, err
	}
	dns, ips := s.options.servingNames()
	manager, err := secretca.New(secretca.Options{
		Client:                          client,
		Namespace:                       s.options.Namespace,
		SecretName:                      s.options.CASecret,
		DNSNames:                        dns,
		IPs:                             ips,
		MutatingWebhookConfigurations:   s.options.MutatingWebhooks,
		ValidatingWebhookConfigurations: s.options.ValidatingWebhooks,
		Clock:                           wallClock(),
		Log:                             s.log.WithName("certs"),
		Recorder:                        recorder,
		IsLeader:                        writes,
	})
	if err != nil {
		return nil, err
	}
	gauges := metrics.Certificates{SelfManaged: manager.Report}
	return ownCA{manager, election}, gauges.Register(s.registry)
}

func (s shared) newElection(client kubernetes.Interface) (writes func() bool, election func(context.Context) error, _ error) {
	if s.options.Certs.Lease == "" {
		return func() bool { return true }, idle, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, errors.Join(errors.New("finding a name for the election"), err)
	}
	part, err := lease.New(lease.Options{
		Client: client, Namespace: s.options.Namespace, Name: s.options.Certs.Lease,
		Identity: host + "_" + rand.Text(), // two processes on one machine must not take each other for themselves
		Now:      time.Now, Log: s.log.WithName("lease"),
	})
	if err != nil {
		return nil, nil, err
	}
	return part.Writes, part.Start, nil
}
