package routing_test

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestExplainTag(t *testing.T) {
	old := routing.Revision{Name: "old", Version: "v1.29.6", Origin: routing.Sail, Istio: "default", Order: 1}
	away := routing.Revision{Name: "next", Version: "v1.30.3", Origin: routing.Sail, Istio: "default", Order: 2, Unroutable: routing.NoEndpoints}
	tag := routing.Tag{Name: "prod", Origin: routing.Sail, TargetKind: "IstioRevision", TargetName: "next", Target: "next", Revision: "old"}
	lost := tag
	lost.Revision, lost.Target = "gone", ""
	for name, tc := range map[string]struct {
		objects routing.Objects
		want    string
	}{
		"where it should lead": {
			routing.Objects{Revisions: []routing.Revision{old}, Tags: []routing.Tag{tag}},
			"the tag prod leads to revision old (v1.29.6)",
		},
		"held back": {
			routing.Objects{Mode: routing.Forward, Revisions: []routing.Revision{old, away}, Tags: []routing.Tag{tag}},
			"the tag prod leads to revision old (v1.29.6), as the last good one: its target, revision next (v1.30.3), takes no pods " +
				"(its injector has no ready endpoint)",
		},
		"nowhere to be held back": {
			routing.Objects{Mode: routing.Forward, Revisions: []routing.Revision{away}, Tags: []routing.Tag{tag}},
			"the tag prod leads to no revision that takes pods: revision next (v1.30.3), takes no pods (its injector has no ready " +
				"endpoint), and no earlier revision of it does",
		},
		"nowhere": {
			routing.Objects{Revisions: []routing.Revision{old}, Tags: []routing.Tag{lost}},
			"the tag prod leads to no revision: it points at the revision gone that does not exist",
		},
		"no such tag": {routing.Objects{Revisions: []routing.Revision{old}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := routing.ExplainTag(routing.NewMesh(tc.objects), "prod")
			if got != tc.want || strings.HasSuffix(got, ".") {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
