package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestManyCallersBuildOnce(t *testing.T) {
	emptyCache(t)
	// What a user may have set for other builds must not reach this one.
	t.Setenv("GOFLAGS", "-mod=mod -modfile=no-such.mod")
	t.Setenv("GOWORK", "/no/such/go.work")
	tool := helloTarget(t, helloSource)
	var log safeBuffer
	const callers = 8
	paths := make([]string, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			path, err := build(t.Context(), &log, tool)
			if err != nil {
				t.Error(err)
			}
			paths[i] = path
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}

	if got := strings.Count(log.String(), "building hello from Go modules"); got != 1 {
		t.Errorf("built %d times, want once:\n%s", got, log.String())
	}
	for _, path := range paths {
		if path != paths[0] {
			t.Errorf("callers got different paths: %s and %s", paths[0], path)
		}
	}
	output, err := exec.CommandContext(t.Context(), paths[0]).CombinedOutput()
	if err != nil || string(output) != "hello\n" {
		t.Errorf("the tool says %q, %v", output, err)
	}
	if diff := cmp.Diff([]string{"hello", "hello.lock"}, entries(t, filepath.Dir(paths[0]))); diff != "" {
		t.Errorf("files in the cache (-want +got):\n%s", diff)
	}

	var silent safeBuffer
	if _, err := build(t.Context(), &silent, tool); err != nil || silent.String() != "" {
		t.Errorf("with the binary there: %v, and the log says %q, want nothing", err, silent.String())
	}
}

func TestOtherVersionsAreOtherBinaries(t *testing.T) {
	emptyCache(t)
	module := helloTarget(t, helloSource).module
	cacheOf := func() string {
		dir, err := cacheDir(module)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	before := cacheOf()
	if again := cacheOf(); again != before {
		t.Errorf("the same module has two places: %s and %s", before, again)
	}
	writeFile(t, filepath.Join(module, "go.sum"), "example.com/a v1.0.0 h1:x\n")
	withSum := cacheOf()
	writeFile(t, filepath.Join(module, "go.mod"), "module example.com/hello\n\ngo 1.25.0\n")
	withMod := cacheOf()
	if withSum == before || withMod == withSum || withMod == before {
		t.Errorf("a change of go.sum or go.mod keeps the place: %s, %s, %s", before, withSum, withMod)
	}
}

func TestAFailedBuildSaysWhatTheCompilerSaidAndLeavesNothing(t *testing.T) {
	emptyCache(t)
	tool := helloTarget(t, "package main\n\nfunc main() { nothing() }\n")
	path, err := build(t.Context(), new(safeBuffer), tool)
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Fatalf("got %q, %v; want the compiler's message", path, err)
	}
	dir, err := cacheDir(tool.module)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hello.lock"}, entries(t, dir)); diff != "" {
		t.Errorf("files in the cache (-want +got):\n%s", diff)
	}
	// A failure is not remembered.
	writeFile(t, filepath.Join(tool.module, "main.go"), helloSource)
	if _, err := build(t.Context(), new(safeBuffer), tool); err != nil {
		t.Error(err)
	}
}

func TestTheWaitForAnotherBuildEndsWithTheTest(t *testing.T) {
	if !locksWork {
		t.Skip("without locks nobody waits")
	}
	emptyCache(t)
	tool := helloTarget(t, helloSource)
	dir, err := cacheDir(tool.module)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), new(safeBuffer), filepath.Join(dir, tool.name))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockInterval)
	defer cancel()
	var log safeBuffer
	_, err = build(ctx, &log, tool)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "--build-only") {
		t.Errorf("got %v, want a deadline and the advice to build first", err)
	}
	if !strings.Contains(log.String(), "waiting for another process to build hello") {
		t.Errorf("the log does not say what it waits for: %q", log.String())
	}
	unlock()
	if _, err := build(t.Context(), &log, tool); err != nil {
		t.Errorf("after the other build: %v", err)
	}
}

func TestWithoutGoTheErrorSaysSo(t *testing.T) {
	emptyCache(t)
	tool := helloTarget(t, helloSource)
	t.Setenv("PATH", t.TempDir())
	_, err := build(t.Context(), new(safeBuffer), tool)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "go command") {
		t.Errorf("got %v", err)
	}
}

func TestALongBuildReportsProgress(t *testing.T) {
	var log safeBuffer
	p := newProgress(&log, "waiting")
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, after := range []time.Duration{0, time.Second, progressInterval, progressInterval + time.Second, 2 * progressInterval} {
		p.tick(start.Add(after))
	}
	want := "cluster: waiting (0s)\ncluster: waiting (15s)\ncluster: waiting (30s)\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

const helloSource = "package main\n\nfunc main() { println(\"hello\") }\n"

// helloTarget writes a nested module with one command and nothing to download.
func helloTarget(t *testing.T, source string) target {
	t.Helper()
	module := t.TempDir()
	writeFile(t, filepath.Join(module, "go.mod"), "module example.com/hello\n\ngo 1.26.0\n")
	writeFile(t, filepath.Join(module, "main.go"), source)
	return target{module: module, pkg: "example.com/hello", name: commandName("example.com/hello")}
}

// emptyCache gives the test a cache of binaries of its own, with Go's own cache as it is: that would move too.
func emptyCache(t *testing.T) {
	t.Helper()
	goCache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(goCache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// safeBuffer is a log that many goroutines write.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
