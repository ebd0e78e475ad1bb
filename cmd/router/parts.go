package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
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

// newChangeValidator serves the validating webhooks. start follows what they need to know. It has no part in
// readiness: a router that may not list pods, say, still routes them, and refuses changes with what is missing.
func newChangeValidator(
	api *rest.Config, policy *config.Store, registry *prometheus.Registry, log logr.Logger,
) (_ *webhook.ChangeValidator, start func(context.Context) error, _ error) {
	source, err := mesh.NewSkew(mesh.SkewOptions{Config: api, Log: log.WithName("inventory")})
	if err != nil {
		return nil, nil, fmt.Errorf("watching what runs: %w", err)
	}
	recorder, err := metrics.NewChangeRecorder(registry)
	if err != nil {
		return nil, nil, err
	}
	validator := webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh:     source,
		Policy:   func() skew.Policy { return policy.Policy().Skew() },
		Recorder: recorder,
		Log:      log.WithName("changes"),
	})
	return validator, source.Start, nil
}

// idle is a part that has nothing to do.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// newCertificates keeps the CA in its Secret, a leaf in memory, and the CA bundle in our webhook configurations.
func newCertificates(api *rest.Config, o Options, log logr.Logger) (*secretca.Manager, error) {
	client, err := kubernetes.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	dns, ips := o.servingNames()
	return secretca.New(secretca.Options{
		Client:                          client,
		Namespace:                       o.Namespace,
		SecretName:                      o.CASecret,
		DNSNames:                        dns,
		IPs:                             ips,
		MutatingWebhookConfigurations:   o.MutatingWebhooks,
		ValidatingWebhookConfigurations: o.ValidatingWebhooks,
		Clock:                           clock.RealClock{},
		Log:                             log,
	})
}
