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
	const forward = "testdata/forward/"
	known := []string{"-f", forward + "mesh.yaml", "-f", forward + "endpoints.yaml", "-f", forward + "workloads.yaml"}
	for _, output := range []string{"table", "wide", "json"} {
		runs["forward."+output] = append([]string{"--mode", "forward", "-o", output}, known...)
	}
	runs["forward-policy.table"] = append([]string{"--mode", "forward", "--policy", forward + "policy.yaml"}, known...)
	runs["forward-in-guard.table"] = known
	runs["forward-without-endpoints.table"] = []string{"--mode", "forward", "-f", forward + "mesh.yaml", "-f", forward + "workloads.yaml"}
	runs["forward-declared.table"] = []string{"--mode", "forward", "-f", "../manifest/testdata/git", "-f", workloads}
	runs["nothing.wide"] = []string{"-f", "testdata/nothing.yaml", "-o", "wide"}
	for _, output := range resolveOutputs() {
		runs["repository."+output] = []string{"-f", repository, "-o", output}
	}
	for _, output := range []string{outputGitHub, outputGitLab, outputSARIF} {
		runs["nothing."+output] = []string{"-f", "testdata/nothing.yaml", "-o", output}
		runs["mistakes."+output] = []string{"-f", "testdata/mistakes.yaml", "-o", output}
	}
	for _, mesh := range []string{"ambient-inplace", "revisionbased-before", "revisionbased-during"} {
		for _, output := range []string{"table", "wide", "json"} {
			runs[mesh+"."+output] = []string{"-f", meshes + mesh + ".json", "-f", workloads, "-o", output}
		}
	}
	return runs
}

// checked are the runs of check whose whole output is kept.
func checked() map[string][]string {
	const changes = "testdata/check/"
	ambient, before, during := meshes+"ambient-inplace.json", meshes+"revisionbased-before.json", meshes+"revisionbased-during.json"
	runs := map[string][]string{
		"inplace-step.table":     {"-f", ambient, "--change", changes + "inplace-two-minors.yaml"},
		"all-at-once.table":      {"-f", ambient, "--change", changes + "all-at-once.yaml"},
		"all-at-once.json":       {"-f", ambient, "--change", changes + "all-at-once.yaml", "-o", "json"},
		"cni-ahead.table":        {"-f", during, "--change", changes + "cni-ahead.yaml"},
		"cni-ahead.json":         {"-f", during, "--change", changes + "cni-ahead.yaml", "-o", "json"},
		"override.table":         {"-f", during, "--change", changes + "cni-ahead-override.yaml"},
		"override.json":          {"-f", during, "--change", changes + "cni-ahead-override.yaml", "-o", "json"},
		"policy-off.table":       {"-f", during, "--change", changes + "cni-ahead.yaml", "--policy", changes + "off.yaml"},
		"operator.table":         {"-f", during, "--change", changes + "cni-ahead.yaml", "--as", "system:serviceaccount:sail-operator:sail-operator"},
		"squeeze.table":          {"-f", before, "--change", changes + "squeeze.yaml"},
		"delete-tag.table":       {"-f", during, "--change", changes + "tag-prod.yaml", "--delete"},
		"delete-nothing.table":   {"-f", ambient, "--change", changes + "tag-prod.yaml", "--delete"},
		"labels.table":           {"-f", during, "--change", changes + "labels.yaml"},
		"waypoints.table":        {"-f", ambient, "--change", changes + "waypoints.yaml"},
		"policies.table":         {"-f", ambient, "-f", "testdata/status/bypassed.yaml", "--change", changes + "policies.yaml"},
		"policies.sarif":         {"-f", ambient, "-f", "testdata/status/bypassed.yaml", "--change", changes + "policies.yaml", "-o", "sarif"},
		"waypoints.json":         {"-f", ambient, "--change", changes + "waypoints.yaml", "-o", "json"},
		"declared.table":         {"-f", "../manifest/testdata/git", "--change", changes + "git-next.yaml"},
		"nothing-there.table":    {"-f", "testdata/nothing.yaml", "--change", changes + "all-at-once.yaml"},
		"several-in-order.table": {"-f", during, "--change", changes + "cni-ahead.yaml", "--change", changes + "labels.yaml"},
		"delete-tag.sarif":       {"-f", during, "--change", changes + "tag-prod.yaml", "--delete", "-o", "sarif"},
	}
	for _, output := range []string{outputGitHub, outputGitLab, outputSARIF} {
		for change, mesh := range map[string]string{
			"override": during, "labels": during, "waypoints": ambient, "all-at-once": ambient, "git-next": "../manifest/testdata/git",
		} {
			file := change + ".yaml"
			if change == "override" {
				file = "cni-ahead-override.yaml"
			}
			runs[change+"."+output] = []string{"-f", mesh, "--change", changes + file, "-o", output}
		}
	}
	return runs
}

// Every format of every command is kept, of a run that has something to say and of one that has not.
func TestEveryFormatIsKept(t *testing.T) {
	t.Parallel()
	for dir, outputs := range map[string][]string{
		"golden": resolveOutputs(), "golden-check": checkOutputs(), "golden-status": statusOutputs(), "golden-plan": planOutputs(),
	} {
		for _, output := range outputs {
			kept, err := filepath.Glob(filepath.Join("testdata", dir, "*."+output+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			full, exits := 0, map[string]bool{}
			for _, file := range kept {
				_, rest, _ := strings.Cut(readText(t, file), "-- exit --\n")
				exits[rest[:1]] = true
				if !strings.Contains(rest, "-- stdout --\n-- stderr --\n") {
					full++
				}
			}
			if full == 0 || !exits["0"] || !exits["1"] {
				t.Errorf("%s holds %d runs with -o %s that print something, with exit codes %v; want some with 0 and 1", dir, full, output, exits)
			}
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for command, runs := range map[string]map[string][]string{"resolve": golden(), "check": checked()} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("testdata", "golden")
			if command != "resolve" {
				dir += "-" + command
			}
			keepGolden(t, dir, command, runs)
		})
	}
}

func keepGolden(t *testing.T, dir, command string, runs map[string][]string) {
	t.Helper()
	for name, args := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, command, "", args...)
			archive := txtar.Format(&txtar.Archive{
				Comment: []byte("router " + command + " " + strings.Join(args, " ") + "\n"),
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
		if _, ok := runs[strings.TrimSuffix(filepath.Base(file), ".txtar")]; !ok {
			t.Errorf("%s belongs to no run", file)
		}
	}
}
