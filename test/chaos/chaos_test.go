//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chaosCase is one row of the table.
type chaosCase struct {
	name string
	// limit bounds the case, so that a run ends whatever happens.
	limit time.Duration
	run   func(*world) result
	// long: not in the shorter set.
	long bool
}

// cases in the order in which they are run. Clock comes first because certificates can only be made to look old
// before any newer CA exists.
func cases() []chaosCase {
	return []chaosCase{
		{name: "clock jumps a day", limit: 4 * time.Minute, run: clockJumps},
		{name: "rolling restarts", limit: 5 * time.Minute, run: rollingRestarts},
		{name: "certificates change", limit: 8 * time.Minute, run: certificatesChange},
		{name: "the CA Secret is lost", limit: 3 * time.Minute, run: secretLost, long: true},
		{name: "CA bundle overwritten", limit: 3 * time.Minute, run: bundleOverwritten},
		{name: "a replica is killed", limit: 3 * time.Minute, run: replicaKilled},
		{name: "a tag is moved", limit: 3 * time.Minute, run: tagMoved},
		{name: "new namespaces", limit: 3 * time.Minute, run: newNamespaces},
		{name: "namespace relabelled", limit: 3 * time.Minute, run: namespaceRelabelled},
		{name: "hostile clients", limit: 9 * time.Minute, run: hostileClients},
		{name: "no replica is left", limit: 4 * time.Minute, run: noReplica},
		{name: "replicas hang", limit: 3 * time.Minute, run: replicasHang},
		{name: "the API server is away", limit: 6 * time.Minute, run: apiServerAway},
		{name: "taken out of the way", limit: 2 * time.Minute, run: takenOutOfTheWay},
	}
}

func TestChaos(t *testing.T) {
	w := newWorld(t)
	var rows []row
	// Also when a case ends the run.
	defer func() { fmt.Fprint(os.Stdout, table(rows)) }()
	for _, c := range cases() {
		if c.long && w.short {
			continue
		}
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.limit)
			defer cancel()
			began := time.Now()
			say("=== %s", c.name)
			r := row{name: c.name}
			defer func() {
				r.failed, r.took = t.Failed(), time.Since(began)
				rows = append(rows, r)
				say("--- %s: %s after %s", c.name, r.verdict(), r.took.Round(time.Second))
			}()
			r.result = c.run(w.during(ctx, t))
			w.checkAlive(t)
		})
	}
}

// result is what a case has to tell.
type result struct {
	// done is what was done, figure what was measured.
	done, figure string
	// rate in pods a second, requests and failures of the load. A case without load leaves them out.
	rate               float64
	requests, failures int
}

type row struct {
	result
	name   string
	failed bool
	took   time.Duration
}

func (r row) verdict() string {
	if r.failed {
		return "FAILED"
	}
	return "ok"
}

func table(rows []row) string {
	var b strings.Builder
	const layout = "%-23s %-62s %6s %9s %9s %6s %-8s %s\n"
	fmt.Fprintf(&b, "\n"+layout, "case", "what was done", "pods/s", "requests", "failures", "took", "verdict", "figure")
	for _, r := range rows {
		fmt.Fprintf(&b, layout, r.name, r.done, fmt.Sprintf("%.0f", r.rate), strconv.Itoa(r.requests), strconv.Itoa(r.failures),
			fmt.Sprintf("%.0f s", r.took.Seconds()), r.verdict(), r.figure)
	}
	return b.String()
}

// say prints progress as it comes: go test would hold back what t.Log says until a case ends.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stdout, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
