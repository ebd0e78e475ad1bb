package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/migrate"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing/skew"
)

const migrateLong = `Restart the workloads that wait for a restart, a wave at a time, and wait for each of them.

These are the workloads that router status lists: a tag has moved, labels were changed, or their revision was
updated in place, so that their pods would come out with another sidecar now. A restart is that of
kubectl rollout restart, for Deployments, StatefulSets and DaemonSets. What cannot be restarted like that, such as
Jobs, pods without a controller, paused Deployments and the strategy OnDelete, is told and left alone.

Before a workload is restarted, a pod of its template is created as a dry run: it has to be admitted, and to come out
with the sidecar that is expected. PodDisruptionBudgets are kept: a workload whose rollout could take more pods away
than its budgets allow at that moment has to wait, and so have workloads that share a budget. One whose maxUnavailable
is more than a budget can ever allow is left. Control planes that still roll out are waited for.

The first wave has one workload, the others up to --max-parallel. A wave is over when every workload of it has rolled
out and all its pods have the sidecar. If one fails, nothing more is restarted. --timeout is how long a rollout may
make no progress, and how long workloads that have to wait are waited for when nothing else is left.

Ctrl-C stops it: rollouts that are under way go on by themselves. The same command goes on later: what is done is not
done again, and what is under way is waited for.

As with kubectl, it is about the namespace of the kubeconfig context unless --namespace or --all-namespaces is
given. Mesh and pods are read in all namespaces, as by router status. -o json is documented in docs/spec.md.

The exit code is 0 if nothing that was selected waits for a restart any more, 1 if something failed or is left, and 2
if the command line is wrong, something cannot be read, or a permission is missing; then nothing was restarted.`

const migrateExample = `  # What would be restarted, in which wave
  router migrate -A --dry-run

  # One namespace, then all of them
  router migrate -n bookinfo
  router migrate -A --max-parallel 10

  # Only what follows the tag prod, of one team
  router migrate -A --tag prod -l team=payments

  # Only what still runs one revision, or one version
  router migrate -A --from default-v1-29-6
  router migrate -A --from v1.29.6 --to v1.30.3`

type migrateOptions struct {
	status statusOptions
	// namespace is the one that is meant, all means all of them.
	namespace   string
	all         bool
	tag         string
	from, to    string
	selector    string
	maxParallel int
	timeout     time.Duration
	dryRun      bool
	output      string
	clock       clock.Clock
	interval    time.Duration
}

const (
	// defaultParallel is few enough to watch, and enough for a mesh of hundreds of workloads in an afternoon.
	defaultParallel = 4
	// defaultRolloutTimeout is the progress deadline that a Deployment has by default.
	defaultRolloutTimeout = 10 * time.Minute
	// migrateInterval: a look at each rollout under way is one small request.
	migrateInterval = time.Second
)

