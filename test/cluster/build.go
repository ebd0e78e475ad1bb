package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const (
	// buildRecipe is part of the cache key. Change it with the flags or the environment of the build.
	buildRecipe = "1"
	// buildTags leave out of promtool what it could discover targets with, which is most of what there is to compile.
	// No other tool knows the tag.
	buildTags = "remove_all_sd"
	// progressInterval is how often a build, or the wait for one, says that it goes on.
	progressInterval = 15 * time.Second
	// lockInterval is how often a process that waits for another's build looks again.
	lockInterval = 200 * time.Millisecond
	// interruptGrace is how long go build may take to remove its temporary files when it is interrupted.
	interruptGrace = 10 * time.Second
)

// target is one binary to build.
type target struct {
	// module is the folder of the nested module, pkg the main package, which the module pins as a tool.
	module, pkg string
	// name of the file.
	name string
	// estimate tells the user how long it takes; empty where nobody measured it.
	estimate string
}

// Tool returns the path of a tool that a nested module pins, and builds it into the cache on first use: module is the
// module's folder in the project, such as tools/helm, pkg the tool's package, such as helm.sh/helm/v4/cmd/helm.
// Progress goes to os.Stderr. For tools that tests run; people use go tool -modfile.
func Tool(ctx context.Context, module, pkg string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return build(ctx, os.Stderr, target{
		module: filepath.Join(root, filepath.FromSlash(module)), pkg: pkg, name: commandName(pkg),
	})
}

// commandName is the name that go install gives to a package's command: not the major version at the end of its path.
func commandName(pkg string) string {
	if name := path.Base(pkg); !regexp.MustCompile(`^v\d+$`).MatchString(name) {
		return name
	}
	return path.Base(path.Dir(pkg))
}

// build returns the path of the binary in the cache, and puts it there if it is missing. Any number of processes may
// ask for it at once: one builds, the others wait.
func build(ctx context.Context, log io.Writer, t target) (string, error) {
	dir, err := cacheDir(t.module)
	if err != nil {
		return "", fmt.Errorf("find the cache for %s: %w", t.name, err)
	}
	binary := filepath.Join(dir, t.name)
	if built(binary) {
		return binary, nil
	}
	unlock, err := lock(ctx, log, binary)
	if err != nil {
		return "", fmt.Errorf("wait for the build of %s: %w%s", t.name, err, buildFirst(err))
	}
	defer unlock()
	if built(binary) {
		return binary, nil
	}
	if err := goBuild(ctx, log, t, binary); err != nil {
		return "", fmt.Errorf("build %s: %w%s", t.name, err, buildFirst(err))
	}
	return binary, nil
}

// built trusts every file of the name: a binary gets it only once it is complete.
func built(binary string) bool {
	info, err := os.Stat(binary)
	return err == nil && info.Mode().IsRegular()
}

// buildFirst is the advice for a test whose timeout was too short for a build.
func buildFirst(err error) string {
	if !errors.Is(err, context.DeadlineExceeded) {
		return ""
	}
	return "; build it before the tests, outside their timeout: go run ./test/cluster/up --build-only"
}

// cacheDir returns the folder for the binaries of a nested module. Everything that decides what a build yields is in
// its name, so nothing in it ever goes stale.
func cacheDir(module string) (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(home, ".cache")
	}
	key := sha256.New()
	fmt.Fprintln(key, buildRecipe, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join(module, name))
		// A module without dependencies has no go.sum.
		if err != nil && (name == "go.mod" || !errors.Is(err, fs.ErrNotExist)) {
			return "", err
		}
		fmt.Fprintln(key, name, len(raw))
		key.Write(raw)
	}
	dir := filepath.Join(base, "revision-router", "bin", hex.EncodeToString(key.Sum(nil)[:8]))
	return dir, os.MkdirAll(dir, 0o700)
}

// lock waits until no other process builds the binary. The lock goes away with the process that holds it, so one
// that was killed blocks nobody.
func lock(ctx context.Context, log io.Writer, binary string) (unlock func(), err error) {
	file, err := os.OpenFile(binary+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(lockInterval)
	defer ticker.Stop()
	progress := newProgress(log, "waiting for another process to build "+filepath.Base(binary))
	for {
		if err = tryLock(file); err == nil {
			return func() { _ = file.Close() }, nil
		}
		if errors.Is(err, errLocked) {
			progress.tick(time.Now())
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return nil, errors.Join(err, file.Close())
	}
}

// goBuild builds beside the binary's place and then renames: what stands there is complete at any time.
func goBuild(ctx context.Context, log io.Writer, t target, binary string) (err error) {
	versions, err := readVersions(t.module)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(binary), t.name+".tmp-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	say(log, "building %s from Go modules, once%s; it goes to %s",
		strings.TrimSpace(t.name+" "+versionOf(t.pkg, versions)), prefixed(": ", t.estimate), binary)
	output := filepath.Join(dir, t.name)
	//nolint:gosec // The arguments are ours; the package is pinned by the module.
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-buildvcs=false", "-tags="+buildTags,
		"-ldflags="+linkFlags(t.pkg, versions), "-o", output, t.pkg)
	cmd.Dir = t.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH,
		// Not empty, else go takes the user's from its own configuration, where -mod=mod or -modfile may stand.
		"GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptGrace
	if err := watch(ctx, log, cmd, "building "+t.name); err != nil {
		return err
	}
	return os.Rename(output, binary)
}

// versionOf returns the version of the module that holds the package: the longest path that is a prefix.
func versionOf(pkg string, versions map[string]string) string {
	for dir := pkg; dir != "."; dir = path.Dir(dir) {
		if version, ok := versions[dir]; ok {
			return version
		}
	}
	return ""
}

// linkFlags leave out what only a debugger reads, and make the commands of Kubernetes report their version. Clients
// read all three: Helm compares a chart's kubeVersion with the first and hands the others to templates.
func linkFlags(pkg string, versions map[string]string) string {
	const kubernetes, variables = "k8s.io/kubernetes", "k8s.io/component-base/version"
	flags := "-s -w"
	if !strings.HasPrefix(pkg, kubernetes+"/") {
		return flags
	}
	version := versions[kubernetes]
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return fmt.Sprintf("%[1]s -X %[2]s.gitVersion=%[3]s -X %[2]s.gitMajor=%[4]s -X %[2]s.gitMinor=%[5]s",
		flags, variables, version, major, minor)
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
