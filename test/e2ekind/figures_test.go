//go:build kind

package e2ekind

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/load"
)

const (
	// window is how long is measured.
	window = 30 * time.Second
	// figuresRate is in pods a second.
	figuresRate = 100
)

// usage is what the processes of all replicas have used so far.
type usage struct {
	at  time.Time
	cpu float64
	// memory is of the one that has most.
	memory float64
}

// testFigures measures what the router takes. The figures are for docs/testing.md; the memory has to stay within the limit
// that the chart sets by default.
func (w *world) testFigures(t *testing.T) {
	w.settled(t, replicas)
	before := w.usage(t)
	pause(t, window)
	rest := w.usage(t)
	w.figure(t, "At rest", before, rest)
	g, err := load.Start(t.Context(), load.Options{
		Config: w.cluster.Config(), Namespaces: []string{crowd}, Revisions: []string{oldRevision}, Rate: figuresRate, MaxWaiting: 2 * waiting,
	})
	if err != nil {
		t.Fatal(err)
	}
	before = w.usage(t)
	pause(t, window)
	after := w.usage(t)
	r := g.Stop()
	w.results.load("measuring, all dry runs", r)
	noneFailed(t, r)
	w.figure(t, fmt.Sprintf("At %.0f pods/s", r.Rate()), before, after)
	if limit := float64(256 << 20); max(rest.memory, after.memory) >= limit {
		t.Errorf("a replica took %.0f MiB, want less than the chart's limit", max(rest.memory, after.memory)/(1<<20))
	}
}

func (w *world) figure(t *testing.T, when string, before, after usage) {
	t.Helper()
	text := fmt.Sprintf("%s, the three replicas together took %.1f m of CPU, and the largest had %.0f MiB of memory.", when,
		1000*(after.cpu-before.cpu)/after.at.Sub(before.at).Seconds(), after.memory/(1<<20))
	t.Log(text)
	w.results.figure("%s", text)
}

// pause lets time go by that is measured.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func (w *world) usage(t *testing.T) (sum usage) {
	t.Helper()
	sum.at = time.Now()
	for _, pod := range w.settled(t, replicas) {
		metrics := w.metrics(t.Context(), t, pod.Name)
		sum.cpu += metrics["process_cpu_seconds_total"]
		sum.memory = max(sum.memory, metrics["process_resident_memory_bytes"])
	}
	return sum
}

// metrics reads those of a pod through the API server, by name and labels.
func (w *world) metrics(ctx context.Context, t *testing.T, pod string) map[string]float64 {
	t.Helper()
	raw, err := w.kube.CoreV1().RESTClient().Get().Namespace(charts.Name).Resource("pods").Name(pod + ":8080").
		SubResource("proxy").Suffix("metrics").DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := lines.Text()
		space := strings.LastIndexByte(line, ' ')
		if value, err := strconv.ParseFloat(line[space+1:], 64); err == nil && space > 0 && line[0] != '#' {
			samples[line[:space]] = value
		}
	}
	if samples["process_cpu_seconds_total"] == 0 {
		t.Fatalf("%s tells nothing about its process", pod)
	}
	return samples
}
