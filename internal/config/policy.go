// Package config reads the router's policy file: one strict YAML document of kind RouterPolicy.
//
// The file is optional, and so is every field; what is left out has the documented default. What is misspelt is
// an error: a policy that silently means something else is worse than a router that keeps the old one.
package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
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
	// Precedence says in which namespaces a pod's istio.io/rev beats the namespace's; by default in none. It has an
	// effect in forward mode only.
	Precedence Precedence `json:"precedence,omitempty"`
	// Rules sets the level of single rules of version skew and references: Deny, Warn or Off.
	Rules Levels `json:"rules,omitempty"`
	// ControlPlaneVersion says which version of a control plane its data plane has to fit: Running (default), so
	// that components follow once it really runs, or Declared.
	ControlPlaneVersion skew.VersionSource `json:"controlPlaneVersion,omitempty"`
	CNI                 CNI                `json:"cni,omitzero"`
	ZTunnel             ZTunnel            `json:"ztunnel,omitzero"`
	// OperatorServiceAccounts are user names that are warned and never denied. The list replaces the default one.
	OperatorServiceAccounts []string `json:"operatorServiceAccounts,omitempty"`
}

// Levels are levels by rule. Off may be written without quotes, which YAML reads as false.
type Levels map[skew.Rule]skew.Level

// UnmarshalJSON reads the levels.
func (l *Levels) UnmarshalJSON(data []byte) error {
	var raw map[skew.Rule]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*l = make(Levels, len(raw))
	for rule, value := range raw {
		if off, ok := value.(bool); ok && !off {
			value = string(skew.Off)
		}
		(*l)[rule] = skew.Level(fmt.Sprint(value)) // validation names what is no level
	}
	return nil
}

// CNI adjusts the rules about IstioCNI.
type CNI struct {
	// MaxAhead is how many minor versions IstioCNI may be ahead of a control plane where nothing is ambient:
	// 0 (default) or 1.
	MaxAhead int `json:"maxAhead,omitempty"`
}

// ZTunnel adjusts the rules about ZTunnel.
type ZTunnel struct {
	// DrainSeconds is the terminationGracePeriodSeconds from which ZTunnelDrain is silent; 300 by default.
	DrainSeconds int64 `json:"drainSeconds,omitempty"`
}

// Default is the policy without a file.
func Default() RouterPolicy {
	routed, skewed := routing.DefaultPolicy(), skew.DefaultPolicy()
	return RouterPolicy{
		APIVersion:              APIVersion,
		Kind:                    Kind,
		Unresolved:              routed.Unresolved,
		NoMesh:                  routed.NoMesh,
		Precedence:              Precedence{{Precedence: NamespaceFirst}},
		ControlPlaneVersion:     skewed.ControlPlaneVersion,
		CNI:                     CNI{MaxAhead: skewed.CNIMaxAhead},
		ZTunnel:                 ZTunnel{DrainSeconds: skewed.DrainSeconds},
		OperatorServiceAccounts: skewed.OperatorServiceAccounts,
	}
}

// Routing returns the part of the policy that the pod webhook applies.
func (p RouterPolicy) Routing() routing.Policy {
	return routing.Policy{Unresolved: p.Unresolved, NoMesh: p.NoMesh}
}

// NamespacePrecedence returns the part of the policy that flags namespaces for the pod webhook.
func (p RouterPolicy) NamespacePrecedence() routing.Precedence { return p.Precedence.rules() }

// Skew returns the part of the policy that the skew rules apply.
func (p RouterPolicy) Skew() skew.Policy {
	return skew.Policy{
		Levels:                  p.Rules,
		CNIMaxAhead:             p.CNI.MaxAhead,
		ControlPlaneVersion:     p.ControlPlaneVersion,
		OperatorServiceAccounts: p.OperatorServiceAccounts,
		DrainSeconds:            p.ZTunnel.DrainSeconds,
	}
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
	return policy.completed(), nil
}

// completed fills in the defaults of what was left out.
func (p RouterPolicy) completed() RouterPolicy {
	defaults := Default()
	p.Unresolved = cmp.Or(p.Unresolved, defaults.Unresolved)
	p.NoMesh = cmp.Or(p.NoMesh, defaults.NoMesh)
	if p.Precedence == nil {
		p.Precedence = defaults.Precedence
	}
	p.ControlPlaneVersion = cmp.Or(p.ControlPlaneVersion, defaults.ControlPlaneVersion)
	p.ZTunnel.DrainSeconds = cmp.Or(p.ZTunnel.DrainSeconds, defaults.ZTunnel.DrainSeconds)
	if p.OperatorServiceAccounts == nil {
		p.OperatorServiceAccounts = defaults.OperatorServiceAccounts
	}
	return p
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
	errs = append(errs, p.Precedence.validate()...)
	return append(errs, validateSkew(p)...)
}

func validateSkew(p RouterPolicy) field.ErrorList {
	var errs field.ErrorList
	levels := []skew.Level{skew.Deny, skew.Warn, skew.Off}
	rules := ruleNames()
	for _, rule := range slices.Sorted(maps.Keys(p.Rules)) {
		path := field.NewPath("rules").Key(string(rule))
		if !slices.Contains(rules, rule) {
			errs = append(errs, field.NotSupported(path, rule, rules))
		} else if !slices.Contains(levels, p.Rules[rule]) {
			errs = append(errs, field.NotSupported(path, p.Rules[rule], levels))
		}
	}
	sources := []skew.VersionSource{skew.Running, skew.Declared}
	if p.ControlPlaneVersion != "" && !slices.Contains(sources, p.ControlPlaneVersion) {
		errs = append(errs, field.NotSupported(field.NewPath("controlPlaneVersion"), p.ControlPlaneVersion, sources))
	}
	if p.CNI.MaxAhead < 0 || p.CNI.MaxAhead > 1 {
		errs = append(errs, field.Invalid(field.NewPath("cni", "maxAhead"), p.CNI.MaxAhead, "must be 0 or 1"))
	}
	if p.ZTunnel.DrainSeconds < 0 {
		errs = append(errs, field.Invalid(field.NewPath("ztunnel", "drainSeconds"), p.ZTunnel.DrainSeconds, "must not be negative"))
	}
	if len(errs) == 0 {
		// What is left are combinations that the rules themselves know better.
		if err := p.Skew().Validate(); err != nil {
			errs = append(errs, field.Invalid(field.NewPath("rules"), p.Rules, err.Error()))
		}
	}
	return errs
}

func ruleNames() []skew.Rule {
	var names []skew.Rule
	for _, info := range skew.Rules() {
		names = append(names, info.Rule)
	}
	return names
}
