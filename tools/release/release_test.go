package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/test/cluster"
)

const root = "../.."

// chartVersion is the version that a release of the tree has.
func chartVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "charts", "revision-router", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version string `json:"version"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	return "v" + chart.Version
}

func TestAReleaseHasTheVersionOfItsChart(t *testing.T) {
	version := chartVersion(t)
	if err := checkVersion(options{root: root, version: version}); err != nil {
		t.Error(err)
	}
	err := checkVersion(options{root: root, version: "v99.0.0"})
	if err == nil || !strings.Contains(err.Error(), `the release is "v99.0.0", and Chart.yaml has version `+version[1:]) {
		t.Errorf("another version: %v", err)
	}
}

// The files of a release for this machine: what is in them, that they are the same every time, and that they run.
func TestRelease(t *testing.T) {
	o := options{root: root, version: chartVersion(t), out: t.TempDir(), platforms: []string{runtime.GOOS + "/" + runtime.GOARCH}}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("revision-router_%s_%s_%s.tar.gz", o.version, runtime.GOOS, runtime.GOARCH)
	first := read(t, filepath.Join(o.out, name))
	files := unpack(t, first)
	var names []string
	for file := range files {
		names = append(names, file)
	}
	if files["router"] == nil || files["LICENSE"] == nil || !bytes.Contains(files["sbom.cdx.json"], []byte("CycloneDX")) {
		t.Errorf("the archive holds %v", names)
	}
	router := filepath.Join(t.TempDir(), "kubectl-revision_router") // as krew links it
	if err := os.WriteFile(router, files["router"], 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), router, "version").CombinedOutput(); err != nil || len(out) == 0 {
		t.Errorf("version: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(o.out, "revision-router-"+o.version[1:]+".tgz")); err != nil {
		t.Errorf("the package of the chart: %v", err)
	}
	var want strings.Builder
	for _, file := range []string{"revision-router-" + o.version[1:] + ".tgz", "revision-router.yaml", name} {
		fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(read(t, filepath.Join(o.out, file))), file)
	}
	if diff := cmp.Diff(want.String(), string(read(t, filepath.Join(o.out, checksums)))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", checksums, diff)
	}
	again, err := build(t.Context(), o, o.platforms[0])
	if err != nil {
		t.Fatal(err)
	}
	if second := read(t, filepath.Join(o.out, again.name)); !bytes.Equal(first, second) {
		t.Error("the same tree gave another archive")
	}
	checkPlugin(t, filepath.Join(o.out, "revision-router.yaml"), again)
}

// checkPlugin has krew itself judge the manifest, but for the download, and looks for the archive in it.
func checkPlugin(t *testing.T, path string, a archive) {
	t.Helper()
	krew, err := cluster.Tool(t.Context(), "tools/krew", "sigs.k8s.io/krew/cmd/validate-krew-manifest")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), krew, "-manifest", path, "-skip-install").CombinedOutput(); err != nil {
		t.Errorf("validate-krew-manifest: %v\n%s", err, out)
	}
	var p plugin
	if err := yaml.UnmarshalStrict(read(t, path), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Spec.Platforms) != 1 || p.Spec.Platforms[0].SHA256 != a.sha256 || !strings.HasSuffix(p.Spec.Platforms[0].URI, "/"+p.Spec.Version+"/"+a.name) {
		t.Errorf("platforms %+v, want that of %+v", p.Spec.Platforms, a)
	}
}

// krew shows it in a table, and refuses longer ones.
func TestPluginOfEveryPlatform(t *testing.T) {
	var archives []archive
	for _, platform := range allPlatforms() {
		system, arch, _ := strings.Cut(platform, "/")
		archives = append(archives, archive{os: system, arch: arch})
	}
	p := pluginOf("v1.2.3", archives)
	if len(p.Spec.Platforms) != len(allPlatforms()) || len(p.Spec.ShortDescription) > 50 || strings.HasSuffix(p.Spec.ShortDescription, ".") {
		t.Errorf("%d platforms, short description %q", len(p.Spec.Platforms), p.Spec.ShortDescription)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for entries := tar.NewReader(zip); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = content
	}
}
