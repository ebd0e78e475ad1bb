package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing/skew"
)

const checkLong = `Show whether writes to a mesh would be admitted, and which rules they violate.

Every object in the files of --change is one write: a creation if the mesh does not have it, else an update,
or with --delete its deletion. They are judged in order, as if kubectl sent one after the other: those that
are admitted count for the next ones as declared, but not as running. So a file that raises Istio, IstioCNI
and ZTunnel at once passes for Istio, and has to be applied again for the others once the new control plane
runs. Objects of kinds that no rule looks at are admitted.

The objects must be whole, as kubectl replace would send them: what they leave out is removed, and a merge
patch is not understood. Their status is not read. To judge a patch, let kubectl apply it locally first, as
in the examples.

With --filename the mesh is read from files and no cluster is needed. The rules look at Istio, IstioRevision,
IstioRevisionTag, IstioCNI, ZTunnel, Namespace, Gateway, GatewayClass, Service, ServiceEntry, WorkloadEntry,
HTTPRoute and AuthorizationPolicy, and at what runs: pods, the Deployments of istiod and the DaemonSets of IstioCNI and ZTunnel, with their
status. Without any status, as in a Git repository, what is declared is taken for what runs. Without
--filename the cluster of the current kubeconfig context is read.

The rules and their levels are those of the webhook with the default policy, or with that of --policy. The
annotation revision-router.io/override: <reason> on an object turns its denials into warnings.

The exit code is 0 if every write is admitted, 1 if one is refused, and 2 if the command line is wrong or
something cannot be read.

With -o json there is one object per write, in order:
  {"allowed":bool,"findings":[{"rule","level","message"}]}`

const checkExample = `  # Would the cluster of the current context admit this?
  router check --change istio.yaml

  # The next version of a control plane
  kubectl get istio default -o yaml |
    kubectl patch -f - --local --type=merge -p '{"spec":{"version":"v1.30.3"}}' -o yaml |
    router check --change -

  # Is a revision tag still used?
  kubectl get istiorevisiontag prod -o yaml | router check --change - --delete

  # A branch of a Git repository against a mesh that was saved before, without a cluster
  kubectl get -A -o yaml istios,istiorevisions,istiorevisiontags,istiocnis,ztunnels,namespaces,gateways,gatewayclasses,httproutes,authorizationpolicies,pods,services,deployments,daemonsets > mesh.yaml
  router check -f mesh.yaml --change mesh/ --policy policy.yaml

  # The rules that refuse something
  router check -f mesh.yaml --change all.yaml -o json | jq -r '.findings[] | select(.level == "Deny") | .rule'`

// checkOutputs are the formats of check.
func checkOutputs() []string {
	return []string{outputTable, outputJSON, outputGitHub, outputGitLab, outputSARIF}
}

type checkOptions struct {
	source  sourceOptions
	changes []string
	delete  bool
	user    string
	policy  string
	output  string
}

// NewCheckCommand returns the command "check".
func NewCheckCommand(streams Streams) *cobra.Command {
	o := checkOptions{source: sourceOptions{purpose: manifest.ForSkew}}
	cmd := newCommand(streams, cobra.Command{
		Use: "check [-f FILE|DIR ...] --change FILE|DIR [--delete] [--as USER] [--policy FILE] [-n NAMESPACE] [--ignore PATTERN] " +
			"[-o table|json|github|gitlab|sarif] [--made-from DIR] " +
			"[--kubeconfig FILE] [--context NAME]",
		Short:   "Show whether writes to the mesh would be admitted, and why not",
		Long:    checkLong,
		Example: checkExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), streams)
		},
	})
	flags := cmd.Flags()
	o.source.addFlags(flags)
	o.source.addMadeFrom(flags)
	flags.Lookup("namespace").Usage = "namespace of objects that name none (default that of the context, or \"default\")"
	flags.StringSliceVar(&o.changes, "change", nil,
		"file or directory of the objects to be written, - for standard input; may be repeated")
	flags.BoolVar(&o.delete, "delete", false, "judge the deletion of the objects instead of writing them")
	flags.StringVar(&o.user, "as", "", "name of the user who writes: operators are warned and never denied")
	flags.StringVar(&o.policy, "policy", "", "file with the RouterPolicy to apply instead of the default one")
	flags.StringVarP(&o.output, "output", "o", outputTable, "format of the output: "+oneOf(checkOutputs()))
	o.source.complete(cmd, checkOutputs())
	offer(cmd, map[string]words{"as": fixed(operators()...)})
	return cmd
}

func (o *checkOptions) run(ctx context.Context, streams Streams) error {
	if err := o.validate(); err != nil {
		return usage(err)
	}
	policy, err := o.readPolicy()
	if err != nil {
		return usage(err)
	}
	a := annotator{command: "check", output: o.output, madeFrom: o.source.madeFrom}
	changes, err := o.readChanges(ctx, streams)
	if err != nil {
		a.unreadable(streams, err)
		return usage(err)
	}
	set, err := o.source.read(ctx, streams.In)
	if err != nil {
		a.unreadable(streams, err)
		return usage(err)
	}
	j := newJudge(set, policy, o)
	for i := range changes.Objects {
		j.judge(&changes.Objects[i])
	}
	j.notices = append(limited(changes.Warnings), j.notices...)
	if err := o.print(streams, j, &a); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if slices.ContainsFunc(j.answers, func(a answer) bool { return !a.allowed() }) {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

func (o *checkOptions) validate() error {
	switch {
	case !slices.Contains(checkOutputs(), o.output):
		return unknownOutput(o.output, checkOutputs())
	case len(o.changes) == 0:
		return errors.New("there is nothing to judge: name the files of the objects to be written with --change")
	case slices.Contains(o.changes, manifest.Stdin) && slices.Contains(o.source.files, manifest.Stdin):
		return errors.New("--filename and --change both ask for standard input, which can be read only once")
	}
	return o.source.validate()
}

func (o *checkOptions) readPolicy() (skew.Policy, error) {
	policy, err := readPolicy(o.policy)
	return policy.Skew(), err
}

// readPolicy reads a policy file, and is the default policy where none is named.
func readPolicy(file string) (config.RouterPolicy, error) {
	if file == "" {
		return config.Default(), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return config.RouterPolicy{}, fmt.Errorf("reading the policy: %w", err)
	}
	policy, err := config.Parse(data)
	if err != nil {
		return config.RouterPolicy{}, fmt.Errorf("reading the policy %s: %w", file, err)
	}
	return policy, nil
}

func (o *checkOptions) readChanges(ctx context.Context, streams Streams) (*manifest.Set, error) {
	namespace, err := o.source.defaultNamespace()
	if err != nil {
		return nil, err
	}
	changes, err := manifest.ReadChanges(ctx, manifest.Options{
		Paths: o.changes, Input: streams.In, Namespace: namespace, Fields: annotates(o.output), Ignore: o.source.ignore,
	})
	if err != nil {
		return nil, err
	}
	if len(changes.Objects) == 0 {
		return nil, errors.New("the files of --change hold no objects")
	}
	for i := range changes.Objects {
		// What is written is compared with what is there, whether or not anything else needs it.
		o.source.whole = append(o.source.whole, changes.Objects[i].Kind)
	}
	return changes, nil
}
