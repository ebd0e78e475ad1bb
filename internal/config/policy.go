// Package config reads the router's policy file: one strict YAML document of kind RouterPolicy.
//
// The file is optional, and so is every field; what is left out has the documented default. What is misspelt is
// an error: a policy that silently means something else is worse than a router that keeps the old one.
package config

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/routing"
)

// The group, version and kind that a policy file names.
const (
	APIVersion = "revision-router.io/v1alpha1"
	Kind       = "RouterPolicy"
)

// RouterPolicy is the policy file.
type RouterPolicy struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Unresolved is what happens to a pod that asks for a sidecar from a revision that cannot be found: Deny
	// (default) or Warn.
	Unresolved routing.Level `json:"unresolved,omitempty"`
	// NoMesh is the same for a cluster without any revision: Warn (default) or Deny.
	NoMesh routing.Level `json:"noMesh,omitempty"`
}

// Default is the policy without a file.
func Default() RouterPolicy {
	routed := routing.DefaultPolicy()
	return RouterPolicy{
		APIVersion: APIVersion,
		Kind:       Kind,
		Unresolved: routed.Unresolved,
		NoMesh:     routed.NoMesh,
	}
}

// Routing returns the part of the policy that the pod webhook applies.
func (p RouterPolicy) Routing() routing.Policy {
	return routing.Policy{Unresolved: p.Unresolved, NoMesh: p.NoMesh}
}

// Parse reads a policy document. Unknown and duplicate fields are errors.
func Parse(data []byte) (RouterPolicy, error) {
	// Start from nothing and fill in later, so that a missing apiVersion or kind is noticed.
	var policy RouterPolicy
	if err := yaml.UnmarshalStrict(data, &policy); err != nil {
		return RouterPolicy{}, fmt.Errorf("not a %s document: %w", Kind, err)
	}
	if err := validate(policy).ToAggregate(); err != nil {
		return RouterPolicy{}, err
	}
	defaults := Default()
	if policy.Unresolved == "" {
		policy.Unresolved = defaults.Unresolved
	}
	if policy.NoMesh == "" {
		policy.NoMesh = defaults.NoMesh
	}
	return policy, nil
}

func validate(p RouterPolicy) field.ErrorList {
	var errs field.ErrorList
	if p.APIVersion != APIVersion {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), p.APIVersion, []string{APIVersion}))
	}
	if p.Kind != Kind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), p.Kind, []string{Kind}))
	}
	for _, level := range []struct {
		path  string
		value routing.Level
	}{{"unresolved", p.Unresolved}, {"noMesh", p.NoMesh}} {
		known := []routing.Level{"", routing.Deny, routing.Warn}
		if !slices.Contains(known, level.value) {
			errs = append(errs, field.NotSupported(field.NewPath(level.path), level.value, known[1:]))
		}
	}
	return errs
}
