package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// planned are the runs of plan whose whole output is kept.
func planned() map[string][]string {
	before := []string{"-f", meshes + "revisionbased-before.json", "-f", "testdata/status/healthy.jsonl"}
	during := []string{"-f", meshes + "revisionbased-during.json", "-f", "testdata/status/upgrade.jsonl"}
	ambient := []string{"-f", meshes + "ambient-inplace.json"}
	offered := []string{"--available", "v1.28.3,v1.29.6,v1.30.3,v1.31.0,v1.31.1"}
	runs := map[string][]string{
		"alias.table":          append(slices.Clone(before), "--to", "v1.31.1"),
		"crd.table":            append(slices.Clone(before), "-f", "testdata/plan/crd.yaml", "--to", "v1.31.1"),
		"crd.usage":            append(slices.Clone(before), "-f", "testdata/plan/crd.yaml", "--to", "v1.30.7"),
		"during.table":         append(slices.Clone(during), "--to", "v1.30.3"),
		"there.table":          append(slices.Clone(ambient), "--to", "v1.29.6"),
		"there.json":           append(slices.Clone(ambient), "--to", "v1.29.6", "-o", "json"),
		"ondelete.table":       append(slices.Clone(ambient), "--to", "v1.30.3", "--drain", "ondelete"),
		"declared.table":       {"-f", "../manifest/testdata/git", "--to", "v1.31.1"},
		"policy-off.table":     append(slices.Clone(during), "--to", "v1.30.3", "--policy", "testdata/check/off.yaml"),
		"no-version.usage":     before,
		"no-istio.usage":       {"-f", "testdata/nothing.yaml", "--to", "v1.30.3"},
		"unknown-output.usage": append(slices.Clone(before), "--to", "v1.30.3", "-o", "yaml"),
		"unknown-drain.usage":  append(slices.Clone(before), "--to", "v1.30.3", "--drain", "fast"),
		"tag.markdown":         slices.Concat(before, offered, []string{"--to", "v1.30.3", "--tag", "stable", "-o", "markdown"}),
		"strategy.table":       slices.Concat(ambient, offered, []string{"--to", "v1.30.3", "--strategy", "RevisionBased"}),
		"strategy.usage":       append(slices.Clone(before), "--to", "v1.30.3", "--strategy", "inplace"),
	}
	for _, output := range []string{"table", "json", "markdown"} {
		runs["two-minors."+output] = slices.Concat(before, offered, []string{"--to", "v1.31.1", "-o", output})
		runs["ambient."+output] = slices.Concat(ambient, offered, []string{"--to", "v1.30.3", "--drain", "grace", "-o", output})
		runs["bypassed."+output] = slices.Concat(ambient, []string{"-f", "testdata/status/bypassed.yaml", "--to", "v1.30.3", "-o", output}, offered)
		runs["no-way."+output] = slices.Concat(ambient, []string{"-f", "testdata/status/ambient.jsonl", "--to", "v1.28.3", "-o", output}, offered)
	}
	return runs
}

func TestGoldenPlans(t *testing.T) {
	t.Parallel()
	keepGolden(t, filepath.Join("testdata", "golden-plan"), "plan", planned())
}

// A list as kubectl writes it holds the CustomResourceDefinition among others, and standard input is read once.
func TestVersionsOfTheCustomResourceDefinitionInAList(t *testing.T) {
	t.Parallel()
	mesh, err := os.ReadFile(meshes + "revisionbased-before.json")
	if err != nil {
		t.Fatal(err)
	}
	input := string(mesh) + "\n" + `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",` +
		`"metadata":{"name":"istios.sailoperator.io"},"spec":{"versions":[{"name":"v1","served":true,"schema":{"openAPIV3Schema":{"properties":` +
		`{"spec":{"properties":{"version":{"enum":["v1.29.6","v1.30.3"]}}}}}}}]}}]}`
	got := ranCommand(t, "plan", input, "-f", "-", "--to", "v1.30.4")
	if got.code != ExitUsage || !strings.Contains(got.stderr, "it offers v1.29.6, v1.30.3") {
		t.Errorf("got exit code %d, stderr %q", got.code, got.stderr)
	}
}

// The specification names exactly the keys that the JSON has.
func TestTheSpecificationNamesEveryKeyOfAPlan(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "### 6.2 router plan")
	section, _, closed := strings.Cut(section, "\n### 6.3 ")
	if !found || !closed {
		t.Fatal("spec.md has no section 6.2")
	}
	documented, printed := map[string]bool{}, map[string]bool{}
	for _, key := range regexp.MustCompile(`"([a-zA-Z]+)":`).FindAllStringSubmatch(section, -1) {
		documented[key[1]] = true
	}
	var d any
	got := ranCommand(t, "plan", "", append(slices.Clone(planned()["two-minors.json"]), "-o", "json")...)
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		t.Fatal(err)
	}
	addKeys(printed, d)
	if diff := cmp.Diff(documented, printed); diff != "" {
		t.Errorf("keys (-documented +printed):\n%s", diff)
	}
}
