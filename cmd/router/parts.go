package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/webhook"
)

// newRecorder registers every metric of the process.
func newRecorder(registry *prometheus.Registry, source *mesh.Source) (*metrics.Recorder, error) {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of the process: %w", err)
		}
	}
	build := currentVersion()
	state := metrics.State{
		Snapshot: func() metrics.Snapshot {
			s := source.Stats()
			return metrics.Snapshot{
				Generation: s.Generation, Made: s.PublishedAt,
				Revisions: s.Revisions, Tags: s.Tags, Namespaces: s.Namespaces,
			}
		},
		Now:   time.Now,
		Build: metrics.Build{Version: build.version, Commit: build.commit, GoVersion: build.goVersion},
	}
	if err := state.Register(registry); err != nil {
		return nil, err
	}
	return metrics.NewRecorder(registry)
}

// shared is what the parts of the process have in common.
type shared struct {
	api      *rest.Config
	options  Options
	policy   *config.Store
	registry *prometheus.Registry
	log      logr.Logger
}

// newPodRouter serves the pod webhook.
func (s shared) newPodRouter(source *mesh.Source) (*webhook.PodRouter, error) {
	recorder, err := newRecorder(s.registry, source)
	if err != nil {
		return nil, err
	}
	options := webhook.PodRouterOptions{
		Meshes:     source,
		Namespaces: source,
		Policy:     func() routing.Policy { return s.policy.Policy().Routing() },
		Recorder:   recorder,
		Log:        s.log.WithName("pods"),
		Now:        time.Now,
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	return webhook.NewPodRouter(options), nil
}

// registrant is what serves webhooks.
type registrant interface {
	Register(server webhook.Registrar)
}

// none serves nothing.
type none struct{}

func (none) Register(webhook.Registrar) {}

// newChangeValidator serves the validating webhooks; start follows what they need to know. It has no part in
// readiness: a router that may not list pods, say, still routes them, and refuses changes with what is missing.
func (s shared) newChangeValidator() (_ registrant, start func(context.Context) error, _ error) {
	if !s.options.Changes {
		return none{}, idle, nil
	}
	source, err := mesh.NewSkew(mesh.SkewOptions{Config: s.api, Log: s.log.WithName("inventory")})
	if err != nil {
		return nil, nil, fmt.Errorf("watching what runs: %w", err)
	}
	recorder, err := metrics.NewChangeRecorder(s.registry)
	if err != nil {
		return nil, nil, err
	}
	return webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh:     source,
		Policy:   func() skew.Policy { return s.policy.Policy().Skew() },
		Recorder: recorder,
		Log:      s.log.WithName("changes"),
	}), source.Start, nil
}

// idle is a part that has nothing to do.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// newCertificates keeps the CA in its Secret, a leaf in memory, and the CA bundle in our webhook configurations.
func (s shared) newCertificates() (*secretca.Manager, error) {
	client, err := kubernetes.NewForConfig(s.api)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	dns, ips := s.options.servingNames()
	return secretca.New(secretca.Options{
		Client:                          client,
		Namespace:                       s.options.Namespace,
		SecretName:                      s.options.CASecret,
		DNSNames:                        dns,
		IPs:                             ips,
		MutatingWebhookConfigurations:   s.options.MutatingWebhooks,
		ValidatingWebhookConfigurations: s.options.ValidatingWebhooks,
		Clock:                           clock.RealClock{},
		Log:                             s.log.WithName("certs"),
	})
}
