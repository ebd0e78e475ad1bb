//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/guide"
	"github.com/revision-router/revision-router/test/sail"
)

// The modes of the router.
const (
	guard      = "guard"
	forwarding = "forward"
)

// procedure is one of the update guide.
type procedure struct {
	// name is that of the guide, number first; the table is sorted by it.
	name string
	// mode is guard or forwarding.
	mode string
	// values are further arguments of helm.
	values []string
	// versions are what aliases of versions stand for at first.
	versions map[string]string
	// forwardTo are the revisions that a router in forward mode may call, with their versions.
	forwardTo map[string]string
}

// world is the cluster of a procedure.
type world struct {
	t         *testing.T
	procedure procedure
	platform  platform
	operator  *sail.Operator
	client    dynamic.Interface
	kube      kubernetes.Interface
	page      *guide.Page
	row       *result
	shell     shell
	// hangs: something was broken on purpose, so that a mesh does not come to rest.
	hangs bool
}

// run carries out a procedure, in parallel to others.
func run(t *testing.T, p procedure, body func(*world)) {
	t.Helper()
	t.Parallel()
	page, err := guide.Read()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, procedure: p, page: page, row: &result{procedure: p.name, mode: p.mode, began: time.Now()}}
	results.add(w.row)
	t.Cleanup(func() { w.row.took = time.Since(w.row.began) })
	w.start()
	w.row.progress("the cluster runs")
	body(w)
	w.row.finished = true
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start brings everything up, in the order in which a user would: the cluster, the Sail Operator, the router.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.platform, err = newPlatform(w.t, w.procedure)
	w.must(err)
	w.t.Cleanup(func() {
		if w.t.Failed() && !routerOff() {
			w.t.Logf("the router's log:\n%s", lastLines(w.platform.log(context.WithoutCancel(w.t.Context())), 60))
		}
		if err := w.platform.close(); err != nil {
			w.t.Errorf("cleaning up: %v", err)
		}
	})
	config := rest.CopyConfig(w.platform.config())
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	w.client, err = dynamic.NewForConfig(config)
	w.must(err)
	w.kube, err = kubernetes.NewForConfig(config)
	w.must(err)
	options := sail.Options{Config: w.platform.config(), Log: w.t.Output(), Versions: w.procedure.versions}
	w.platform.operator(&options)
	w.operator, err = sail.Start(w.t.Context(), options)
	w.must(err)
	w.t.Cleanup(w.operator.Stop)
	w.platform.started(w.operator)
	w.shell = newShell(w)
	if routerOff() {
		return
	}
	values := append([]string{
		// A router that answers too late on a busy machine must not be taken for one that had nothing against it.
		"--set", "changes.failurePolicy=Fail,webhook.failurePolicy=Fail,mode=" + w.procedure.mode,
	}, w.procedure.values...)
	w.must(w.platform.install(w.t.Context(), values))
}

// works is a case that holds with the router and without it. What comes after it depends on it.
func (w *world) works(name string, do func(*step)) {
	w.t.Helper()
	w.row.works++
	if !w.check(name, do) {
		w.t.Fatalf("%s failed, and the rest depends on it", name)
	}
}

// routerCase begins the name of a case that needs the router.
const routerCase = "router: "

// router is a case that only the router makes hold. If it fails, what it changed is put back.
func (w *world) router(name string, do func(*step)) {
	w.t.Helper()
	w.row.router++
	before := w.snapshot()
	if !w.check(routerCase+name, do) {
		w.restore(before)
	}
}

func (w *world) check(name string, do func(*step)) bool {
	w.t.Helper()
	w.row.progress("%s", name)
	passed := w.t.Run(name, func(t *testing.T) { do(&step{T: t, world: w, name: name}) })
	if !passed {
		w.row.failed++
		w.row.failedNames = append(w.row.failedNames, name)
		w.row.progress("FAILED: %s", name)
	}
	return passed
}

// breakDown lets a version of a component never get ready, as with an image that cannot be pulled; repair ends that.
func (w *world) breakDown(c sail.Component, version string) {
	w.hangs = true
	w.operator.Break(c, version)
}

func (w *world) repair(c sail.Component, version string) {
	w.hangs = false
	w.operator.Mend(c, version)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// awaitEvery tries every so often, for so long.
func awaitEvery(ctx context.Context, pause, limit time.Duration, holds func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var err error
	for {
		now := holds(ctx)
		if now == nil {
			return nil
		}
		if err == nil || ctx.Err() == nil { // the last try was cut off, and tells less than the one before
			err = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not after %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}
