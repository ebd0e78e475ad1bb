// Command picture draws the panels of the dashboard as they are in the middle of the demo of mode forward, from the answers of a real
// Prometheus that scraped the demo's router: Grafana itself is not needed. With a second argument it has chromium make a
// picture of the page; chromium is a program of this machine and is not built.
//
//	go run ./test/dashboard/picture page.html docs/images/dashboard.png
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/revision-router/revision-router/test/dashboard"
	"github.com/revision-router/revision-router/test/local"
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: picture PAGE.html [PICTURE.png]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, page string, picture []string) error {
	drawn, err := watch(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(page, []byte(document(drawn)), 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the page: %w", err)
	}
	if len(picture) == 0 {
		return nil
	}
	return shoot(ctx, page, picture[0], drawn)
}

// answered is a panel with what Prometheus answered.
type answered struct {
	dashboard.Panel

	window dashboard.Window
	series []line
}

// line is a series with its name.
type line struct {
	name   string
	labels map[string]string
	points []local.Point
}

// watch runs the demo and asks what every panel asks.
func watch(ctx context.Context) (drawn []answered, err error) {
	d, err := dashboard.StartForward(ctx, os.Stderr)
	defer func() { err = errors.Join(err, d.Close()) }()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	group, walking := errgroup.WithContext(ctx)
	group.Go(func() error { return d.Walk(walking) })
	group.Go(func() error { return misspell(walking, d) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	until, err := halfWay(ctx, d.Prometheus, began)
	if err != nil {
		return nil, err
	}
	return ask(ctx, d.Prometheus, dashboard.Window{From: began, To: until, Step: time.Second})
}

// halfWay is when most workloads wait for their restart, while half of them are sent to the new revision.
func halfWay(ctx context.Context, p *local.Prometheus, began time.Time) (time.Time, error) {
	const waiting = "sum(istio_revision_router_mesh_workloads_to_restart) and max(istio_revision_router_tag_rollout_percent) == 50"
	found, err := p.QueryRange(ctx, waiting, local.Range{From: began, To: time.Now(), Step: time.Second})
	if err != nil {
		return time.Time{}, err
	}
	if len(found) != 1 || len(found[0].Points) == 0 {
		return time.Time{}, errors.New("the demo never sent half of the workloads to the new revision")
	}
	most := slices.MaxFunc(found[0].Points, func(a, b local.Point) int { return cmp.Compare(a.Value, b.Value) })
	return most.At, nil
}

// ask puts the queries of all panels.
func ask(ctx context.Context, p *local.Prometheus, w dashboard.Window) (drawn []answered, err error) {
	panels, err := dashboard.Panels()
	if err != nil {
		return nil, err
	}
	for _, panel := range panels {
		answers, err := dashboard.Ask(ctx, p, panel, w)
		if err != nil {
			return nil, err
		}
		a := answered{Panel: panel, window: w}
		for i, series := range answers {
			for _, s := range series {
				a.series = append(a.series, line{panel.Targets[i].Legend(s.Labels), s.Labels, s.Points})
			}
		}
		drawn = append(drawn, a)
	}
	return drawn, nil
}

// shoot has chromium take the picture, as large as the page is.
func shoot(ctx context.Context, page, picture string, drawn []answered) error {
	path, err := filepath.Abs(page)
	if err != nil {
		return fmt.Errorf("finding the page: %w", err)
	}
	//nolint:gosec // the arguments are ours
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		fmt.Sprintf("--window-size=%d,%d", pageWidth, height(drawn)), "--screenshot="+picture, "file://"+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("taking the picture with chromium (Debian's package chromium): %w\n%s", err, out)
	}
	return nil
}
