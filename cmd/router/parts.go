package main

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
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
