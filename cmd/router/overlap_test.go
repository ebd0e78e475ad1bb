package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/routing"
)

func forwardMesh(revisions ...routing.Revision) *routing.Mesh {
	for i := range revisions {
		revisions[i].Origin = routing.Sail
	}
	return routing.NewMesh(routing.Objects{Mode: routing.Forward, Revisions: revisions})
}

func TestAReplicaThatWasReadyOnceStaysSo(t *testing.T) {
	var overlaps []mesh.Overlap
	var snapshot *routing.Mesh
	var other error
	g := &overlapGate{
		overlaps: func() []mesh.Overlap { return overlaps }, mesh: func() *routing.Mesh { return snapshot }, log: logr.Discard(),
	}
	check := g.checker(map[string]healthz.Checker{"other": func(*http.Request) error { return other }})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody)
	steps := []struct {
		name          string
		change        func()
		ready, remark bool
	}{
		{"nothing is known", func() {}, false, false},
		{"something is in the way", func() {
			snapshot, overlaps = forwardMesh(routing.Revision{Name: "x"}), []mesh.Overlap{{Configuration: "c", Webhook: "w", Wanted: "x"}}
		}, false, false},
		{"it has gone, and the replica is not ready for another reason", func() { overlaps, other = nil, errors.New("no certificate") }, true, false},
		{"it has come back before the replica was ready", func() { overlaps = []mesh.Overlap{{Wanted: "x"}} }, false, false},
		{"it has gone, and the replica is ready", func() { overlaps, other = nil, nil }, true, false},
		{"it has come back after that", func() { overlaps = []mesh.Overlap{{Wanted: "x"}} }, true, true},
		{"the replica is not ready for another reason", func() { other = errors.New("no certificate") }, true, true},
		{"it has gone for good", func() { overlaps = nil }, true, false},
	}
	for _, s := range steps {
		s.change()
		if err := check(r); (err == nil) != s.ready {
			t.Errorf("%s: %v, want ready: %t", s.name, err, s.ready)
		}
		if err := g.remark(); (err != nil) != s.remark {
			t.Errorf("%s: remark %v, want one: %t", s.name, err, s.remark)
		}
	}
}

func TestAnOverlapNamesTheCommandThatEndsIt(t *testing.T) {
	m := forwardMesh(
		routing.Revision{Name: "prod-v1-30-3", Istio: "prod"}, routing.Revision{Name: "alone"},
		routing.Revision{Name: "old", Istio: "legacy", Unroutable: routing.TooOld},
		routing.Revision{Name: "away", Istio: "prod", Unroutable: routing.NoEndpoints},
	)
	cases := map[string]struct{ wanted, want string }{
		"a revision of an Istio":         {"prod-v1-30-3", `kubectl patch istio prod --type=merge -p '{"spec":{"values":{"global":{"operatorManageWebhooks":true}}}}'`},
		"a revision on its own":          {"alone", "kubectl patch istiorevision alone --type=merge"},
		"a revision that takes no pods":  {"away", "kubectl patch istio prod --type=merge"},
		"a revision that is too old":     {"old", "update istio legacy to 1.28 or later"},
		"a name that nothing has by now": {"gone", "kubectl get mutatingwebhookconfiguration c --show-labels"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := &overlapGate{}
			err := g.describe(m, []mesh.Overlap{{Configuration: "c", Webhook: "w", Wanted: tc.wanted}})
			if err == nil || !strings.Contains(err.Error(), "Next: "+tc.want) ||
				!strings.Contains(err.Error(), "webhook w of MutatingWebhookConfiguration c (pods that ask for "+tc.wanted+")") {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestOverlapsAreLoggedWhenTheyComeAndGo(t *testing.T) {
	var log bytes.Buffer
	var overlaps []mesh.Overlap
	m := forwardMesh(routing.Revision{Name: "x", Istio: "prod"})
	g := &overlapGate{
		overlaps: func() []mesh.Overlap { return overlaps }, mesh: func() *routing.Mesh { return m },
		log: funcr.New(func(_, args string) { log.WriteString(args + "\n") }, funcr.Options{}),
	}
	for _, now := range [][]mesh.Overlap{
		nil, {{Configuration: "a", Wanted: "x"}}, {{Configuration: "a", Wanted: "x"}, {Configuration: "b", Wanted: "x"}}, {{Configuration: "b", Wanted: "x"}}, nil, nil,
	} {
		overlaps = now
		g.published()
	}
	for text, want := range map[string]int{"injects pods that the router injects as well": 2, "no longer in the way": 2, "kubectl patch istio prod": 2} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q was logged %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}
