package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	readme         = "../../README.md"
	recordingBegin = "```console\n"
	recordingEnd   = "```\n"
)

// sample is a folder as the recording's user has it: a mesh that was saved from a cluster, and two changes.
func sample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range map[string]string{
		"mesh/objects.json": meshes + "revisionbased-before.json", "mesh/pods.jsonl": "testdata/status/healthy.jsonl",
		"istiocni.yaml": "testdata/recording/istiocni.yaml", "apps/cart.yaml": "testdata/recording/apps/cart.yaml",
		"apps/staging.yaml": "testdata/recording/apps/staging.yaml",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(readText(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// played runs a line as a shell would that knows no more than | head -n.
func played(t *testing.T, line string) string {
	t.Helper()
	typed, head, cut := strings.Cut(line, " | head -")
	args := strings.Fields(typed)
	if len(args) < 2 || args[0] != "router" {
		t.Fatalf("the recording runs %q", line)
	}
	got := ranCommand(t, args[1], "", args[2:]...)
	text := got.stdout + got.stderr
	if !cut {
		return text
	}
	n, err := strconv.Atoi(head)
	if err != nil {
		t.Fatalf("the recording runs %q: %v", line, err)
	}
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[:min(n, len(lines))], "")
}

// The recording in the README is what the commands print today.
//
//nolint:paralleltest // the working directory is the whole process's
func TestTheRecordingInTheReadme(t *testing.T) {
	page := readText(t, readme)
	before, rest, found := strings.Cut(page, recordingBegin)
	recorded, after, closed := strings.Cut(rest, recordingEnd)
	if !found || !closed {
		t.Fatal("the README holds no recording")
	}
	path, err := filepath.Abs(readme)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(sample(t))
	var replayed strings.Builder
	for line := range strings.Lines(recorded) {
		if typed, is := strings.CutPrefix(line, "$ "); is {
			if replayed.Len() > 0 {
				replayed.WriteString("\n")
			}
			replayed.WriteString(line + played(t, strings.TrimSpace(typed)))
		}
	}
	if strings.Count(replayed.String(), "$ router ") < 4 {
		t.Errorf("the recording is shorter than a session:\n%s", replayed.String())
	}
	if diff := cmp.Diff(recorded, replayed.String()); diff != "" {
		if *update {
			if err := os.WriteFile(path, []byte(before+recordingBegin+replayed.String()+recordingEnd+after), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("(-README +today):\n%s\nto accept it: go test ./internal/cli -run Recording -update", diff)
	}
}
