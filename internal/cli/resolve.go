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

// Output formats of resolve.
const (
	outputTable = "table"
	outputWide  = "wide"
	outputJSON  = "json"
)

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

The exit code is 0 if every object finds its revision or needs none, 1 if one is Unresolvable or would be
refused, and 2 if the command line is wrong or something cannot be read.

With -o json there is one object per line:
  {"kind","namespace","name","action","reason","revision","tag","version","warnings"}`

const resolveExample = `  # Everything in the cluster of the current context
  router resolve

  # What a change in a Git repository would lead to, without a cluster
  router resolve -f mesh/ -f apps/

  # A rendered chart, in the mesh of a cluster that was saved before
  kubectl get istios,istiorevisions,istiorevisiontags,namespaces -o yaml > mesh.yaml
  helm template shop ./chart -n shop | router resolve -f mesh.yaml -f - -n shop

  # The names of all pods that find no revision
  router resolve -o json | jq -r 'select(.action == "Unresolvable") | .namespace + "/" + .name'`

type resolveOptions struct {
	source sourceOptions
	output string
}

// NewResolveCommand returns the command "resolve".
func NewResolveCommand(streams Streams) *cobra.Command {
	o := resolveOptions{source: sourceOptions{without: []string{"IstioCNI", "ZTunnel"}}}
	cmd := newCommand(streams, cobra.Command{
		Use:     "resolve [-f FILE|DIR ...] [-n NAMESPACE] [-o table|wide|json] [--kubeconfig FILE] [--context NAME]",
		Short:   "Show which revision every pod gets, and why",
		Long:    resolveLong,
		Example: resolveExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	o.source.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", outputTable, "format of the output: table, wide or json")
	return cmd
}

func (o *resolveOptions) run(ctx context.Context, streams Streams) error {
	if !slices.Contains([]string{outputTable, outputWide, outputJSON}, o.output) {
		return usage(fmt.Errorf("unknown output format %q: use -o table, -o wide or -o json", o.output))
	}
	set, err := o.source.read(ctx, streams.In)
	if err != nil {
		return usage(err)
	}
	found := resolve(set, o.source.only())
	if err := o.print(streams, set, found); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if found.refused {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

// print writes the answer to Out. What is worth saying about the input, and in JSON also why something is
// refused, goes to Err, so that the JSON stays one object per line.
func (o *resolveOptions) print(streams Streams, set *manifest.Set, found *resolution) error {
	out, notices := bufio.NewWriter(streams.Out), bufio.NewWriter(streams.Err)
	writeNotices(notices, o.source.notices(set, found))
	var err error
	switch {
	case o.output == outputJSON:
		err = writeJSON(out, found.rows)
		writeLines(notices, found.refusals.lines())
	case len(found.rows) == 0:
		writeLines(notices, []string{"There are no pods, pod templates or Gateways here."})
	case o.output == outputWide:
		err = writeTable(out, found.rows, true)
	default:
		err = writeTable(out, found.rows, false)
		writeBelow(out, found.refusals.lines())
		writeBelow(out, found.warnings.lines())
	}
	return errors.Join(err, out.Flush(), notices.Flush())
}
