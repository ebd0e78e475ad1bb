// Command release makes the files of a release: an archive of the router for each platform with its bill of materials,
// the package of the chart, the manifest of the kubectl plugin, and checksums.txt over all of them.
//
//	release -version v0.2.0 -out bin/dist
//
// It builds from the tree as it is and publishes nothing. The same commit gives the same archives.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var o options
	flag.StringVar(&o.version, "version", "", "version of the release, such as v0.2.0; that of Chart.yaml")
	flag.StringVar(&o.out, "out", "bin/dist", "folder to write to")
	flag.StringVar(&o.root, "root", ".", "folder of the repository")
	platforms := flag.String("platforms", strings.Join(allPlatforms(), ","), "platforms to build for")
	flag.Parse()
	o.platforms = strings.Split(*platforms, ",")
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// options say what to make.
type options struct {
	version, out, root string
	platforms          []string // os/arch
}

// allPlatforms are those on which people run the commands. The server runs on Linux alone.
func allPlatforms() []string {
	return []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64"}
}

func run(ctx context.Context, o options) error {
	if err := checkVersion(o); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("making the folder of the release: %w", err)
	}
	var archives []archive
	for _, platform := range o.platforms {
		built, err := build(ctx, o, platform)
		if err != nil {
			return fmt.Errorf("building for %s: %w", platform, err)
		}
		archives = append(archives, built)
	}
	if err := packageChart(ctx, o); err != nil {
		return err
	}
	if err := writePlugin(o, archives); err != nil {
		return err
	}
	return writeChecksums(o.out)
}
