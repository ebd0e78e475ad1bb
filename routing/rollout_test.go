package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestParseRollout(t *testing.T) {
	cases := map[string]struct {
		want routing.Rollout
		err  string // a part of it
	}{
		"default-v1-30-3=10":                 {want: routing.Rollout{Revision: "default-v1-30-3", Percent: 10}},
		"x=0":                                {want: routing.Rollout{Revision: "x", Percent: 0}},
		"x=100":                              {want: routing.Rollout{Revision: "x", Percent: 100}},
		"":                                   {err: `want "<revision>=<percent>"`},
		"x":                                  {err: `want "<revision>=<percent>"`},
		"=10":                                {err: "no revision is named"},
		"x y=10":                             {err: `"x y" is no name of a revision`},
		strings.Repeat("x", 64) + "=10":      {err: "is no name of a revision"},
		"x=":                                 {err: "whole number from 0 to 100"},
		"x=101":                              {err: "whole number from 0 to 100"},
		"x=-1":                               {err: "whole number from 0 to 100"},
		"x=+1":                               {err: "whole number from 0 to 100"},
		"x=010":                              {err: "whole number from 0 to 100"},
		"x=10%":                              {err: "whole number from 0 to 100"},
		"x=10.5":                             {err: "whole number from 0 to 100"},
		"x= 10":                              {err: "whole number from 0 to 100"},
		"x=10,y=20":                          {err: "whole number from 0 to 100"},
		"x=1=0":                              {err: "whole number from 0 to 100"},
		"x=999999999999999999999":            {err: "whole number from 0 to 100"},
		"x=" + strings.Repeat("1", 1<<16):    {err: "whole number from 0 to 100"},
		"\x00=10":                            {err: "is no name of a revision"},
		strings.Repeat("\xff", 1<<16) + "=1": {err: "is no name of a revision"},
	}
	for value, tc := range cases {
		t.Run(value[:min(len(value), 40)], func(t *testing.T) {
			got, err := routing.ParseRollout(value)
			switch {
			case tc.err == "" && err != nil:
				t.Fatal(err)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Fatalf("error %v, want one with %q", err, tc.err)
			case err != nil && len(err.Error()) > 400:
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
			if err == nil && got.String() != value {
				t.Errorf("written as %q, want %q", got.String(), value)
			}
		})
	}
}

// The vectors of docs/spec.md, computed by another program: the function may never change.
func TestSlotIsTheSpecifiedOne(t *testing.T) {
	for in, want := range slotVectors() {
		if got := routing.Slot(in[0], in[1], routing.Workload{Kind: in[2], Name: in[3]}); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

// workloads are as many as a large mesh has, named as people do.
func workloads(n int) [][2]string {
	all := make([][2]string, n)
	for i := range n {
		all[i] = [2]string{fmt.Sprintf("team-%d", i%100), fmt.Sprintf("service-%d", i/100)}
	}
	return all
}

// routed is the revision that each workload gets from the tag prod, by namespace and name.
func routed(t *testing.T, m *routing.Mesh, all [][2]string) map[[2]string]string {
	t.Helper()
	out := make(map[[2]string]string, len(all))
	for _, w := range all {
		d := routing.Decide(routing.Input{
			Mesh: m, Namespace: routing.Namespace{Name: w[0], Revision: present("prod")},
			Pod: routing.Pod{Workload: routing.Workload{Kind: "Deployment", Name: w[1]}},
		})
		if d.Action != routing.Inject {
			t.Fatalf("%s/%s is decided %+v", w[0], w[1], d)
		}
		out[w] = d.Revision
	}
	return out
}

func rolloutMesh(percent int) *routing.Mesh {
	return forwardMesh([]routing.Revision{minor("old", 29), minor("next", 30)}, rolling(aimed("prod", "old", "old"), "next", percent))
}

// TestSharesHold checks every percentage: within two of what was asked for over 10,000 workloads, exact at both ends,
// and no workload ever goes back when the percentage is raised.
func TestSharesHold(t *testing.T) {
	all := workloads(10_000)
	before := map[[2]string]string{}
	worst, moved := 0.0, 0
	for percent := range 101 {
		now := routed(t, rolloutMesh(percent), all)
		count := 0
		for w, r := range now {
			if r == "next" {
				count++
			}
			if before[w] == "next" && r != "next" {
				t.Errorf("%v went back to %s at %d %%", w, r, percent)
			}
			if before[w] != "" && before[w] != r {
				moved++
			}
		}
		reached := float64(count) * 100 / float64(len(all))
		off := max(reached-float64(percent), float64(percent)-reached)
		worst = max(worst, off)
		if off > 2 || (percent == 0 || percent == 100) && off != 0 {
			t.Errorf("%d %% asked for, %.2f %% reached", percent, reached)
		}
		before = now
	}
	if moved != len(all) {
		t.Errorf("%d moves from 0 to 100 %%, want each of %d workloads once", moved, len(all))
	}
	t.Logf("101 percentages of %d workloads, at most %.2f points off, %d moves", len(all), worst, moved)
}

// TestRolloutStepsMoveTowardsTheNewRevision is the usual way: 10, 25, 50, 100, then the target moves, then the
// annotation goes. Nobody goes back at any step, and a rollback moves only those that had moved.
func TestRolloutStepsMoveTowardsTheNewRevision(t *testing.T) {
	revisions := []routing.Revision{minor("old", 29), minor("next", 30)}
	steps := []struct {
		name string
		tag  routing.Tag
	}{
		{"no rollout", aimed("prod", "old", "old")},
		{"10 %", rolling(aimed("prod", "old", "old"), "next", 10)},
		{"25 %", rolling(aimed("prod", "old", "old"), "next", 25)},
		{"50 %", rolling(aimed("prod", "old", "old"), "next", 50)},
		{"100 %", rolling(aimed("prod", "old", "old"), "next", 100)},
		{"the target moved", rolling(aimed("prod", "next", "old"), "next", 100)},
		{"the operator followed", rolling(aimed("prod", "next", "next"), "next", 100)},
		{"the annotation is gone", aimed("prod", "next", "next")},
	}
	all := workloads(10_000)
	before := map[[2]string]string{}
	for _, step := range steps {
		now := routed(t, forwardMesh(append([]routing.Revision(nil), revisions...), step.tag), all)
		moved := 0
		for w, r := range now {
			if before[w] == "next" && r != "next" {
				t.Errorf("%s: %v went back", step.name, w)
			}
			if r != before[w] && before[w] != "" {
				moved++
			}
		}
		t.Logf("%s: %d of %d workloads moved", step.name, moved, len(all))
		before = now
	}
	for w, r := range before {
		if r != "next" {
			t.Fatalf("%v ends on %s", w, r)
		}
	}
}

// Who is in the share does not depend on the revision, so that the target of a rollout can be replaced.
func TestAnotherRevisionOfTheRolloutMovesOnlyTheShare(t *testing.T) {
	all := workloads(10_000)
	revisions := []routing.Revision{minor("old", 29), minor("next", 30), minor("fixed", 31)}
	before := routed(t, rolloutMesh(25), all)
	after := routed(t, forwardMesh(revisions, rolling(aimed("prod", "old", "old"), "fixed", 25)), all)
	for w, r := range before {
		if want := map[string]string{"old": "old", "next": "fixed"}[r]; after[w] != want {
			t.Errorf("%v: from %s to %s, want %s", w, r, after[w], want)
		}
	}
}

// One tag's share is not another's, nor one namespace's, or the same workloads would be first everywhere.
func TestSharesOfTagsAreIndependent(t *testing.T) {
	both, n := 0, 0
	r := routing.Rollout{Revision: "next", Percent: 50}
	for _, w := range workloads(10_000) {
		o := routing.Workload{Kind: "Deployment", Name: w[1]}
		n++
		if r.Includes("prod", w[0], o) && r.Includes("canary", w[0], o) {
			both++
		}
	}
	if share := float64(both) / float64(n); share < 0.23 || share > 0.27 {
		t.Errorf("%.3f of the workloads are in the halves of both tags, want a quarter", share)
	}
}

func TestUsesWorkloadsOnlyWhereARolloutMovesSomebody(t *testing.T) {
	next := minor("next", 30)
	cases := map[string]struct {
		mesh *routing.Mesh
		want bool
	}{
		"a rollout under way":                    {rolloutMesh(1), true},
		"none":                                   {forwardMesh([]routing.Revision{next}, aimed("prod", "next", "next")), false},
		"0 %":                                    {rolloutMesh(0), false},
		"to the target":                          {forwardMesh([]routing.Revision{next}, rolling(aimed("prod", "next", "next"), "next", 50)), false},
		"in guard":                               {meshOf(routing.Objects{Revisions: []routing.Revision{minor("old", 29), next}, Tags: []routing.Tag{rolling(tag("prod", "old"), "next", 50)}}), false},
		"neither tag nor rollout leads anywhere": {forwardMesh([]routing.Revision{away(next, routing.NoCA)}, rolling(aimed("prod", "next", "next"), "gone", 50)), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.mesh.UsesWorkloads(); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func slotVectors() map[[4]string]int {
	return map[[4]string]int{
		{"default", "bookinfo", "Deployment", "productpage-v1"}: 74,
		{"default", "bookinfo", "Deployment", "details-v1"}:     30,
		{"default", "shop", "Deployment", "productpage-v1"}:     61,
		{"prod", "bookinfo", "StatefulSet", "db"}:               15,
		{"prod", "batch", "CronJob", "report"}:                  85,
		{"prod", "batch", "Pod", "debug"}:                       91,
		{"", "", "", ""}:                                        27,
	}
}
