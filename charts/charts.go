// Package charts carries the Helm chart of the router and renders it with a helm binary.
//
// Tests, the demo and the end-to-end tests install what this package renders, so that the selectors, names and
// timeouts under test are the ones that ship:
//
//	objects, err := charts.Objects(ctx, charts.Options{Helm: helm, Args: []string{"--set", "replicaCount=1"}})
//
// Nothing that runs in a cluster imports it.
package charts

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Name is the name of the chart, and the release and namespace that [Options] stand for when they name none.
const Name = "revision-router"

// all: takes _helpers.tpl and .helmignore along, whose names embed would otherwise leave out.
//
//go:embed all:revision-router
var files embed.FS

// FS returns the chart's files below the folder [Name].
func FS() embed.FS { return files }

// Unpack writes the chart into dir and returns the path of its folder, for the commands of Helm that [Render] does
// not cover.
func Unpack(dir string) (string, error) {
	chart, err := fs.Sub(files, Name)
	if err != nil {
		return "", fmt.Errorf("open the embedded chart: %w", err)
	}
	path := filepath.Join(dir, Name)
	if err := os.CopyFS(path, chart); err != nil {
		return "", fmt.Errorf("unpack the chart: %w", err)
	}
	return path, nil
}

// Options say what to render, and with what.
type Options struct {
	// Helm is the path of a helm binary, version 3 or 4.
	Helm string
	// Release and Namespace are where the chart would be installed; empty means [Name].
	Release, Namespace string
	// Args are further arguments of helm template: --set, --values, --kube-version and so on.
	Args []string
}

// Render returns what helm template prints, byte for byte. No cluster is asked.
func Render(ctx context.Context, o Options) ([]byte, error) {
	dir, err := os.MkdirTemp("", "chart-")
	if err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	manifest, err := render(ctx, o, dir)
	return manifest, errors.Join(err, os.RemoveAll(dir))
}

func render(ctx context.Context, o Options, dir string) ([]byte, error) {
	chart, err := Unpack(dir)
	if err != nil {
		return nil, err
	}
	args := append([]string{"template", or(o.Release), chart, "--namespace", or(o.Namespace)}, o.Args...)
	//nolint:gosec // the caller names the binary on purpose
	cmd := exec.CommandContext(ctx, o.Helm, args...)
	// The user's plugins, repositories and settings must not change what is rendered.
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+dir, "HELM_CACHE_HOME="+dir, "HELM_DATA_HOME="+dir,
		"HELM_PLUGINS="+filepath.Join(dir, "plugins"), "HELM_DEBUG=false")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("helm template: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

func or(name string) string {
	if name == "" {
		return Name
	}
	return name
}

// Objects renders the chart and returns its objects in the order in which Helm prints them.
func Objects(ctx context.Context, o Options) ([]*unstructured.Unstructured, error) {
	manifest, err := Render(ctx, o)
	if err != nil {
		return nil, err
	}
	return Decode(manifest)
}

// Decode reads a rendered manifest. A key that appears twice in one map is an error: YAML lets the last one win, and
// that is never what a template meant.
func Decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	var objects []*unstructured.Unstructured
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("split the manifest into documents: %w", err)
		}
		data, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, fmt.Errorf("decode document %d of the manifest: %w", len(objects)+1, err)
		}
		if string(data) == "null" {
			continue // nothing but comments
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("decode document %d of the manifest: %w", len(objects)+1, err)
		}
		objects = append(objects, object)
	}
}
