package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/status"
)

// statusAtNoon is the command at a time that does not pass.
func statusAtNoon(streams Streams) *cobra.Command {
	return NewStatusCommand(streams, testingclock.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
}

// statusMeshes are the meshes of the golden files: what a real operator left behind, with pods and faults added.
func statusMeshes() map[string][]string {
	const added = "testdata/status/"
	return map[string][]string{
		"healthy":  {"-f", meshes + "revisionbased-before.json", "-f", added + "healthy.jsonl"},
		"upgrade":  {"-f", meshes + "revisionbased-during.json", "-f", added + "upgrade.jsonl"},
		"ambient":  {"-f", meshes + "ambient-inplace.json", "-f", added + "ambient.jsonl"},
		"bypassed": {"-f", meshes + "ambient-inplace.json", "-f", added + "bypassed.yaml"},
		"overlap":  {"-f", added + "forward", "-f", added + "overlap", "--mode", "forward"},
	}
}

func statusRuns() map[string][]string {
	runs := map[string][]string{
		"declared.table":     {"-f", "../manifest/testdata/git"},
		"declared.json":      {"-f", "../manifest/testdata/git", "-o", "json"},
		"nothing.table":      {"-f", "testdata/nothing.yaml"},
		"nothing.html":       {"-f", "testdata/nothing.yaml", "-o", "html"},
		"policy-off.table":   append(statusMeshes()["upgrade"], "--policy", "testdata/check/off.yaml"),
		"no-headers.table":   append(statusMeshes()["upgrade"], "--no-headers"),
		"forward.table":      {"-f", "testdata/status/forward", "--mode", "forward"},
		"forward.wide":       {"-f", "testdata/status/forward", "--mode", "forward", "-o", "wide"},
		"forward.html":       {"-f", "testdata/status/forward", "--mode", "forward", "-o", "html"},
		"unknown-mode.usage": {"--mode", "both"},
		"watch-files.usage":  {"-f", "testdata/nothing.yaml", "-w"},
		"watch-page.usage":   {"-w", "-o", "html"},
		"unknown-form.usage": {"-o", "xml"},
	}
	for name, args := range statusMeshes() {
		for _, output := range []string{"table", "wide", "json", "yaml", "html"} {
			runs[name+"."+output] = append(slices.Clone(args), "-o", output)
		}
	}
	return runs
}

func TestStatusGolden(t *testing.T) {
	t.Parallel()
	keepGolden(t, filepath.Join("testdata", "golden-status"), "status", statusRuns())
}

func reportOf(t *testing.T, args ...string) (status.Report, outcome) {
	t.Helper()
	got := ranCommand(t, "status", "", append(args, "-o", "json")...)
	return *decodedReport(t, got), got
}

// decodedReport is what the command has printed with -o json.
func decodedReport(t *testing.T, got outcome) *status.Report {
	t.Helper()
	var r status.Report
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%v in %q, stderr %q", err, got.stdout, got.stderr)
	}
	return &r
}

// readAll joins files into one text, as standard input would have them.
func readAll(t *testing.T, files ...string) string {
	t.Helper()
	var b strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
		b.WriteByte('\n')
	}
	return b.String()
}

func TestStatusExitsWithOneForErrorsOnly(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"healthy": 0, "upgrade": ExitRefused, "ambient": ExitRefused, "bypassed": ExitRefused, "overlap": ExitRefused} {
		r, got := reportOf(t, statusMeshes()[name]...)
		if got.code != want || r.Summary.Healthy != (want == 0) {
			t.Errorf("%s: got exit code %d and healthy %t, want %d", name, got.code, r.Summary.Healthy, want)
		}
	}
}

func TestStatusSaysTheSameInJSONAndYAML(t *testing.T) {
	t.Parallel()
	for name, args := range statusMeshes() {
		want := ranCommand(t, "status", "", append(slices.Clone(args), "-o", "json")...)
		other := ranCommand(t, "status", "", append(slices.Clone(args), "-o", "yaml")...)
		got, err := yaml.YAMLToJSON([]byte(other.stdout))
		if err != nil {
			t.Fatal(err)
		}
		var x, y any
		if err := json.Unmarshal([]byte(want.stdout), &x); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &y); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x, y); diff != "" {
			t.Errorf("%s (-json +yaml):\n%s", name, diff)
		}
	}
}

func TestStatusHasNoNullInJSON(t *testing.T) {
	t.Parallel()
	for name, args := range statusRuns() {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		if got := ranCommand(t, "status", "", args...); strings.Contains(got.stdout, "null") {
			t.Errorf("%s: a list is null in\n%s", name, got.stdout)
		}
	}
}

func TestStatusReadsStandardInputOnce(t *testing.T) {
	t.Parallel()
	text := readAll(t, meshes+"revisionbased-during.json", "testdata/status/upgrade.jsonl")
	want := ranCommand(t, "status", "", append(statusMeshes()["upgrade"], "-o", "wide")...)
	got := ranCommand(t, "status", text, "-f", "-", "-o", "wide")
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("(-files +standard input):\n%s", diff)
	}
}

