package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing/skew"
)

// planSight is the mesh with what the operator offers.
type planSight struct {
	mesh        *skew.Mesh
	available   []string
	assumptions []string
	notices     []string
}

// istioCRD is the CustomResourceDefinition whose enum of spec.version is what the installed operator accepts.
const istioCRD = "istios.sailoperator.io"

const fromCRD = "the versions to go through are the newest that the CustomResourceDefinition of Istio allows: it goes on to list those " +
	"that have reached their end of life, which the operator may no longer install"

func (o *planOptions) read(ctx context.Context, in io.Reader) (*planSight, error) {
	var typed []byte
	if slices.Contains(o.source.files, manifest.Stdin) && in != nil {
		var err error
		if typed, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
	}
	set, err := o.source.read(ctx, bytes.NewReader(typed))
	if err != nil {
		return nil, err
	}
	seen := &planSight{mesh: set.SkewMesh(), available: o.available, notices: limited(set.Warnings)}
	if len(o.available) > 0 {
		return seen, nil
	}
	if o.source.offline() {
		seen.available, err = o.versionsInFiles(typed)
	} else {
		seen.available, err = o.versionsInCluster(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(seen.available) > 0 {
		seen.assumptions = append(seen.assumptions, fromCRD)
	}
	return seen, nil
}

// versionsInCluster asks for the CustomResourceDefinition. Who may not read it is none the worse for it: what the
// operator offers is then not known, and the plan says so.
func (o *planOptions) versionsInCluster(ctx context.Context) ([]string, error) {
	client, err := o.source.client()
	if err != nil {
		return nil, err
	}
	raw, err := client.Get().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+istioCRD).
		SetHeader("Accept", "application/json").Do(ctx).Raw()
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the CustomResourceDefinition %s: %w", istioCRD, err)
	}
	return versionsOf(raw)
}

// versionsInFiles looks for the CustomResourceDefinition in the files.
func (o *planOptions) versionsInFiles(typed []byte) ([]string, error) {
	var found []string
	look := func(data []byte) error {
		if !bytes.Contains(data, []byte(istioCRD)) {
			return nil
		}
		versions, err := versionsOf(data)
		found = append(found, versions...)
		return err
	}
	for _, path := range o.source.files {
		if path == manifest.Stdin {
			if err := look(typed); err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			continue
		}
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json", ".jsonl"}, filepath.Ext(file)) && file != path {
				return err
			}
			data, err := os.ReadFile(file) //nolint:gosec // what the user names is read, with what it links to
			if err != nil {
				return err
			}
			if err := look(data); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("looking for the CustomResourceDefinition of Istio: %w", err)
		}
	}
	return found, nil
}

// crdVersions is the part of a CustomResourceDefinition that lists what spec.version may be.
type crdVersions struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Items []crdVersions `json:"items"`
	Spec  struct {
		Versions []struct {
			Served bool `json:"served"`
			Schema struct {
				OpenAPI struct {
					Properties struct {
						Spec struct {
							Properties struct {
								Version struct {
									Enum []string `json:"enum"`
								} `json:"version"`
							} `json:"properties"`
						} `json:"spec"`
					} `json:"properties"`
				} `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// versionsOf reads the enum from documents of YAML or JSON. Other objects may have any other shape.
func versionsOf(data []byte) ([]string, error) {
	const lookAhead = 4096
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), lookAhead)
	for {
		var raw crdVersions
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
		for _, crd := range append(raw.Items, raw) {
			if crd.Kind == "CustomResourceDefinition" && crd.Metadata.Name == istioCRD {
				for _, v := range crd.Spec.Versions {
					if v.Served {
						return v.Schema.OpenAPI.Properties.Spec.Properties.Version.Enum, nil
					}
				}
			}
		}
	}
}
