package main

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/internal/cli"
	"github.com/revision-router/revision-router/internal/config"
)

func newServeCommand(streams cli.Streams) *cobra.Command {
	var options Options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the webhook server",
		Long: `Run the webhook server: watch the mesh, keep a CA and the CA bundles, and answer the API server's reviews.

Every replica serves. On SIGTERM it becomes unready, goes on serving for --drain-delay, then stops.`,
		Example: `  # In a pod, as the Helm chart runs it
  router serve --namespace=revision-router --policy=/etc/revision-router/policy.yaml

  # On your own machine, for webhooks that are called by URL
  router serve --kubeconfig=$HOME/.kube/config --webhook-host=127.0.0.1 --tls-san=127.0.0.1

  # The same in forward mode, with 'kubectl -n istio-system port-forward svc/istiod 15017:443' beside it
  router serve --kubeconfig=$HOME/.kube/config --webhook-host=127.0.0.1 --tls-san=127.0.0.1 \
    --mode=forward --connect-to=istiod.istio-system.svc:443=127.0.0.1:15017`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.Validate(); err != nil {
				return fmt.Errorf("%w\nSee 'router serve --help'", err)
			}
			log, err := newLogger(streams.Err, options)
			if err != nil {
				return err
			}
			return run(cmd.Context(), options, log)
		},
	}
	options.AddFlags(cmd.Flags())
	return cmd
}

// run serves until ctx is done. Top to bottom is the order of start-up.
func run(ctx context.Context, o Options, log logr.Logger) error {
	api, err := restConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	policy, err := config.NewStore(o.Policy, log.WithName("policy"))
	if err != nil {
		return err
	}
	common := shared{api: api, options: o, policy: policy, registry: prometheus.NewRegistry(), log: log}
	source, gate, err := common.newSource()
	if err != nil {
		return err
	}
	certificates, err := common.newCertificates()
	if err != nil {
		return err
	}
	recorder, err := newRecorder(common.registry, source)
	if err != nil {
		return err
	}
	serving, err := common.newServing(servingParts{certificates, source, gate, recorder.Panicked})
	if err != nil {
		return err
	}
	handling, err := common.newHandlers(source, recorder, serving.server)
	if err != nil {
		return err
	}

	log.Info("starting", "version", currentVersion().version, "commit", currentVersion().commit, "port", o.WebhookPort,
		"mode", o.Forward.Mode)
	return runAll(ctx, serving.drain, append(handling,
		serving.server.Start, serving.registration.Start, serving.followClients,
		source.Start, certificates.Start, policy.Start,
		httpServer(o.HealthAddress, serving.healthHandler()), httpServer(o.MetricsAddress, metricsHandler(common.registry)),
	)...)
}

// runAll runs the parts in one group: the first that fails ends the process, and the kubelet starts another. When
// ctx is done the parts go on for the length of the drain.
func runAll(ctx context.Context, drain *drain, parts ...func(context.Context) error) error {
	group, groupCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(groupCtx)
	defer stop()
	for _, part := range parts {
		group.Go(func() error { return part(serving) })
	}
	group.Go(func() error {
		defer stop()
		select {
		case <-ctx.Done():
			drain.wait(groupCtx)
		case <-groupCtx.Done():
		}
		return nil
	})
	return group.Wait()
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	api, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the API server (give --kubeconfig outside a cluster): %w", err)
	}
	// A router asks for little and all at once, at start and after an outage; the API server's own fairness is
	// what limits it.
	api.QPS = -1
	return api, nil
}
