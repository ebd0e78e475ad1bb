// Command run carries tests out in a kind cluster: it creates the cluster of kind-config.yaml, builds and loads the images, runs
// the suites, and deletes the cluster. Where a suite fails, it says in which folder is what explains that.
//
//	go run ./test/kind/run [--check] [--suite NAME] [--procedures REGEXP]
//
// KEEP=1 keeps the cluster, and takes the one that was kept. --check only tells whether a cluster can run here. If none can,
// the last line says what is missing, and the exit code is 3.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/revision-router/revision-router/test/kind"
	"github.com/revision-router/revision-router/test/local"
)

// exitMissing is the exit code where the machine lacks something.
const exitMissing = 3

// suites are what is run, in this order. Procedures have the cluster one after the other: none begins to count its time while it
// waits for another.
func suites(procedures string) []suite {
	return []suite{
		{"cluster", []string{"go", "test", "-count=1", "-v", "-timeout=90m", "-tags=kind", "./test/e2ekind"}},
		{"procedures", []string{"go", "test", "-count=1", "-v", "-timeout=90m", "-parallel=1", "-tags=e2e", "-run=" + procedures, "./test/e2e"}},
	}
}

type suite struct {
	name    string
	command []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	check := flag.Bool("check", false, "only tell whether a cluster can run here")
	only := flag.String("suite", "", "run the suite of this `name` alone")
	procedures := flag.String("procedures", "TestProcedure", "of the suite procedures, run the tests that match this `regexp`")
	flag.Parse()
	r := runner{out: os.Stdout, keep: os.Getenv("KEEP") != "", suites: suites(*procedures), only: *only, began: time.Now()}
	err := r.run(ctx, *check)
	stop()
	var missing kind.MissingError
	switch {
	case errors.As(err, &missing):
		fmt.Fprintln(os.Stderr, "no kind cluster can run here:", missing)
		os.Exit(exitMissing)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type runner struct {
	out    io.Writer
	keep   bool
	suites []suite
	only   string
	began  time.Time
	times  []string
}

func (r *runner) run(ctx context.Context, check bool) error {
	if r.only != "" && !slices.ContainsFunc(r.suites, func(s suite) bool { return s.name == r.only }) {
		return fmt.Errorf("there is no suite %q: %s", r.only, names(r.suites))
	}
	machine, err := kind.Find(ctx)
	if err != nil || check {
		return err
	}
	defer r.summary()
	var cluster *kind.Cluster
	err = r.timed("create the cluster", func() (err error) {
		cluster, err = machine.Create(ctx, ".", r.keep, r.out)
		return err
	})
	if err != nil {
		return err
	}
	err = r.prepare(ctx, cluster)
	if err == nil {
		err = r.runSuites(ctx, cluster)
	}
	ctx = context.WithoutCancel(ctx) // also when it was interrupted
	if err != nil {
		folder := filepath.Join(cluster.Dir, "failure-"+time.Now().UTC().Format("20060102-150405"))
		if err := cluster.Collect(ctx, folder); err != nil {
			fmt.Fprintln(r.out, "not everything could be collected:", err)
		}
		fmt.Fprintln(r.out, "logs, webhook configurations, pods and events are in", folder)
	}
	if r.keep {
		fmt.Fprintf(r.out, "the cluster is kept: export KUBECONFIG=%s; kind delete cluster --name %s\n", cluster.Kubeconfig(), cluster.Name)
		return err
	}
	return errors.Join(err, r.timed("delete the cluster", func() error { return cluster.Delete(ctx) }))
}

func names(all []suite) string {
	list := make([]string, len(all))
	for i, s := range all {
		list[i] = s.name
	}
	return strings.Join(list, ", ")
}

// prepare builds and loads what the suites need.
func (r *runner) prepare(ctx context.Context, cluster *kind.Cluster) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"build helm", func(ctx context.Context) error { _, err := local.Helm(ctx); return err }},
		{"build and load the router's image", cluster.LoadRouter},
		{"build and load the stand-ins", cluster.LoadStandIns},
	} {
		if err := r.timed(step.name, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// runSuites runs all, also where one fails.
func (r *runner) runSuites(ctx context.Context, cluster *kind.Cluster) error {
	var errs []error
	for _, s := range r.suites {
		if r.only != "" && s.name != r.only {
			continue
		}
		err := r.timed("suite "+s.name, func() error {
			command := exec.CommandContext(ctx, s.command[0], s.command[1:]...) //nolint:gosec // they are listed above
			command.Stdout, command.Stderr = r.out, os.Stderr
			command.Env = append(os.Environ(), "E2E_PROVIDER=kind", "KUBECONFIG="+cluster.Kubeconfig())
			return command.Run()
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("suite %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *runner) timed(name string, f func() error) error {
	began := time.Now()
	fmt.Fprintf(r.out, "--- %s\n", name)
	err := f()
	end := "passed"
	if err != nil {
		end = "FAILED"
	}
	r.times = append(r.times, fmt.Sprintf("%-36s %-6s %5.0f s", name, end, time.Since(began).Seconds()))
	return err
}

func (r *runner) summary() {
	fmt.Fprintf(r.out, "\n=== in a kind cluster, %.0f s\n%s\n", time.Since(r.began).Seconds(), strings.Join(r.times, "\n"))
}
