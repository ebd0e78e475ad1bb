package routing

import "slices"

// Operator is how a [Requirement] compares a label; the words are those of Kubernetes label selectors.
type Operator string

// The operators of Kubernetes label selectors.
const (
	OpIn           Operator = "In"
	OpNotIn        Operator = "NotIn"
	OpExists       Operator = "Exists"
	OpDoesNotExist Operator = "DoesNotExist"
)

// Requirement is one condition on a label. A matchLabels entry is OpIn with one value.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string
}

// Selector is a Kubernetes label selector: all requirements have to hold. istiod ignores a selector without
// requirements in never- and alwaysInjectSelector (pkg/kube/inject: !selector.Empty()), so it matches nothing here.
type Selector []Requirement

// Pair is one label of a pod.
type Pair struct{ Key, Value string }

// Matches reports whether labels satisfy every requirement of a selector that has any.
func (s Selector) Matches(labels []Pair) bool {
	for _, r := range s {
		if !r.matches(labels) {
			return false
		}
	}
	return len(s) > 0
}

func (r Requirement) matches(labels []Pair) bool {
	at := slices.IndexFunc(labels, func(p Pair) bool { return p.Key == r.Key })
	switch r.Operator {
	case OpIn:
		return at >= 0 && slices.Contains(r.Values, labels[at].Value)
	case OpNotIn:
		return len(r.Values) > 0 && (at < 0 || !slices.Contains(r.Values, labels[at].Value))
	case OpExists:
		return at >= 0
	case OpDoesNotExist:
		return at < 0
	}
	// An operator that Kubernetes does not know, like NotIn without values, makes istiod drop the whole selector.
	return false
}

func matchesAny(selectors []Selector, labels []Pair) bool {
	for _, s := range selectors {
		if s.Matches(labels) {
			return true
		}
	}
	return false
}
