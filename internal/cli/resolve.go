package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/internal/manifest"
)

// Modes of the router, as its flags name them.
const (
	modeGuard   = "guard"
	modeForward = "forward"
)

// Output formats of resolve.
const (
	outputTable = "table"
	outputWide  = "wide"
	outputJSON  = "json"
)

// resolveOutputs are the formats of resolve.
func resolveOutputs() []string {
	return []string{outputTable, outputWide, outputJSON, outputGitHub, outputGitLab, outputSARIF}
}

const resolveLong = `Show which revision of Istio every pod gets, and why.

Pods are shown as well as what makes pods: Deployments, StatefulSets, DaemonSets, ReplicaSets,
ReplicationControllers, Jobs and CronJobs, each by its pod template, and Gateways of Istio's classes
(gateway.networking.k8s.io) by the revision that looks after them. ReplicaSets that a Deployment keeps
at zero are left out.

With --filename everything is read from files and no cluster is needed: the pods as well as the
namespaces and the Istio, IstioRevision and IstioRevisionTag objects (or the injector webhook
configurations of Istio without the Sail Operator). Of objects that are given twice the last one counts.
Objects without a status, as in a Git repository, stand for what the Sail Operator would make of them:
what is declared, not what runs. Without --filename the cluster of the current kubeconfig context is read.

With --mode=forward the answer is that of a router that injects by itself: a tag then means its target, once that takes
pods, and rollouts and the precedence of --policy count. Which revision takes pods is read from EndpointSlices. Files
that hold none of a control plane leave it open, and every revision is taken to have a ready injector.

The exit code is 0 if every object finds its revision or needs none, 1 if one is Unresolvable or would be
refused, and 2 if the command line is wrong or something cannot be read.

With -o json there is one object per line:
  {"kind","namespace","name","action","reason","revision","tag","version","warnings"}
and with --mode=forward also "followed", where a rollout or the last good revision decided.`

const resolveExample = `  # Everything in the cluster of the current context
  router resolve

  # What a change in a Git repository would lead to, without a cluster
  router resolve -f mesh/ -f apps/

  # A rendered chart, in the mesh of a cluster that was saved before
  kubectl get istios,istiorevisions,istiorevisiontags,namespaces -o yaml > mesh.yaml
  helm template shop ./chart -n shop | router resolve -f mesh.yaml -f - -n shop

  # Where a rollout sends the workloads of a cluster
  router resolve --mode=forward

  # The names of all pods that find no revision
  router resolve -o json | jq -r 'select(.action == "Unresolvable") | .namespace + "/" + .name'`

type resolveOptions struct {
	source sourceOptions
	output string
	mode   string
	policy string
}

// NewResolveCommand returns the command "resolve".
func NewResolveCommand(streams Streams) *cobra.Command {
	o := resolveOptions{source: sourceOptions{without: []string{"IstioCNI", "ZTunnel"}}}
	cmd := newCommand(streams, cobra.Command{
		Use:     "resolve [-f FILE|DIR ...] [-n NAMESPACE] [--ignore PATTERN] [-o table|wide|json|github|gitlab|sarif] [--made-from DIR] [--mode guard|forward] [--policy FILE] [--kubeconfig FILE] [--context NAME]",
		Short:   "Show which revision every pod gets, and why",
		Long:    resolveLong,
		Example: resolveExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	flags := cmd.Flags()
	o.source.addFlags(flags)
	o.source.addMadeFrom(flags)
	flags.StringVarP(&o.output, "output", "o", outputTable, "format of the output: "+oneOf(resolveOutputs()))
	flags.StringVar(&o.mode, "mode", modeGuard, "who injects: guard (Istio's own webhooks) or forward (the router)")
	flags.StringVar(&o.policy, "policy", "", "file with the RouterPolicy to apply instead of the default one")
	o.source.complete(cmd, resolveOutputs())
	return cmd
}

func (o *resolveOptions) run(ctx context.Context, streams Streams) error {
	if err := o.validate(); err != nil {
		return usage(err)
	}
	if o.mode == modeForward {
		o.source.purpose = manifest.ForForwarding
	}
	policy, err := readPolicy(o.policy)
	if err != nil {
		return usage(err)
	}
	o.source.precedence = policy.NamespacePrecedence()
	a := annotator{command: "resolve", output: o.output, madeFrom: o.source.madeFrom}
	o.source.fields = annotates(o.output)
	set, err := o.source.read(ctx, streams.In)
	if err != nil {
		a.unreadable(streams, err)
		return usage(err)
	}
	found := resolver{set: set, policy: policy.Routing(), places: o.source.fields}.resolve(o.source.only())
	if err := o.print(streams, set, found, &a); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if found.refused {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

func (o *resolveOptions) validate() error {
	switch {
	case !slices.Contains(resolveOutputs(), o.output):
		return unknownOutput(o.output, resolveOutputs())
	case o.mode != modeGuard && o.mode != modeForward:
		return fmt.Errorf("unknown mode %q: use --mode=%s or --mode=%s", o.mode, modeGuard, modeForward)
	case annotates(o.output) && !o.source.offline():
		return fmt.Errorf("-o %s names files and lines, which a cluster has not: name files with --filename, or use -o table, wide or json", o.output)
	}
	return o.source.validate()
}

// columns are those of the table.
func (o *resolveOptions) columns(wide bool) tableColumns {
	return tableColumns{wide: wide, followed: o.mode == modeForward}
}

// print writes the answer to Out. What is worth saying about the input, and in JSON also why something is
// refused, goes to Err, so that the JSON stays one object per line.
func (o *resolveOptions) print(streams Streams, set *manifest.Set, found *resolution, a *annotator) error {
	out, notices := bufio.NewWriter(streams.Out), bufio.NewWriter(streams.Err)
	writeNotices(notices, o.source.notices(set, found))
	var err error
	switch {
	case annotates(o.output):
		err = a.write(Streams{Out: out, Err: notices}, len(found.rows), found.mentions.results(a))
	case o.output == outputJSON:
		err = writeJSON(out, found.rows)
		writeLines(notices, found.refusals.lines())
	case len(found.rows) == 0:
		writeLines(notices, []string{"There are no pods, pod templates or Gateways here."})
	case o.output == outputWide:
		err = writeTable(out, found.rows, o.columns(true))
	default:
		err = writeTable(out, found.rows, o.columns(false))
		writeBelow(out, found.refusals.lines())
		writeBelow(out, found.warnings.lines())
	}
	return errors.Join(err, out.Flush(), notices.Flush())
}
