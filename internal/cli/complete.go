package cli

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/manifest"
)

const (
	// completionTime is how long somebody waits who has pressed the tab key. What is not known by then is not offered.
	completionTime = 2 * time.Second
	// completionLimit is how many names are asked for: nobody reads more.
	completionLimit = 500
)

// words are what a flag can be given; none where it cannot be told.
type words func(ctx context.Context) []string

func fixed(list ...string) words { return func(context.Context) []string { return list } }

// complete has the shell offer what can follow a flag. Flags with files are left to the shell.
func (o *sourceOptions) complete(cmd *cobra.Command, outputs []string) {
	offer(cmd, map[string]words{
		"output":    fixed(outputs...),
		"mode":      fixed(modeGuard, modeForward),
		"namespace": o.names("Namespace"),
		"context":   o.contexts,
	})
	offerNothing(cmd, "ignore")
	// A file can be called anything, and a directory is read as well: the shell's own completion offers both.
	for _, name := range []string{"kubeconfig", "policy", "filename", "change"} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, fileNames) // fails only where it is registered already
		}
	}
	if cmd.Flags().Lookup("made-from") != nil {
		_ = cmd.MarkFlagDirname("made-from")
	}
}

func fileNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// offer registers words for those of the flags that the command has.
func offer(cmd *cobra.Command, flags map[string]words) {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		list := flags[name]
		_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
			defer cancel()
			return list(ctx), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// offerNothing keeps the shell from offering files where none are meant.
func offerNothing(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		offer(cmd, map[string]words{name: fixed()})
	}
}

// contexts are those of the kubeconfig.
func (o *sourceOptions) contexts(context.Context) []string {
	raw, err := o.kubeconfigured().RawConfig()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(raw.Contexts))
}

// names are those of all objects of a kind, in the files or the cluster that the command line has named so far.
func (o *sourceOptions) names(kind string) words {
	return func(ctx context.Context) []string {
		var found []string
		var err error
		if o.offline() {
			found, err = o.namesInFiles(ctx, kind)
		} else {
			found, err = o.namesInCluster(ctx, kind)
		}
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
			return nil
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
}

func (o *sourceOptions) namesInFiles(ctx context.Context, kind string) ([]string, error) {
	files := slices.DeleteFunc(slices.Clone(o.files), func(file string) bool { return file == manifest.Stdin })
	set, err := manifest.Read(ctx, manifest.Options{Paths: files, Purpose: manifest.ForSkew, Ignore: o.ignore})
	if err != nil {
		return nil, err
	}
	var found []string
	for i := range set.Objects {
		switch object := &set.Objects[i]; {
		case object.Kind == kind:
			found = append(found, object.Name)
		case kind == "Namespace" && object.Namespace != "":
			found = append(found, object.Namespace)
		}
	}
	return found, nil
}

func (o *sourceOptions) namesInCluster(ctx context.Context, kind string) ([]string, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	for _, resource := range manifest.Resources(manifest.ForSkew) {
		if resource.Kind != kind {
			continue
		}
		raw, err := client.Get().AbsPath(resource.Path("")).Param("limit", strconv.Itoa(completionLimit)).
			SetHeader("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json").Do(ctx).Raw()
		if err != nil {
			return nil, explainList(list{resource: resource}, err)
		}
		var answer struct {
			Items []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"items"`
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return nil, err
		}
		found := make([]string, len(answer.Items))
		for i := range answer.Items {
			found[i] = answer.Items[i].Metadata.Name
		}
		return found, nil
	}
	return nil, nil
}

// versions are those that the operator offers, the newest first.
func (o *planOptions) versions(ctx context.Context) []string {
	var found []string
	var err error
	if o.source.offline() {
		found, err = o.versionsInFiles(nil)
	} else {
		found, err = o.versionsInCluster(ctx)
	}
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
		return nil
	}
	return found
}

// operators are the users who are warned and never denied by default.
func operators() []string { return config.Default().Skew().OperatorServiceAccounts }
