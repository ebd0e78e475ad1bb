// Package plans runs what router plan prints: every command, by bash and kubectl, against a real API server that asks
// the router's webhooks, with a stand-in for the Sail Operator. Nothing is refused on the way, no pod is without the
// sidecar that its labels ask for, and the mesh ends at the version. A few rows run with all tests, those of the update
// guide with the build tag plans.
package plans

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	os.Exit(cluster.Main(m))
}

const offered = "v1.24.3,v1.24.4,v1.25.5,v1.26.8,v1.27.9,v1.28.5,v1.29.6,v1.30.3"

// slots: each row has a cluster of its own, and waits for something most of the time.
var slots = make(chan struct{}, 2)

func runRows(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			w := newWorld(t)
			w.create(r)
			x := w.witness()
			x.follow(r, append([]string{"--to", r.to, "--available", offered}, r.args...))
			x.judge()
			w.judgeEnd(r)
		})
	}
}

// follow makes a plan, does its first step, makes a plan of the mesh as it is then, and so on: whoever stops anywhere
// goes on from there. A plan never gets longer on the way.
func (x *witness) follow(r row, args []string) {
	w := x.w
	w.t.Helper()
	p := w.plan(args...)
	if !p.Possible || len(p.Steps) != r.steps || p.WaitFirst != "" {
		w.t.Fatalf("got %d steps, want %d: %+v", len(p.Steps), r.steps, p)
	}
	undone := map[string]bool{}
	for done := 0; len(p.Steps) > 0 || p.WaitFirst != ""; done++ {
		if done > 4*r.steps {
			w.t.Fatalf("the plan does not end: %+v", p)
		}
		w.bash(p.WaitFirst)
		if len(p.Steps) == 0 {
			p = w.plan(args...)
			continue
		}
		step := p.Steps[0]
		w.t.Logf("%d steps left: %s from %s to %s", len(p.Steps), step.Object, step.From, step.To)
		if kind := kindOf(step); r.undo && !undone[kind] {
			undone[kind] = true
			x.thereAndBack(step)
			x.lookAt("taking back " + step.Object)
			p = w.plan(args...)
			continue
		}
		w.bash(step.Command)
		if r.stray {
			p = w.plan(args...) // right away: nothing has settled
			continue
		}
		w.bash(step.WaitFor)
		x.lookAt(step.Object)
		next := w.plan(args...)
		if diff := cmp.Diff(commands(p)[1:], commands(next)); diff != "" || next.WaitFirst != "" {
			w.t.Fatalf("after %s the plan is another one (-first +now), which waits for %q:\n%s", step.Object, next.WaitFirst, diff)
		}
		p = next
	}
	if r.undo {
		w.t.Logf("taken back and done again: %s", strings.Join(slices.Sorted(maps.Keys(undone)), ", "))
	}
}

func commands(p printed) []string {
	list := []string{}
	for _, s := range p.Steps {
		list = append(list, s.Object+": "+s.Command)
	}
	return list
}

// kindOf tells kinds of steps apart by what they run.
func kindOf(s printedStep) string {
	words := strings.Fields(s.Command)
	return strings.Join(words[:min(3, len(words))], " ") + " " + strings.Join(strings.FieldsFunc(s.Object, func(r rune) bool { return r == ' ' })[:1], "")
}

// judgeEnd wants the mesh that was asked for, in the words of router status.
func (w *world) judgeEnd(r row) {
	w.t.Helper()
	report := w.status()
	for _, p := range report.Problems {
		if p.Severity == status.Error {
			w.t.Errorf("at the end: %s: %s", p.Name, p.Message)
		}
	}
	if len(report.Restarts) > 0 {
		w.t.Errorf("at the end there is something to restart: %+v", report.Restarts)
	}
	var got []string
	for _, c := range report.ControlPlanes {
		if c.Istio == "default" {
			got = append(got, fmt.Sprintf("%s runs %s", c.Name, strings.Join(c.Running, " and ")))
		}
	}
	if want := []string{r.revision + " runs " + r.to}; !slices.Equal(got, want) {
		w.t.Errorf("at the end there are %q, want %q", got, want)
	}
	for _, c := range report.Components {
		held := strings.Contains(strings.Join(r.objects, ""), `"other-system"`)
		if want := []string{r.to}; !held && !slices.Equal(c.Running, want) {
			w.t.Errorf("at the end %s runs %q, want %q", c.Kind, c.Running, want)
		}
	}
	for _, c := range report.Workloads {
		release := skew.Parse(c.Version).SameRelease(skew.Parse(r.to)) // a variant of the image is as good
		if c.Role != string(skew.Ambient) && (c.Revision != r.revision || !release) {
			w.t.Errorf("at the end %d workloads run %s %s (%s), want %s %s", c.Workloads, c.Revision, c.Version, c.Role, r.revision, r.to)
		}
	}
}
