package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/internal/registration"
	"github.com/revision-router/revision-router/internal/server"
	"github.com/revision-router/revision-router/routing"
)

// ServerOptions are the flags about the webhook server.
type ServerOptions struct {
	MaxConnections  int
	MaxConcurrent   int
	MaxBodyMemory   string
	ShutdownTimeout time.Duration
	ClientCA        string
	ClientNames     []string
}

func (o *ServerOptions) addFlags(flags *pflag.FlagSet) {
	limits := server.DefaultLimits()
	flags.IntVar(&o.MaxConnections, "max-connections", limits.Connections,
		"connections to the webhook server at a time; idle ones are closed to make room")
	flags.IntVar(&o.MaxConcurrent, "max-concurrent", limits.Concurrent,
		"requests that are answered at a time, half of them on one path; further ones are told to come again")
	flags.StringVar(&o.MaxBodyMemory, "max-body-memory", resource.NewQuantity(limits.BodyBytes, resource.BinarySI).String(),
		"memory for the bodies of requests, half of it for one client address; further requests are told to come again")
	flags.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", server.DefaultGrace,
		"how long requests under way have to end, once the drain is over")
	flags.StringVar(&o.ClientCA, "client-ca", "",
		"file with the CAs (PEM) of clients: only who shows a certificate of theirs may call the webhooks; read again when it changes")
	flags.StringSliceVar(&o.ClientNames, "client-name", []string{"kube-apiserver"},
		"names of which a client's certificate must have one, as common name or DNS name; only with --client-ca")
}

func (o *ServerOptions) limits() (server.Limits, error) {
	memory, err := resource.ParseQuantity(o.MaxBodyMemory)
	if err != nil {
		return server.Limits{}, fmt.Errorf("--max-body-memory %q: must be a quantity such as 32Mi", o.MaxBodyMemory)
	}
	limits := server.Limits{Connections: o.MaxConnections, Concurrent: o.MaxConcurrent, BodyBytes: memory.Value()}
	if err := limits.Validate(); err != nil {
		return limits, fmt.Errorf("--max-connections, --max-concurrent and --max-body-memory: %w", err)
	}
	return limits, nil
}

func (o *ServerOptions) validate() error {
	_, err := o.limits()
	errs := []error{err}
	if o.ShutdownTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--shutdown-timeout %s: must be positive", o.ShutdownTimeout))
	}
	if o.ClientCA != "" && len(o.ClientNames) == 0 {
		errs = append(errs, errors.New("--client-name must name at least one client with --client-ca"))
	}
	return errors.Join(errs...)
}

// serving is the webhook server, and what tells whether it can be called.
type serving struct {
	server       *server.Server
	clients      *server.Clients // nil: everybody may call
	registration *registration.Watcher
	drain        *drain
	source       *mesh.Source
	overlaps     *overlapGate // nil in guard mode
	policy       *config.Store
	certificates certificates
	// name is what the API server dials.
	name string

	mu      sync.Mutex
	checked time.Time
	result  error
}

// servingParts are what the webhook server is made with.
type servingParts struct {
	certificates certificates
	source       *mesh.Source
	overlaps     *overlapGate
	panicked     func()
}

func (s shared) newServing(parts servingParts) (*serving, error) {
	limits, err := s.options.Server.limits()
	if err != nil {
		return nil, err
	}
	recorder, err := metrics.NewServerRecorder(s.registry, parts.panicked)
	if err != nil {
		return nil, err
	}
	names, _ := s.options.servingNames()
	v := &serving{
		source: parts.source, overlaps: parts.overlaps, policy: s.policy, certificates: parts.certificates, name: names[0],
	}
	if v.clients, err = s.newClients(); err != nil {
		return nil, err
	}
	v.server, err = server.New(server.Options{
		Host: s.options.WebhookHost, Port: s.options.WebhookPort,
		GetCertificate: parts.certificates.Source().GetCertificate,
		Clients:        v.clients,
		Limits:         limits,
		Grace:          s.options.Server.ShutdownTimeout,
		Recorder:       recorder,
		Log:            s.log.WithName("server"),
		Now:            time.Now,
	})
	if err != nil {
		return nil, err
	}
	v.drain = &drain{delay: s.options.DrainDelay, begin: v.server.Drain, log: s.log}
	client, err := kubernetes.NewForConfig(s.api)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	look := registration.Options{Client: client, Mutating: s.options.MutatingWebhooks, Log: s.log.WithName("registration")}
	if s.options.Forward.mode() == routing.Guard {
		look.Revisions = func() []string { return injecting(parts.source.Mesh()) }
	}
	v.registration, err = registration.New(look)
	if err != nil {
		return nil, err
	}
	gauges := metrics.Server{Stats: v.server.Stats, Registration: v.registration.State}
	return v, gauges.Register(s.registry)
}