// The page must not need anything, nor load anything, and every value has to be escaped for its place.
func TestThePageStandsAlone(t *testing.T) {
	t.Parallel()
	for name, args := range statusMeshes() {
		page := ranCommand(t, "status", "", append(slices.Clone(args), "-o", "html")...).stdout
		for _, banned := range []string{"<script", "http://", "https://", "@import", "url(", "<link rel=\"stylesheet", "ZgotmplZ"} {
			if strings.Contains(page, banned) {
				t.Errorf("%s: the page holds %q", name, banned)
			}
		}
		for _, needed := range []string{"<!DOCTYPE html>", "<html lang=\"en\">", "<title>", "default-src 'none'", "prefers-color-scheme: dark"} {
			if !strings.Contains(page, needed) {
				t.Errorf("%s: the page lacks %q", name, needed)
			}
		}
		ids := regexp.MustCompile(`\bid="([^"]+)"`).FindAllStringSubmatch(page, -1)
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id[1]] {
				t.Errorf("%s: the id %s is there twice", name, id[1])
			}
			seen[id[1]] = true
		}
		for _, ref := range regexp.MustCompile(`aria-labelledby="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if !seen[ref[1]] {
				t.Errorf("%s: nothing has the id %s", name, ref[1])
			}
		}
	}
}

func TestThePageEscapesWhatAClusterHolds(t *testing.T) {
	t.Parallel()
	const evil = `<img src=x onerror=alert(1)>`
	mesh := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/rev: %q}}\n", evil)
	page := ranCommand(t, "status", mesh, "-f", meshes+"revisionbased-during.json", "-f", "-", "-o", "html").stdout
	if strings.Contains(page, evil) || !strings.Contains(page, "&lt;img src=x onerror") {
		t.Errorf("the label of the namespace is not escaped in\n%s", page)
	}
}

// Every problem and every version in the report has to be on the page as text: colour alone tells nobody.
func TestThePageSaysWhatTheReportSays(t *testing.T) {
	t.Parallel()
	for name, args := range statusMeshes() {
		r, _ := reportOf(t, args...)
		page := ranCommand(t, "status", "", append(slices.Clone(args), "-o", "html")...).stdout
		for _, p := range r.Problems {
			if !strings.Contains(page, string(p.Severity)+": "+p.Name) {
				t.Errorf("%s: %s is not on the page", name, p.Name)
			}
		}
		for _, c := range r.Workloads {
			if c.Version != "" && !strings.Contains(page, ">"+c.Version+"<") {
				t.Errorf("%s: %s is not on the page", name, c.Version)
			}
		}
	}
}

func TestWrappedKeepsEveryWordAndTheWidth(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a bb ccc dddd ", 40) + strings.Repeat("x", 90)
	lines := wrapped(text, 60)
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 60 && strings.Count(strings.TrimSpace(line), " ") > 0 {
			t.Errorf("%q is longer than 60", line)
		}
	}
	if got := strings.Join(strings.Fields(strings.Join(lines, " ")), " "); got != strings.TrimSpace(text) {
		t.Errorf("got %q, want %q", got, text)
	}
}

func TestStatusColoursOnATerminalOnly(t *testing.T) {
	t.Parallel()
	r, _ := reportOf(t, statusMeshes()["upgrade"]...)
	shown := func(s screen) string {
		var b bytes.Buffer
		out := bufio.NewWriter(&b)
		p := statusPrinter{options: &statusOptions{output: outputTable}, screen: s}
		if err := errors.Join(p.write(out, &r), out.Flush()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	plain, coloured := shown(screen{width: 100}), shown(screen{width: 100, colour: true})
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, ansiRed+"error: "+ansiReset) {
		t.Errorf("got\n%s\nand\n%s", plain, coloured)
	}
	if without := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, ""); without != plain {
		t.Errorf("colours change more than colours (-plain +coloured):\n%s", cmp.Diff(plain, without))
	}
}

// A cluster of 150,000 pods is counted in a few megabytes: what is kept of a page of pods does not grow with its pods.
func TestPodsAreCountedByTheirOwner(t *testing.T) {
	const owners, each = 1500, 100
	one := func(owner, n int) []byte {
		return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"namespace":"ns-%d","name":"app-%d-5d-%d","labels":{"app":"a%d",`+
			`"pod-template-hash":"5d"},"annotations":{"istio.io/rev":"default"},"ownerReferences":[{"kind":"ReplicaSet","name":"app-%d-5d",`+
			`"controller":true,"uid":"u"}]},"spec":{"containers":[{"name":"istio-proxy","image":"proxyv2:1.29.6"}]},"status":{"phase":"Running"}}`,
			owner%50, owner, n, owner, owner)
	}
	before := heap()
	store := newPodStore()
	for owner := range owners {
		read, err := decodePods(t.Context(), one(owner, 0))
		if err != nil {
			t.Fatal(err)
		}
		for p := range read {
			for n := range each {
				p.key = fmt.Sprintf("ns-%d/app-%d-5d-%d", owner%50, owner, n)
				store.set(p)
			}
		}
	}
	inventory, _ := store.inventory()
	groups := inventory.Groups()
	if len(groups) != owners || groups[0].Pods != each {
		t.Errorf("got %d groups, the first with %d pods, want %d with %d", len(groups), groups[0].Pods, owners, each)
	}
	kept := heap() - before
	runtime.KeepAlive(store)
	if limit := int64(64 << 20); kept > limit {
		t.Errorf("%d pods keep %d MB, want less than %d", owners*each, kept>>20, limit>>20)
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
