//go:build e2e

package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/revision-router/revision-router/test/guide"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	code := m.Run()
	results.print(os.Stdout)
	if code == 0 && !routerOff() && flag.Lookup("test.run").Value.String() == "" {
		if err := results.complete(); err != nil {
			fmt.Fprintln(os.Stdout, "FAIL:", err)
			code = 1
		}
	}
	if len(results.printed) > 0 {
		if err := guide.Update(results.printed); err != nil {
			fmt.Fprintln(os.Stdout, "FAIL:", err)
			code = 1
		}
	}
	if builtRouter.dir != "" {
		_ = os.RemoveAll(builtRouter.dir)
	}
	os.Exit(code)
}

// result is the result of a procedure.
type result struct {
	procedure     string
	mode          string
	works, router int
	failed        int
	began         time.Time
	took          time.Duration
	finished      bool
	failedNames   []string
}

// report is what the procedures come to.
type report struct {
	mu    sync.Mutex
	rows  []*result
	steps map[string]bool
	// printed is what steps print that the page shows otherwise, with E2E_UPDATE=1.
	printed map[string]string
}

// results are those of all procedures of this process: TestMain prints what the tests found.
var results = report{steps: map[string]bool{}, printed: map[string]string{}}

func (r *report) add(of *result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, of)
}

// ran notes that a step of the page was carried out.
func (r *report) ran(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps[id] = true
}

// updates notes what a step prints where E2E_UPDATE=1 asks for a page that shows it.
func (r *report) updates(step guide.Step, printed string) bool {
	if os.Getenv("E2E_UPDATE") == "" || !step.Shows {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.printed[step.ID] = printed
	return true
}

// complete tells which steps of the page no test carried out.
func (r *report) complete() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	page, err := guide.Read()
	if err != nil {
		return err
	}
	var missing []string
	for _, s := range page.Steps {
		if !r.steps[s.ID] {
			missing = append(missing, s.ID)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no test carried out these steps of %s: %s", guide.Path, strings.Join(missing, ", "))
	}
	return nil
}

func (r *report) print(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return
	}
	slices.SortFunc(r.rows, func(a, b *result) int {
		return cmp.Or(cmp.Compare(a.procedure, b.procedure), cmp.Compare(b.mode, a.mode))
	})
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "PROCEDURE\tMODE\tCASES\tOF THE ROUTER\tRESULT\tSECONDS")
	for _, of := range r.rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%.0f\n", of.procedure, of.mode, of.works+of.router, of.router, of.verdict(), of.took.Seconds())
	}
	_ = w.Flush()
	for _, of := range r.rows {
		for _, name := range of.failedNames {
			fmt.Fprintf(out, "failed: %s: %s\n", of.procedure, name)
		}
	}
}

func (r *result) verdict() string {
	switch {
	case !r.finished:
		return "NOT FINISHED"
	case r.failed > 0:
		return fmt.Sprintf("%d FAILED", r.failed)
	}
	return "passed"
}

// progress prints a line while a procedure runs. Several run at once, so each line says whose it is.
func (r *result) progress(format string, args ...any) {
	fmt.Fprintf(os.Stdout, "%-36s %5.1f s  %s\n", r.procedure+" ("+r.mode+")", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}
