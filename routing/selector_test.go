package routing_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestSelectorMatches(t *testing.T) {
	need := func(key string, op routing.Operator, values ...string) routing.Requirement {
		return routing.Requirement{Key: key, Operator: op, Values: values}
	}
	of := func(rs ...routing.Requirement) routing.Selector { return rs }
	labels := []routing.Pair{{Key: "app", Value: "web"}, {Key: "tier", Value: ""}}
	cases := map[string]struct {
		selector routing.Selector
		labels   []routing.Pair
		want     bool
	}{
		"In holds for one of the values":            {of(need("app", routing.OpIn, "db", "web")), labels, true},
		"In fails for another value":                {of(need("app", routing.OpIn, "db")), labels, false},
		"In fails for a label that is absent":       {of(need("zone", routing.OpIn, "")), labels, false},
		"In holds for an empty value":               {of(need("tier", routing.OpIn, "")), labels, true},
		"NotIn fails for one of the values":         {of(need("app", routing.OpNotIn, "db", "web")), labels, false},
		"NotIn holds for another value":             {of(need("app", routing.OpNotIn, "db")), labels, true},
		"NotIn holds for a label that is absent":    {of(need("zone", routing.OpNotIn, "a")), labels, true},
		"Exists holds for an empty value":           {of(need("tier", routing.OpExists)), labels, true},
		"Exists fails for a label that is absent":   {of(need("zone", routing.OpExists)), labels, false},
		"DoesNotExist holds for an absent label":    {of(need("zone", routing.OpDoesNotExist)), labels, true},
		"DoesNotExist fails for an empty value":     {of(need("tier", routing.OpDoesNotExist)), labels, false},
		"keys and values are compared as they are":  {of(need("App", routing.OpExists)), labels, false},
		"an operator that is not known never holds": {of(need("app", "in", "web")), labels, false},
		"every requirement has to hold": {
			of(need("app", routing.OpIn, "web"), need("zone", routing.OpExists)), labels, false,
		},
		"all of several requirements hold": {
			of(need("app", routing.OpIn, "web"), need("zone", routing.OpDoesNotExist)), labels, true,
		},
		"a selector without requirements matches nothing": {of(), labels, false},
		"a pod without labels":                            {of(need("app", routing.OpDoesNotExist)), nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.selector.Matches(tc.labels); got != tc.want {
				t.Errorf("matches: %t, want %t", got, tc.want)
			}
		})
	}
}
