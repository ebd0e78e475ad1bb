package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// TestBenchmarkTable prints the table of docs/benchmarks.md:
//
//	go test ./webhook -run TestBenchmarkTable -v -table -benchtime 200ms
//
// All rows are measured in turn, five times over, and the median counts, so that what else the machine does hits all
// of them. Times are good for ratios within one table, allocations and bytes for comparisons between tables.
func TestBenchmarkTable(t *testing.T) {
	if !*table {
		t.Skip("asked for with -table")
	}
	const rounds = 5
	rows := tableRows(t)
	results := make([][]testing.BenchmarkResult, len(rows))
	for range rounds {
		for i, row := range rows {
			results[i] = append(results[i], testing.Benchmark(row.bench))
		}
	}
	floor := map[string]int64{}
	var out strings.Builder
	out.WriteString("| handler | review | ns/op | B/op | allocs/op | times the router |\n|---|---|---:|---:|---:|---:|\n")
	for i, row := range rows {
		slices.SortFunc(results[i], func(a, b testing.BenchmarkResult) int { return int(a.NsPerOp() - b.NsPerOp()) })
		median := results[i][rounds/2]
		if row.handler == routerRow {
			floor[row.review] = median.NsPerOp()
		}
		ratio := ""
		if f := floor[row.review]; f > 0 {
			ratio = fmt.Sprintf("%.2f", float64(median.NsPerOp())/float64(f))
		}
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %s |\n",
			row.handler, row.review, median.NsPerOp(), median.AllocedBytesPerOp(), median.AllocsPerOp(), ratio)
	}
	t.Log("\n" + out.String())
}

const routerRow = "PodRouter"

type tableRow struct {
	handler, review string
	bench           func(*testing.B)
}

func tableRows(t *testing.T) []tableRow {
	t.Helper()
	var rows []tableRow
	add := func(name string, h http.Handler, size int) {
		body := podOfSize(t, size)
		rows = append(rows, tableRow{name, fmt.Sprintf("%s (%d bytes)", sizeName(size), len(body)), newCall(t, h, body).bench})
	}
	refusing := meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prdo"))
	for _, size := range []int{6 << 10, 100 << 10, 1 << 20} {
		add(routerRow, benchRouter(t), size)
		add("no-op: read the body, say yes", benchNoop(), size)
		add("controller-runtime, WithDefaulter[*corev1.Pod]", benchScaffold(t), size)
		if size == 6<<10 {
			add("PodRouter, a pod that is refused",
				NewPodRouter(quiet(refusing)).Handler(entryNamed(t, "namespace-revision")), size)
		}
	}
	mesh := benchMesh()
	ns, _ := mesh.Namespace("bookinfo")
	in := routing.Input{Mesh: mesh, Namespace: ns}
	return append(rows, tableRow{"routing.Decide alone", "", func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			routing.Decide(in)
		}
	}})
}
