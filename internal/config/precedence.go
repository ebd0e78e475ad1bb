package config

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// First is whose label istio.io/rev counts where pod and namespace both have one.
type First string

// The values of [First].
const (
	// NamespaceFirst is Istio's own rule.
	NamespaceFirst First = "Namespace"
	// PodFirst lets a pod leave the revision of its namespace. No webhook of Istio's can, so that it takes forward mode.
	PodFirst First = "Pod"
)

// Precedence is a list of rules, of which the first that selects the namespace counts. In a file, one word instead of
// the list holds for all namespaces.
type Precedence []PrecedenceRule

// PrecedenceRule says whose label counts in some namespaces.
type PrecedenceRule struct {
	// NamespaceSelector is a label selector; without one the rule is for all namespaces.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	Precedence        First                 `json:"precedence"`
}

// UnmarshalJSON reads both forms.
func (p *Precedence) UnmarshalJSON(data []byte) error {
	var word First
	if err := json.Unmarshal(data, &word); err == nil {
		*p = Precedence{{Precedence: word}}
		return nil
	}
	// A decoder of its own is not strict by itself, as the one around it is.
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var rules []PrecedenceRule
	if err := decoder.Decode(&rules); err != nil {
		return fmt.Errorf("precedence: want Namespace, Pod, or a list of rules: %w", err)
	}
	*p = rules
	return nil
}

// rules converts what [Precedence.validate] accepts.
func (p Precedence) rules() routing.Precedence {
	var out routing.Precedence
	for _, rule := range p {
		r := routing.PrecedenceRule{PodFirst: rule.Precedence == PodFirst}
		if rule.NamespaceSelector != nil {
			selector, err := sail.SelectorOf(rule.NamespaceSelector)
			if err != nil {
				continue
			}
			r.Selector = selector
		}
		out = append(out, r)
	}
	return out
}

func (p Precedence) validate() field.ErrorList {
	var errs field.ErrorList
	for n, rule := range p {
		path := field.NewPath("precedence").Index(n)
		if rule.Precedence != NamespaceFirst && rule.Precedence != PodFirst {
			errs = append(errs, field.NotSupported(path.Child("precedence"), rule.Precedence, []First{NamespaceFirst, PodFirst}))
		}
		if rule.NamespaceSelector == nil {
			continue
		}
		if _, err := sail.SelectorOf(rule.NamespaceSelector); err != nil {
			errs = append(errs, field.Invalid(path.Child("namespaceSelector"), rule.NamespaceSelector, err.Error()))
		}
	}
	return errs
}
