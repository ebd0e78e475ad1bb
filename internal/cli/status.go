package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/status"
)

// Output formats of status besides those of resolve.
const (
	outputYAML = "yaml"
	outputHTML = "html"
)

const statusLong = `Show a mesh as it is: what is declared and what runs, what is wrong, and what is left to do.

First comes what is wrong, with the command that helps: versions further apart than the policy allows, tags,
labels and waypoints that lead nowhere, pods that ask for a sidecar and have none. Then the revisions with who
uses them; the revision tags, where they lead and how many of their workloads are there; IstioCNI and ZTunnel,
declared and running; Gateways and waypoints; workloads for each revision and version; and the workloads that
wait for a restart, because a tag has moved, labels were changed or their revision was updated in place.

Pods that are about to end are left out, and so are those that have ended. A workload that is half restarted
counts for both versions.

Without --filename the cluster of the current kubeconfig context is read. With it, objects are read from files
as a cluster gave them; those without a status stand for what is declared. --namespace limits what is told of
workloads and Gateways. --watch goes on and shows every change, on a terminal in place.

With --mode=forward the mesh is that of a router that injects by itself: the status then also tells which revisions
take pods, which of them a tag leads to and why, how far the rollouts of tags have got, and which webhooks of Istio's
are in the way.

-o html writes one page that needs nothing else, to be kept with a change request. -o json and -o yaml are
documented in docs/spec.md. On a terminal, colours go by NO_COLOR, and cells are broken into lines where a table is
wider than the screen, or than COLUMNS, but for -o wide.

The exit code is 0 if nothing is wrong, 1 if there is an error, such as skew or a label that leads nowhere (a
warning or a restart to be done is none), and 2 if the command line is wrong or something cannot be read.`

const statusExample = `  # The cluster of the current context
  router status

  # Watch an upgrade
  router status -w

  # A page for the change request
  router status -o html > mesh.html

  # Restart what waits for it, after having read it
  router status -o json | jq -r '.restartCommands[]'

  # A mesh that was saved before, without a cluster
  kubectl get -A -o yaml istios,istiorevisions,istiorevisiontags,istiocnis,ztunnels,namespaces,gateways,gatewayclasses,httproutes,authorizationpolicies,pods,services,deployments,daemonsets,mutatingwebhookconfigurations > mesh.yaml
  router status -f mesh.yaml`

// statusOutputs are the formats of status.
func statusOutputs() []string {
	return []string{outputTable, outputWide, outputJSON, outputYAML, outputHTML}
}

type statusOptions struct {
	source    sourceOptions
	policy    string
	mode      string
	output    string
	watch     bool
	noHeaders bool
	// interval is how often what is not a pod is read again while watching.
	interval time.Duration
	clock    clock.WithTicker
}

// statusInterval keeps a watch from asking an API server more than a person at a terminal would notice. The kinds that
// are read again are few and small; pods are followed.
const statusInterval = 2 * time.Second

// NewStatusCommand returns the command "status". The clock tells when a page was made.
func NewStatusCommand(streams Streams, now clock.WithTicker) *cobra.Command {
	return newStatusCommand(streams, &statusOptions{clock: now, interval: statusInterval})
}

func newStatusCommand(streams Streams, o *statusOptions) *cobra.Command {
	o.source = sourceOptions{purpose: manifest.ForSkew, without: []string{"Pod"}} // pods are read on their own
	cmd := newCommand(streams, cobra.Command{
		Use: "status [-f FILE|DIR ...] [-n NAMESPACE] [--ignore PATTERN] [-o table|wide|json|yaml|html] [-w] [--no-headers] [--mode guard|forward] [--policy FILE] " +
			"[--kubeconfig FILE] [--context NAME]",
		Short:   "Show versions, skew, and what an upgrade still has to do",
		Long:    statusLong,
		Example: statusExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	flags := cmd.Flags()
	o.source.addFlags(flags)
	flags.StringVarP(&o.output, "output", "o", outputTable, "format of the output: "+oneOf(statusOutputs()))
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on, and show every change of the cluster")
	flags.BoolVar(&o.noHeaders, "no-headers", false, "leave out the headers of the tables")
	flags.StringVar(&o.mode, "mode", modeGuard, "who injects: guard (Istio's own webhooks) or forward (the router)")
	flags.StringVar(&o.policy, "policy", "", "file with the RouterPolicy to apply instead of the default one")
	o.source.complete(cmd, statusOutputs())
	return cmd
}

func (o *statusOptions) run(ctx context.Context, streams Streams) error {
	if err := o.validate(); err != nil {
		return usage(err)
	}
	policy, err := readPolicy(o.policy)
	if err != nil {
		return usage(err)
	}
	o.source.precedence = policy.NamespacePrecedence()
	show := &statusPrinter{options: o, streams: streams, policy: policy.Skew(), screen: screenOf(streams.Out)}
	if o.watch {
		return o.follow(ctx, show)
	}
	seen, err := o.read(ctx, streams.In)
	if err != nil {
		return usage(err)
	}
	return show.once(seen)
}

func (o *statusOptions) validate() error {
	switch {
	case !slices.Contains(statusOutputs(), o.output):
		return unknownOutput(o.output, statusOutputs())
	case o.mode != modeGuard && o.mode != modeForward:
		return fmt.Errorf("unknown mode %q: use --mode=%s or --mode=%s", o.mode, modeGuard, modeForward)
	case o.watch && o.source.offline():
		return errors.New("--watch follows a cluster, and files do not change: leave out --watch or --filename")
	case o.watch && o.output == outputHTML:
		return errors.New("--watch shows every change, and a page is of one moment: use -o table, wide, json or yaml with --watch")
	}
	return o.source.validate()
}

// ended is the exit code for a report.
func ended(r *status.Report) error {
	if r.Summary.Healthy {
		return nil
	}
	return ExitError{Code: ExitRefused}
}

// from names what was read, for the page.
func (o *statusOptions) from() string {
	if o.source.offline() {
		return "files"
	}
	raw, err := o.source.kubeconfigured().RawConfig()
	if err != nil {
		return ""
	}
	return cmp.Or(o.source.context, raw.CurrentContext)
}
