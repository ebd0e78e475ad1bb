//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/load"
)

// load starts the usual load, whose pods must lead to one of these revisions. The returned function ends it.
func (w *world) load(t *testing.T, revisions ...string) (*load.Generator, func() load.Report) {
	t.Helper()
	if len(revisions) == 0 {
		revisions = []string{revision}
	}
	g, err := load.Start(w.ctx, load.Typical(w.env.Cluster.Config(), revisions, []string{shop, desk}))
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	stop := func() load.Report {
		ended = true
		r := g.Stop()
		say("load: %d pods, %.0f/s, %d failed, %d not sent, slowest %s", r.Requests(), r.Rate(), r.Failed(), r.Skipped,
			r.Slowest.Round(time.Millisecond))
		if r.Failed() > 0 {
			say("%s", r.Failures())
		}
		return r
	}
	t.Cleanup(func() {
		if !ended {
			stop()
		}
	})
	return g, stop
}

// of takes the load's numbers over.
func of(r load.Report) result {
	return result{rate: r.Rate(), requests: r.Requests(), failures: r.Failed()}
}

// enough is the rate below which a load proves nothing.
const enough = 30

// noneFailed is the expectation of most cases.
func noneFailed(t *testing.T, r load.Report) {
	t.Helper()
	if r.Failed() > 0 {
		t.Errorf("%d of %d pods failed, want 0:\n%s", r.Failed(), r.Requests(), r.Failures())
	}
	if r.Rate() < enough {
		t.Errorf("only %.0f pods/s were reached, which proves nothing", r.Rate())
	}
}
