package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/test/cluster"
)

const (
	// name is apart from what people build.
	name = "revision-router:image-test"
	// limit is what the image may take.
	limit = 40 << 20
	root  = "../.."
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// engine skips the test where no Docker Engine answers, or fails it where one is required.
func engine(t *testing.T) {
	t.Helper()
	why := "no Docker Engine answers"
	if out, err := exec.CommandContext(t.Context(), "docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err == nil {
		t.Logf("Docker Engine %s", bytes.TrimSpace(out))
		return
	} else if errors.Is(err, exec.ErrNotFound) {
		why = "there is no docker command"
	}
	const next = "start one; .ci/engine does that on Debian and Ubuntu, as root"
	if os.Getenv("IMAGE_TEST") == "required" {
		t.Fatalf("the image CANNOT be tested: %s. Next: %s", why, next)
	}
	t.Skipf("the image is NOT tested: %s. Next: %s", why, next)
}

func command(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out
}

// built is one image with what it was made from.
type built struct {
	dir string
	// the parts of docker image inspect that are judged.
	ID     string `json:"Id"`
	Size   int64
	RootFS struct{ Layers []string }
	Config struct {
		User       string
		Entrypoint []string
		Labels     map[string]string
	}
}

func build(t *testing.T) built {
	t.Helper()
	image := built{dir: t.TempDir()}
	command(t, "make", "-C", root, "image", "IMAGE="+name, "IMAGE_DIR="+image.dir, "IMAGE_FLAGS=--no-cache")
	var all []built
	if err := json.Unmarshal(command(t, "docker", "image", "inspect", name), &all); err != nil || len(all) != 1 {
		t.Fatalf("docker image inspect: %d images, %v", len(all), err)
	}
	all[0].dir = image.dir
	return all[0]
}

func TestImage(t *testing.T) {
	engine(t)
	first := build(t)
	t.Cleanup(func() {
		_ = exec.Command("docker", "image", "rm", "--force", name, first.ID).Run() // the test's context is over
	})
	t.Run("the same commit gives the same files and layers", func(t *testing.T) {
		second := build(t)
		for _, file := range []string{"router", "sbom.cdx.json", "LICENSE"} {
			if a, b := sum(t, filepath.Join(first.dir, file)), sum(t, filepath.Join(second.dir, file)); a != b {
				t.Errorf("%s: sha256 %s, then %s", file, a, b)
			} else {
				t.Logf("%s: sha256 %s, twice", file, a)
			}
		}
		if diff := cmp.Diff(first.RootFS.Layers, second.RootFS.Layers); diff != "" {
			t.Errorf("layers (-first +second):\n%s", diff)
		}
	})
	t.Run("it is small", func(t *testing.T) {
		t.Logf("the image has %.1f MiB", float64(first.Size)/(1<<20))
		if first.Size >= limit || first.Size == 0 {
			t.Errorf("the image has %d bytes, want less than %d", first.Size, limit)
		}
	})
	t.Run("it names itself and runs as nobody", func(t *testing.T) {
		if first.Config.User != "65532:65532" || !slices.Equal(first.Config.Entrypoint, []string{"/router"}) {
			t.Errorf("user %q, entrypoint %q", first.Config.User, first.Config.Entrypoint)
		}
		for _, label := range []string{"title", "description", "source", "documentation", "licenses", "version", "revision", "created"} {
			if value := first.Config.Labels["org.opencontainers.image."+label]; value == "" || value == "unknown" {
				t.Errorf("label %s is %q", label, value)
			}
		}
	})
	t.Run("it holds the binary, its bill of materials and the license, and nothing else", func(t *testing.T) {
		if diff := cmp.Diff([]string{"LICENSE", "router", "sbom.cdx.json"}, contents(t)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
	t.Run("it runs without any right", func(t *testing.T) {
		out := command(t, slices.Concat(confined(), []string{"--network=none", name, "version"})...)
		if !strings.HasPrefix(string(out), "router ") && !strings.Contains(string(out), "go1.") {
			t.Errorf("router version says %q", out)
		}
	})
	t.Run("a container of it becomes ready", becomesReady)
}

// confined is how the chart's securityContext reads on a command line.
func confined() []string {
	return []string{
		"docker", "run", "--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=65532:65532",
	}
}

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// contents lists the files of a container of the image, without what the engine puts into every container.
func contents(t *testing.T) []string {
	t.Helper()
	id := strings.TrimSpace(string(command(t, "docker", "create", name)))
	defer command(t, "docker", "rm", id)
	archive := tar.NewReader(bytes.NewReader(command(t, "docker", "export", id)))
	var files []string
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(files)
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		file := path.Clean(header.Name)
		engines := []string{".dockerenv", "dev", "etc", "proc", "sys"}
		if header.Typeflag != tar.TypeDir && !slices.Contains(engines, strings.Split(file, "/")[0]) {
			files = append(files, file)
		}
	}
}
