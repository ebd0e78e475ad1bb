package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func example() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8 X:nodwarf5", Path: "example.com/program/cmd/program", Main: debug.Module{Path: "example.com/program", Version: "v0.1.0"},
		Deps: []*debug.Module{
			{Path: "gopkg.in/z", Version: "v2.0.0+incompatible", Sum: "h1:z="},
			{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:a=", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.0.1", Sum: "h1:f="}},
		},
		Settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "-ldflags", Value: "-s"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}},
	}
}

func TestTheBillNamesEveryModule(t *testing.T) {
	text, err := document(example())
	if err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got.SerialNumber) {
		t.Errorf("serial number %s", got.SerialNumber)
	}
	got.SerialNumber = ""
	const fork, stdlib, z = "pkg:golang/example.com/fork@v1.0.1", "pkg:golang/stdlib@v1.26.8", "pkg:golang/gopkg.in/z@v2.0.0%2Bincompatible"
	const program = "pkg:golang/example.com/program@v0.1.0"
	want := bom{
		BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{"2026-01-02T03:04:05Z", component{
			"application", program, "example.com/program/cmd/program", "v0.1.0", program,
			[]property{{"go:version", "go1.26.8 X:nodwarf5"}, {"go:build:CGO_ENABLED", "0"}, {"go:build:vcs.time", "2026-01-02T03:04:05Z"}},
		}},
		Components: []component{
			{"library", fork, "example.com/fork", "v1.0.1", fork, []property{{"go:sum", "h1:f="}}},
			{"library", z, "gopkg.in/z", "v2.0.0+incompatible", z, []property{{"go:sum", "h1:z="}}},
			{"library", stdlib, "stdlib", "v1.26.8", stdlib, nil},
		},
		Dependencies: []dependency{{program, []string{fork, z, stdlib}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheBillDependsOnTheBinaryAlone(t *testing.T) {
	first, err := document(example())
	if err != nil {
		t.Fatal(err)
	}
	second, err := document(example())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("two bills of one binary differ:\n%s", cmp.Diff(string(first), string(second)))
	}
	other := example()
	other.Deps[0].Version = "v2.0.1"
	third, err := document(other)
	if err != nil {
		t.Fatal(err)
	}
	serial := regexp.MustCompile(`urn:uuid:\S+`)
	if bytes.Equal(serial.Find(first), serial.Find(third)) {
		t.Error("bills of different binaries have one serial number")
	}
}

func TestWhatIsNoBinaryIsRefused(t *testing.T) {
	if err := run("cyclonedx.go", t.TempDir()+"/out"); err == nil {
		t.Error("a source file has a bill of materials")
	}
}
