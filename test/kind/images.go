package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// standIn is the program of all images but the router's.
const standIn = "./test/standin"

// The names under which images are loaded.
const (
	routerRepository, routerTag = "revision-router", "kind"
	// AppImage is that of applications.
	AppImage = "app:1"
	// pageImage is the one that docs/upgrade-your-mesh.md creates Deployments of.
	pageImage = "registry.example/cart:1"
)

// Router is the path of the program in the router's image, for its other commands.
func (c *Cluster) Router() string { return filepath.Join(c.Dir, "image", "router") }

// LoadRouter builds the router's image as its users do, by make image, and loads it.
func (c *Cluster) LoadRouter(ctx context.Context) error {
	name := routerRepository + ":" + routerTag
	//nolint:gosec // the arguments are ours
	build := exec.CommandContext(ctx, "make", "-C", c.Root, "image", "IMAGE="+name, "IMAGE_DIR="+filepath.Join(c.Dir, "image"))
	if _, err := run(build); err != nil {
		return fmt.Errorf("building the router's image: %w", err)
	}
	return c.load(ctx, []string{name})
}

// Versions are those of Istio's that stand-ins are loaded for.
func Versions() []string {
	return []string{"1.27.3", "1.28.5", "1.29.6", "1.29.7", "1.30.3", "1.31.1", "1.32.0"}
}

// istioImages are the images of one version of Istio's.
func istioImages(version string) []string {
	const hub = "registry.istio.io/release/"
	names := []string{"istio/proxyv2:" + version, "registry.example/istio/proxyv2:" + version} // the latter is the page's
	for _, image := range []string{"pilot", "proxyv2", "install-cni", "ztunnel"} {
		names = append(names, hub+image+":"+version, hub+image+":"+version+"-distroless")
	}
	return names
}

// LoadStandIns builds the images that stand in for Istio's and for applications, and loads them in one archive: they are one
// program, with a version.
func (c *Cluster) LoadStandIns(ctx context.Context) error {
	dir := filepath.Join(c.Dir, "standin")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("building the stand-ins: %w", err)
	}
	//nolint:gosec // the arguments are ours
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "standin"), standIn)
	build.Dir = c.Root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if _, err := run(build); err != nil {
		return fmt.Errorf("building the stand-ins: %w", err)
	}
	all := []string{AppImage, pageImage}
	if err := imageOf(ctx, dir, "none", all); err != nil {
		return err
	}
	for _, version := range Versions() {
		names := istioImages(version)
		if err := imageOf(ctx, dir, version, names); err != nil {
			return err
		}
		all = append(all, names...)
	}
	return c.load(ctx, all)
}

// imageOf makes an image of the program in dir under all names. It has no shell and no user but a number.
func imageOf(ctx context.Context, dir, version string, names []string) error {
	file := "FROM scratch\nCOPY standin /\nENV ISTIO_VERSION=" + version + "\nUSER 65532:65532\nENTRYPOINT [\"/standin\"]\n"
	args := []string{"build", "--quiet", "--file=-"}
	for _, name := range names {
		args = append(args, "--tag="+name)
	}
	build := exec.CommandContext(ctx, "docker", append(args, dir)...) //nolint:gosec // the arguments are ours
	build.Stdin = strings.NewReader(file)
	if _, err := run(build); err != nil {
		return fmt.Errorf("building the images of %s: %w", version, err)
	}
	return nil
}

// load brings images to every node. kind load docker-image would ask every node for every name first.
func (c *Cluster) load(ctx context.Context, names []string) error {
	archive := filepath.Join(c.Dir, "images.tar")
	save := slices.Concat([]string{"save", "--output", archive}, names)
	if _, err := run(exec.CommandContext(ctx, "docker", save...)); err != nil { //nolint:gosec // the arguments are ours
		return fmt.Errorf("saving images: %w", err)
	}
	_, err := run(c.machine.command(ctx, "load", "image-archive", archive, "--name", c.Name))
	if err != nil {
		err = fmt.Errorf("loading images: %w", err)
	}
	return errors.Join(err, os.Remove(archive))
}