func (s shared) newClients() (*server.Clients, error) {
	o := s.options.Server
	if o.ClientCA == "" {
		return nil, nil //nolint:nilnil // everybody may call
	}
	return server.NewClients(server.ClientsOptions{
		File: o.ClientCA, Names: o.ClientNames, Now: time.Now, Log: s.log.WithName("server"),
	})
}

// injecting are the revisions that are to have an injector webhook: all that the Sail Operator runs.
func injecting(m *routing.Mesh) []string {
	if m == nil {
		return nil
	}
	var names []string
	for _, r := range m.Revisions() {
		if r.Origin == routing.Sail && !r.Deleting {
			names = append(names, r.Name)
		}
	}
	return names
}

// followClients looks after the CAs of clients.
func (v *serving) followClients(ctx context.Context) error {
	if v.clients == nil {
		return idle(ctx)
	}
	return v.clients.Start(ctx)
}

func (v *serving) healthHandler() http.Handler {
	checks := map[string]healthz.Checker{
		"snapshot":    func(*http.Request) error { return v.source.Ready() },
		"certificate": func(r *http.Request) error { return v.certificate(r.Context()) },
		"webhook":     v.server.StartedChecker(),
		"drain":       v.drain.ready,
	}
	if v.overlaps != nil {
		checks["overlap"] = v.overlaps.checker(maps.Clone(checks))
	}
	return healthHandler(checks, v.remarks)
}

// remarks are what people should know, and what making this replica unready would not mend.
func (v *serving) remarks() []remark {
	var all []remark
	add := func(name string, err error) {
		if err != nil {
			all = append(all, remark{name, err.Error()})
		}
	}
	if err := v.policy.Err(); err != nil {
		add("policy", fmt.Errorf("the old policy stays in force: %w", err))
	}
	if v.clients != nil {
		if err := v.clients.Err(); err != nil {
			add("client-ca", fmt.Errorf("the CAs stay as they were: %w", err))
		}
	}
	if since := v.source.Stats().StaleSince; !since.IsZero() && v.source.Ready() == nil {
		add("snapshot", fmt.Errorf("it may miss changes since %s, because not everything can be followed; answers go on from it",
			since.UTC().Format(time.RFC3339)))
	}
	if v.overlaps != nil {
		add("overlap", v.overlaps.remark())
	}
	seen, ok := v.registration.State()
	if !ok {
		add("registration", errors.New("the webhook configurations have not been read yet"))
	}
	for _, line := range seen.Describe() {
		all = append(all, remark{"registration", line})
	}
	return all
}

// selfCallEvery bounds the calls to itself, whoever asks for readiness: each costs a handshake.
const selfCallEvery = time.Second

// certificate checks that the API server could call this replica: by what the certificates' keeper knows, and by
// calling as the API server does, against the CA bundles in the webhook configurations.
func (v *serving) certificate(ctx context.Context) error {
	if err := v.certificates.Ready(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if now.Sub(v.checked) < selfCallEvery {
		return v.result
	}
	v.checked, v.result = now, v.callSelf(ctx)
	return v.result
}

func (v *serving) callSelf(ctx context.Context) error {
	shown, err := v.server.Dial(ctx, v.name)
	if err != nil {
		return err
	}
	seen, _ := v.registration.State() // before the first look there is nothing to hold the certificate against
	for _, bundle := range seen.Bundles {
		if err := verify(shown, bundle, v.name, wallClock().Now()); err != nil {
			v.registration.LookSoon()
			return err
		}
	}
	return nil
}

// verify does what the API server does with the certificates that a webhook shows. now is the wall clock's time, which
// certificates are looked after by.
func verify(shown []*x509.Certificate, bundle []byte, name string, now time.Time) error {
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	if len(shown) == 0 {
		return errors.New("the port shows no certificate")
	}
	for _, c := range shown[1:] {
		others.AddCert(c)
	}
	if _, err := shown[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: others, CurrentTime: now}); err != nil {
		return fmt.Errorf("the API server would not accept the certificate that this replica shows: %w", err)
	}
	if left := shown[0].NotAfter.Sub(now); left <= certs.MinRemaining {
		return fmt.Errorf("the certificate that this replica shows is valid for %s, want more than %s", left.Round(time.Second), certs.MinRemaining)
	}
	return nil
}
