package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
)

// sourceOptions say where a command takes its objects from: files, or a cluster.
type sourceOptions struct {
	files      []string
	namespace  string
	kubeconfig string
	context    string
	// purpose is what the command needs the objects for.
	purpose manifest.Purpose
	// precedence flags namespaces.
	precedence routing.Precedence
	// whole are kinds of which all objects are needed from a cluster, and not only those that matter to the rest.
	whole []string
	// without are kinds that the command does not need from a cluster.
	without []string
	// pageSize is how many objects are asked for at a time; 0 means the default.
	pageSize int
	// fields: the lines of fields are needed.
	fields bool
	// ignore are patterns of what is passed over in directories.
	ignore []string
	// madeFrom is the directory that standard input was made from.
	madeFrom string
}

func (o *sourceOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&o.files, "filename", "f", nil,
		"file or directory of manifests to read instead of a cluster, - for standard input; may be repeated")
	flags.StringSliceVar(&o.ignore, "ignore", nil,
		"names or paths to leave out of directories, such as values*.yaml or apps/**/tests; may be repeated")
	flags.StringVarP(&o.namespace, "namespace", "n", "",
		"with --filename, the namespace of objects that name none (default \"default\"); otherwise the only namespace to show")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "path of the kubeconfig file for the cluster to read")
	flags.StringVar(&o.context, "context", "", "context of the kubeconfig to use")
}

// addMadeFrom is for commands that name files and lines.
func (o *sourceOptions) addMadeFrom(flags *pflag.FlagSet) {
	flags.StringVar(&o.madeFrom, "made-from", "",
		"directory that standard input was made from, a Helm chart or what kustomize built: annotations then name the files in it")
}

// validate finds what is wrong with the flags.
func (o *sourceOptions) validate() error {
	if err := manifest.Ignore(o.ignore).Validate(); err != nil {
		return fmt.Errorf("--ignore: %w", err)
	}
	return nil
}

// read returns everything there is, from the files or the cluster.
func (o *sourceOptions) read(ctx context.Context, in io.Reader) (*manifest.Set, error) {
	if !o.offline() {
		return o.readCluster(ctx)
	}
	for _, flag := range []struct{ name, value string }{{"--kubeconfig", o.kubeconfig}, {"--context", o.context}} {
		if flag.value != "" {
			return nil, fmt.Errorf("%s asks for a cluster and --filename for files: leave one of them out", flag.name)
		}
	}
	return manifest.Read(ctx, manifest.Options{
		Paths: o.files, Input: in, Namespace: o.namespace, Purpose: o.purpose, Precedence: o.precedence, Fields: o.fields, Ignore: o.ignore,
	})
}

func (o *sourceOptions) offline() bool { return len(o.files) > 0 }

// only is the namespace to which the answer is limited; empty for all. Files are always shown as a whole.
func (o *sourceOptions) only() string {
	if o.offline() {
		return ""
	}
	return o.namespace
}

// maxNotices bounds how many warnings about the input are spelt out.
const maxNotices = 20

// notices are the lines worth saying about the input.
func (o *sourceOptions) notices(set *manifest.Set, found *resolution) []string {
	lines := limited(set.Warnings)
	if !o.offline() {
		return lines
	}
	for _, name := range found.unknownNamespaces {
		lines = append(lines, unknownNamespace(name))
	}
	if len(found.rows) > 0 && set.Mesh.Empty() {
		lines = append(lines, noRevision)
	}
	return lines
}

const noRevision = "no revision of Istio is in the files: " +
	"add the Istio, IstioRevision and IstioRevisionTag objects, or Istio's injector webhook configurations"

func unknownNamespace(name string) string {
	return "namespace " + name + " is in none of the files: taken as unlabelled"
}

func limited(lines []string) []string {
	if len(lines) > maxNotices {
		return append(lines[:maxNotices:maxNotices], fmt.Sprintf("and %d more", len(lines)-maxNotices))
	}
	return lines
}
