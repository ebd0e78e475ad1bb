//go:build kind

package e2ekind

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/load"
)

// results are the tables that docs/testing.md shows one run of.
type results struct {
	began time.Time

	mu                    sync.Mutex
	steps, loads, figures []string
}

func (r *results) step(name string, took time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := "passed"
	if !ok {
		end = "FAILED"
	}
	r.steps = append(r.steps, fmt.Sprintf("| %s | %s | %d s |", name, end, int(took.Round(time.Second).Seconds())))
}

func (r *results) load(name string, got load.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	r.loads = append(r.loads, fmt.Sprintf("| %s | %d in %s (%.0f/s) | %d | %s | %s | %s |", name, got.Requests(), got.Took.Round(time.Second),
		got.Rate(), got.Failed(), round(got.Took50), round(got.Took99), round(got.Slowest)))
}

func (r *results) figure(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures = append(r.figures, fmt.Sprintf(format, args...))
}

// write writes the tables to a file and to the test's output.
func (r *results) write(t *testing.T, file string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| step | result | took |\n|---|---|---|\n%s\n| all | | %d s |\n", strings.Join(r.steps, "\n"), int(time.Since(r.began).Seconds()))
	if len(r.loads) > 0 {
		fmt.Fprintf(&b, "\n| while | pods created | failed | p50 | p99 | slowest |\n|---|---|---|---|---|---|\n%s\n", strings.Join(r.loads, "\n"))
	}
	if len(r.figures) > 0 {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(r.figures, "\n"))
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
	t.Logf("results, also in %s:\n%s", file, b.String())
}