// NewMigrateCommand returns the command "migrate".
func NewMigrateCommand(streams Streams, now clock.Clock) *cobra.Command {
	o := &migrateOptions{clock: now, interval: migrateInterval}
	o.status.source = sourceOptions{purpose: manifest.ForSkew, without: []string{"Pod"}}
	cmd := newCommand(streams, cobra.Command{
		Use: "migrate [-n NAMESPACE | -A] [-l SELECTOR] [--tag TAG] [--from REVISION|VERSION] [--to REVISION|VERSION] [--max-parallel N] " +
			"[--timeout DURATION] [--dry-run] [-o table|json] [--mode guard|forward] [--policy FILE] [--kubeconfig FILE] [--context NAME]",
		Short:   "Restart what still runs an old revision or version, a wave at a time",
		Long:    migrateLong,
		Example: migrateExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	cmd.Args = noArguments
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the workloads (default that of the kubeconfig context)")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "workloads of all namespaces")
	flags.StringVarP(&o.selector, "selector", "l", "", "only workloads with these labels, such as -l app=cart,tier!=cache")
	flags.StringVar(&o.tag, "tag", "", "only workloads that follow this revision tag")
	flags.StringVar(&o.from, "from", "", "only workloads with pods of this revision or version")
	flags.StringVar(&o.to, "to", "", "only workloads that would get this revision or version")
	flags.IntVar(&o.maxParallel, "max-parallel", defaultParallel, "how many workloads are restarted at a time, after the first one")
	flags.DurationVar(&o.timeout, "timeout", defaultRolloutTimeout, "how long a rollout may make no progress")
	flags.BoolVar(&o.dryRun, "dry-run", false, "tell what would be done in which wave, and change nothing")
	flags.StringVarP(&o.output, "output", "o", outputTable, "format of the output: table or json")
	flags.StringVar(&o.status.mode, "mode", modeGuard, "who injects: guard (Istio's own webhooks) or forward (the router)")
	flags.StringVar(&o.status.policy, "policy", "", "file with the RouterPolicy to apply instead of the default one")
	flags.StringVar(&o.status.source.kubeconfig, "kubeconfig", "", "path of the kubeconfig file for the cluster")
	flags.StringVar(&o.status.source.context, "context", "", "context of the kubeconfig to use")
	return cmd
}

func (o *migrateOptions) run(ctx context.Context, streams Streams) error {
	selector, err := o.validate()
	if err != nil {
		return usage(err)
	}
	policy, err := readPolicy(o.status.policy)
	if err != nil {
		return usage(err)
	}
	o.status.source.precedence = policy.NamespacePrecedence()
	runner, err := o.runner(streams, policy.Skew())
	if err != nil {
		return usage(err)
	}
	show := newMigratePrinter(streams, o)
	runner.Labels, runner.Tell = selector, show.event
	counts, err := runner.Run(ctx)
	if err = errors.Join(err, show.err); err != nil {
		return usage(err)
	}
	if counts.Done < counts.Total {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

func (o *migrateOptions) validate() (labels.Selector, error) {
	switch {
	case !slices.Contains([]string{outputTable, outputJSON}, o.output):
		return nil, fmt.Errorf("unknown output format %q: use -o table or json", o.output)
	case o.status.mode != modeGuard && o.status.mode != modeForward:
		return nil, fmt.Errorf("unknown mode %q: use --mode=%s or --mode=%s", o.status.mode, modeGuard, modeForward)
	case o.all && o.namespace != "":
		return nil, errors.New("--namespace is one and --all-namespaces are all of them: leave one of the two out")
	case o.maxParallel < 1:
		return nil, fmt.Errorf("--max-parallel=%d restarts nothing: use 1 or more", o.maxParallel)
	case o.timeout <= 0:
		return nil, fmt.Errorf("--timeout=%s gives no rollout any time: use one such as 10m", o.timeout)
	}
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	return selector, nil
}

// runner connects to the cluster.
func (o *migrateOptions) runner(streams Streams, policy skew.Policy) (*migrate.Runner, error) {
	if !o.all {
		source := o.status.source
		source.namespace = o.namespace
		var err error
		if o.namespace, err = source.defaultNamespace(); err != nil {
			return nil, err
		}
	}
	client, err := o.connect()
	if err != nil {
		return nil, err
	}
	return &migrate.Runner{
		Cluster:     &migrate.Cluster{Client: client},
		Read:        o.reader(streams, policy),
		Clock:       o.clock,
		Selection:   migrate.Selection{Namespace: o.namespace, Tag: o.tag, From: o.from, To: o.to},
		MaxParallel: o.maxParallel, Timeout: o.timeout, Interval: o.interval, DryRun: o.dryRun,
	}, nil
}

func (o *migrateOptions) connect() (kubernetes.Interface, error) {
	if _, err := o.status.source.client(); err != nil {
		return nil, err // which tells more than what follows
	}
	config, err := o.status.source.kubeconfigured().ClientConfig()
	if err != nil {
		return nil, explainKubeconfig(err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // one request follows the other
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return client, nil
}

// reader returns what reads the mesh. The first time it says what there is to say, and refuses names that lead nowhere.
func (o *migrateOptions) reader(streams Streams, policy skew.Policy) func(context.Context) (*status.Report, error) {
	first := true
	return func(ctx context.Context) (*status.Report, error) {
		seen, err := o.status.read(ctx, nil)
		if err != nil {
			return nil, err
		}
		report := status.New(status.Input{Mesh: seen.mesh, Skew: seen.skew, Pods: seen.pods, Policy: policy, Overlaps: seen.overlaps})
		if !first {
			return report, nil
		}
		first = false
		for _, line := range seen.notices {
			fmt.Fprintln(streams.Err, "warning: "+visible(line))
		}
		return report, o.known(seen, report)
	}
}

// known refuses what does not exist: a name that is misspelt would select nothing, and look like success.
func (o *migrateOptions) known(seen *sight, r *status.Report) error {
	var namespaces, tags []string
	for _, n := range seen.skew.Namespaces {
		namespaces = append(namespaces, n.Name)
	}
	for i := range r.Tags {
		tags = append(tags, r.Tags[i].Name)
	}
	switch {
	case !o.all && !slices.Contains(namespaces, o.namespace):
		return fmt.Errorf("namespace %s does not exist; for those there are, kubectl get namespaces", o.namespace)
	case o.tag != "" && len(tags) == 0:
		return fmt.Errorf("there is no revision tag %s, and no other one: leave --tag out", o.tag)
	case o.tag != "" && !slices.Contains(tags, o.tag):
		return fmt.Errorf("there is no revision tag %s; the mesh has %s", o.tag, strings.Join(tags, ", "))
	}
	return nil
}
