package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

// outputMarkdown is for change requests.
const outputMarkdown = "markdown"

const planLong = `Show the ordered steps from a mesh as it is to another version of Istio, or why there are none.

A step is what a person does: a write of Istio, IstioCNI or ZTunnel, new labels, a tag that is moved, a restart.
Each comes with its command, with what to wait for before the next one, and with what takes it back. Between
two steps stands what goes on by itself, and the plan waits for it: a control plane that rolls out, tags and
waypoints that follow it, an old revision that the operator deletes.

Every step is judged by the rules of the webhook in the state that the steps before it lead to, and no order
that they admit is shorter. So a plan goes through the minor versions in between where a control plane is
updated in place, or where IstioCNI or ZTunnel would fit no version otherwise, and mends what is wrong with the
mesh where that is in the way. A version that is lower than the present one is a plan of the way back.

--strategy uses another update strategy than the Istio has so far. --tag has the namespaces, Gateways and pods that
name a revision name a revision tag instead, which is created where it does not exist. --drain says what becomes of
connections through ZTunnel: grace gives them time, ondelete has every node emptied first. Without it ZTunnel stays
as it is configured.

The versions to go through are the newest patches of those that --available lists, or else that the Istio
CustomResourceDefinition of the cluster or the files allows. Where neither is known they are aliases, such as
v1.29-latest, and the output says so.

With --filename the mesh is read from files and no cluster is needed; without, the cluster of the current
kubeconfig context is read. Nothing is ever written.

The exit code is 0 if there is a plan, 1 if there is none, and 2 if the command line is wrong or something cannot
be read. -o json is documented in docs/spec.md. The commands are for bash. On a terminal the cells of the table are
broken into lines where it is wider than the screen, or than COLUMNS.`

const planExample = `  # From what the current cluster has
  router plan --to v1.30.3

  # For the change request
  router plan --to v1.30.3 -o markdown > change.md

  # A second control plane, namespaces that name the tag prod, and nodes that are drained
  router plan --to v1.30.3 --strategy RevisionBased --tag prod --drain ondelete

  # A mesh that was saved before, without a cluster
  kubectl get -A -o yaml istios,istiorevisions,istiorevisiontags,istiocnis,ztunnels,namespaces,gateways,gatewayclasses,httproutes,authorizationpolicies,pods,services,deployments,daemonsets > mesh.yaml
  router plan -f mesh.yaml --to v1.28.5 --available v1.25.5,v1.26.8,v1.27.9,v1.28.5

  # The first step alone
  router plan --to v1.30.3 -o json | jq -r '.steps[0].command'`

// planOutputs are the formats of plan.
func planOutputs() []string { return []string{outputTable, outputJSON, outputMarkdown} }

type planOptions struct {
	source    sourceOptions
	to        string
	istio     string
	strategy  string
	tag       string
	drain     string
	available []string
	policy    string
	output    string
}

// NewPlanCommand returns the command "plan".
func NewPlanCommand(streams Streams) *cobra.Command {
	o := planOptions{source: sourceOptions{purpose: manifest.ForSkew}}
	cmd := newCommand(streams, cobra.Command{
		Use: "plan --to VERSION [-f FILE|DIR ...] [--istio NAME] [--strategy InPlace|RevisionBased] [--tag NAME] [--drain grace|ondelete] " +
			"[--available VERSION,...] [--policy FILE] [-n NAMESPACE] [--ignore PATTERN] [-o table|json|markdown] [--kubeconfig FILE] [--context NAME]",
		Short:   "Show the steps to another version of Istio, each with its command",
		Long:    planLong,
		Example: planExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	flags := cmd.Flags()
	o.source.addFlags(flags)
	flags.Lookup("namespace").Usage = "with --filename, the namespace of objects that name none (default \"default\")"
	flags.StringVar(&o.to, "to", "", "version to bring the mesh to, such as v1.30.3")
	flags.StringVar(&o.istio, "istio", "", "name of the Istio, where there are several")
	flags.StringVar(&o.strategy, "strategy", "", "update strategy to use: InPlace or RevisionBased (default that of the Istio)")
	flags.StringVar(&o.tag, "tag", "", "revision tag to name instead of revisions")
	flags.StringVar(&o.drain, "drain", "", "how ZTunnel is replaced: grace or ondelete (default as it is configured)")
	flags.StringSliceVar(&o.available, "available", nil, "versions that the operator offers (default those of the CustomResourceDefinition)")
	flags.StringVar(&o.policy, "policy", "", "file with the RouterPolicy to apply instead of the default one")
	flags.StringVarP(&o.output, "output", "o", outputTable, "format of the output: "+oneOf(planOutputs()))
	o.source.complete(cmd, planOutputs())
	offer(cmd, map[string]words{
		"to": o.versions, "available": o.versions, "istio": o.source.names("Istio"), "tag": o.source.names("IstioRevisionTag"),
		"strategy": fixed(string(skew.InPlace), string(skew.RevisionBased)),
		"drain":    fixed(string(plan.DrainGrace), string(plan.DrainOnDelete)),
	})
	return cmd
}

func (o *planOptions) run(ctx context.Context, streams Streams) error {
	if err := o.validate(); err != nil {
		return usage(err)
	}
	policy, err := readPolicy(o.policy)
	if err != nil {
		return usage(err)
	}
	seen, err := o.read(ctx, streams.In)
	if err != nil {
		return usage(err)
	}
	found, err := plan.New(plan.Request{
		Mesh: seen.mesh, Policy: policy.Skew(), To: o.to, Istio: o.istio, Strategy: skew.Strategy(o.strategy), Tag: o.tag,
		Drain: plan.Drain(o.drain), Available: seen.available,
	})
	if err != nil {
		return usage(err)
	}
	if err := o.print(streams, found, seen); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if !found.Possible {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

func (o *planOptions) validate() error {
	switch {
	case !slices.Contains(planOutputs(), o.output):
		return unknownOutput(o.output, planOutputs())
	case o.to == "":
		return errors.New("there is no version to plan for: name one with --to, such as --to v1.30.3")
	case !slices.Contains([]string{"", string(skew.InPlace), string(skew.RevisionBased)}, o.strategy):
		return fmt.Errorf("unknown strategy %q: use --strategy InPlace or --strategy RevisionBased", o.strategy)
	case !slices.Contains([]string{"", string(plan.DrainGrace), string(plan.DrainOnDelete)}, o.drain):
		return fmt.Errorf("unknown way to drain %q: use --drain grace or --drain ondelete", o.drain)
	}
	return o.source.validate()
}

func (o *planOptions) print(streams Streams, found *plan.Plan, seen *planSight) error {
	out, notices := bufio.NewWriter(streams.Out), bufio.NewWriter(streams.Err)
	writeNotices(notices, seen.notices)
	p := planPrinter{out: out, plan: found, screen: screenOf(streams.Out)}
	p.assumptions = append(slices.Clone(found.Assumptions), seen.assumptions...)
	var err error
	switch o.output {
	case outputJSON:
		err = p.json()
	case outputMarkdown:
		p.markdown()
	default:
		err = p.table()
	}
	return errors.Join(err, out.Flush(), notices.Flush())
}
