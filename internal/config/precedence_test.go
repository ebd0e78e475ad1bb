package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/routing"
)

func TestPrecedence(t *testing.T) {
	const head = "apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\n"
	everywhere := func(pod bool) routing.Precedence { return routing.Precedence{{PodFirst: pod}} }
	cases := map[string]struct {
		text string
		want routing.Precedence
		err  string // a part of it
	}{
		"left out":            {"", everywhere(false), ""},
		"one word: Pod":       {"precedence: Pod", everywhere(true), ""},
		"one word: Namespace": {"precedence: Namespace", everywhere(false), ""},
		"rules, in their order": {
			"precedence:\n- namespaceSelector: {matchLabels: {team: a}}\n  precedence: Pod\n" +
				"- namespaceSelector: {matchExpressions: [{key: legacy, operator: Exists}]}\n  precedence: Namespace\n- precedence: Pod\n",
			routing.Precedence{
				{Selector: routing.Selector{{Key: "team", Operator: routing.OpIn, Values: []string{"a"}}}, PodFirst: true},
				{Selector: routing.Selector{{Key: "legacy", Operator: routing.OpExists}}},
				{PodFirst: true},
			},
			"",
		},
		"an empty list":                             {"precedence: []", nil, ""},
		"another word":                              {"precedence: pod", nil, `precedence[0].precedence: Unsupported value: "pod"`},
		"a rule without a word":                     {"precedence:\n- namespaceSelector: {}", nil, `precedence[0].precedence: Unsupported value: ""`},
		"a field that does not exist":               {"precedence:\n- {precedence: Pod, selector: {}}", nil, `unknown field "selector"`},
		"a field of a selector that does not exist": {"precedence:\n- {precedence: Pod, namespaceSelector: {labels: {}}}", nil, `unknown field "labels"`},
		"a number":                                  {"precedence: 1", nil, "want Namespace, Pod, or a list of rules"},
		"a selector that is not valid": {
			"precedence:\n- {precedence: Pod, namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}}", nil,
			"precedence[0].namespaceSelector",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := config.Parse([]byte(head + tc.text + "\n"))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, p.NamespacePrecedence()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
