package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/rest"

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
				StaleSince: s.StaleSince, Lag: s.Lag,
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

// newSource follows the mesh. The gate is told of each snapshot; it is nil in guard mode, where Istio's webhooks have to
// be there.
func (s shared) newSource() (*mesh.Source, *overlapGate, error) {
	options := mesh.Options{
		Config: s.api, Log: s.log.WithName("mesh"),
		Mode: s.options.Forward.mode(), Excluded: s.options.Forward.Excluded,
		Precedence: s.policy.Policy().NamespacePrecedence(),
	}
	var gate *overlapGate
	if options.Mode == routing.Forward {
		gate = &overlapGate{log: s.log.WithName("mesh")}
		options.OnPublish = func(*routing.Mesh, mesh.Stats) { gate.published() }
	}
	source, err := mesh.New(options)
	if err != nil {
		return nil, nil, fmt.Errorf("watching the mesh: %w", err)
	}
	if gate != nil {
		gate.overlaps, gate.mesh = source.Overlaps, source.Mesh
		s.policy.OnChange(func(p config.RouterPolicy) { source.SetPrecedence(p.NamespacePrecedence()) })
	}
	return source, gate, nil
}

// newPodRouter serves the pod webhook.
func (s shared) newPodRouter(source *mesh.Source, recorder *metrics.Recorder, tell notices) (*webhook.PodRouter, error) {
	forwarding, err := s.newForwarding(source)
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
		Notify:     tell.pod,
		Forwarding: forwarding,
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	return webhook.NewPodRouter(options), nil
}

// newHandlers makes what answers reviews, serves it, and returns what has to run for it.
func (s shared) newHandlers(
	source *mesh.Source, recorder *metrics.Recorder, server webhook.Registrar,
) ([]func(context.Context) error, error) {
	tell, err := s.newNotices(source)
	if err != nil {
		return nil, err
	}
	pods, err := s.newPodRouter(source, recorder, tell)
	if err != nil {
		return nil, err
	}
	inventory, err := s.newInventory()
	if err != nil {
		return nil, err
	}
	changes, follow, err := s.newChangeValidator(inventory, recorder.ServedChange, tell)
	if err != nil {
		return nil, err
	}
	if err := s.registerMesh(source, inventory); err != nil {
		return nil, err
	}
	pods.Register(server)
	changes.Register(server)
	return []func(context.Context) error{follow, tell.start}, nil
}

// registrant is what serves webhooks.
type registrant interface {
	Register(server webhook.Registrar)
}

// none serves nothing.
type none struct{}

func (none) Register(webhook.Registrar) {}

// newInventory follows what runs; nil where changes are not judged, which are what it may be read for. It has no part in
// readiness: a router that may not list pods, say, still routes them, and refuses changes with what is missing.
func (s shared) newInventory() (*mesh.Skew, error) {
	if !s.options.Changes {
		return nil, nil //nolint:nilnil // nothing is followed
	}
	source, err := mesh.NewSkew(mesh.SkewOptions{Config: s.api, Log: s.log.WithName("inventory")})
	if err != nil {
		return nil, fmt.Errorf("watching what runs: %w", err)
	}
	return source, nil
}

// newChangeValidator serves the validating webhooks; start follows what they need to know.
func (s shared) newChangeValidator(
	inventory *mesh.Skew, served func(time.Duration, int), tell notices,
) (_ registrant, start func(context.Context) error, _ error) {
	if inventory == nil {
		return none{}, idle, nil
	}
	recorder, err := metrics.NewChangeRecorder(s.registry)
	if err != nil {
		return nil, nil, err
	}
	return webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh:     inventory,
		Policy:   func() skew.Policy { return s.policy.Policy().Skew() },
		Recorder: recorder,
		Log:      s.log.WithName("changes"),
		Served:   served,
		Notify:   tell.change,
		Now:      time.Now,
	}), inventory.Start, nil
}

// idle is a part that has nothing to do.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
