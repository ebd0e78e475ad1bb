package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	meshes    = "../manifest/testdata/meshes/"
	workloads = "../manifest/testdata/workloads"
)

// golden are the runs whose whole output is kept in testdata/golden.
func golden() map[string][]string {
	runs := map[string][]string{
		"declared.table":      {"-f", "../manifest/testdata/git", "-f", workloads},
		"declared.json":       {"-f", "../manifest/testdata/git", "-f", workloads, "-o", "json"},
		"no-mesh.table":       {"-f", workloads},
		"no-mesh.json":        {"-f", workloads, "-o", "json"},
		"nothing.table":       {"-f", "testdata/nothing.yaml"},
		"nothing.json":        {"-f", "testdata/nothing.yaml", "-o", "json"},
		"mistakes.table":      {"-f", "testdata/mistakes.yaml"},
		"other-default.table": {"-f", meshes + "revisionbased-before.json", "-f", "testdata/unnamed.yaml", "-n", "shop"},
	}
	for _, mesh := range []string{"ambient-inplace", "revisionbased-before", "revisionbased-during"} {
		for _, output := range []string{"table", "wide", "json"} {
			runs[mesh+"."+output] = []string{"-f", meshes + mesh + ".json", "-f", workloads, "-o", output}
		}
	}
	return runs
}

func TestGolden(t *testing.T) {
	t.Parallel()
	const dir = "testdata/golden"
	for name, args := range golden() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ran(t, "", args...)
			archive := txtar.Format(&txtar.Archive{
				Comment: []byte("router resolve " + strings.Join(args, " ") + "\n"),
				Files: []txtar.File{
					{Name: "exit", Data: []byte{byte('0' + got.code), '\n'}},
					{Name: "stdout", Data: []byte(got.stdout)},
					{Name: "stderr", Data: []byte(got.stderr)},
				},
			})
			path := filepath.Join(dir, name+".txtar")
			if *update {
				if err := os.WriteFile(path, archive, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; to write it: go test ./internal/cli -update", err)
			}
			if diff := cmp.Diff(string(want), string(archive)); diff != "" {
				t.Errorf("(-want +got):\n%s\nto accept it: go test ./internal/cli -update", diff)
			}
		})
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := golden()[strings.TrimSuffix(filepath.Base(file), ".txtar")]; !ok {
			t.Errorf("%s belongs to no run", file)
		}
	}
}
