package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// archive is what a platform's users download.
type archive struct {
	os, arch string
	name     string // of the file
	bin      string // of the program in it
	sha256   string
}

// checkVersion refuses a version that is not the chart's: whoever installs the chart gets the image of its appVersion.
func checkVersion(o options) error {
	text, err := os.ReadFile(filepath.Join(o.root, "charts", "revision-router", "Chart.yaml"))
	if err != nil {
		return fmt.Errorf("reading the chart's version: %w", err)
	}
	var chart struct {
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return fmt.Errorf("reading the chart's version: %w", err)
	}
	if "v"+chart.Version != o.version || chart.AppVersion != chart.Version {
		return fmt.Errorf("the release is %q, and Chart.yaml has version %s and appVersion %s: set both in charts/revision-router/Chart.yaml, "+
			"commit that, and tag the commit v%s", o.version, chart.Version, chart.AppVersion, chart.Version)
	}
	return nil
}

// build makes the archive of one platform.
func build(ctx context.Context, o options, platform string) (archive, error) {
	goos, goarch, found := strings.Cut(platform, "/")
	if !found {
		return archive{}, errors.New("a platform is os/arch, such as linux/amd64")
	}
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return archive{}, fmt.Errorf("making a work folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a := archive{os: goos, arch: goarch, bin: "router", name: fmt.Sprintf("revision-router_%s_%s_%s.tar.gz", o.version, goos, goarch)}
	if goos == "windows" {
		a.bin = "router.exe"
	}
	binary, sbom := filepath.Join(dir, a.bin), filepath.Join(dir, "sbom.cdx.json")
	env := []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch}
	err = goCommand(ctx, o, env, "build", "-buildvcs=auto", "-trimpath", "-ldflags=-s -w -buildid=", "-o", binary, "./cmd/router")
	if err != nil {
		return archive{}, err
	}
	if err := goCommand(ctx, o, nil, "run", "./tools/sbom", "-o", sbom, binary); err != nil {
		return archive{}, err
	}
	a.sha256, err = pack(filepath.Join(o.out, a.name), []string{binary, sbom, filepath.Join(o.root, "LICENSE")})
	return a, err
}

func goCommand(ctx context.Context, o options, env []string, args ...string) error {
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are ours
	command.Dir, command.Env = o.root, append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// packageChart makes the package that is pushed to the registry.
func packageChart(ctx context.Context, o options) error {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	return goCommand(ctx, o, nil, "tool", "-modfile=tools/helm/go.mod", "helm", "package", "charts/revision-router", "--destination", out)
}
