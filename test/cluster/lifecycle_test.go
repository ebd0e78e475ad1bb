package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnOutageOfTheAPIServerKeepsAddressAndData(t *testing.T) {
	c := start(t)
	config := c.Config()
	client := clientFor(t, config)
	namespace := createNamespace(t, client, nil)
	// A client that watches, as an informer does, must not hold up the outage.
	watch, err := client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()

	for range 2 {
		if err := c.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err == nil {
		t.Error("the API server answers after StopAPIServer")
	} else if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		t.Errorf("the API server answers after StopAPIServer: %v", err)
	}
	for range 2 {
		if err := c.StartAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Config().Host; got != config.Host {
		t.Errorf("address is %s after the outage, was %s", got, config.Host)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
		t.Errorf("the client from before the outage reads an object from before: %v", err)
	}
}

func TestTwoClustersAtOnceShareNothing(t *testing.T) {
	other := start(t)
	if a, b := Shared(t).Config().Host, other.Config().Host; a == b {
		t.Fatalf("both listen on %s", a)
	}
	namespace := createNamespace(t, clientFor(t, Shared(t).Config()), nil)
	_, err := clientFor(t, other.Config()).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the other cluster says %v to a namespace of the first, want not found", err)
	}
	// The credentials of one are worth nothing to the other, and the certificate of one is none for the other.
	crossed := other.Config()
	crossed.Host = Shared(t).Config().Host
	if _, err := clientFor(t, crossed).Discovery().ServerVersion(); err == nil {
		t.Error("a client of one cluster trusts the other")
	}
}

func TestStopLeavesNoProcessAndNoDirectory(t *testing.T) {
	c := start(t)
	processes := []*process{c.etcd, c.apiserver}
	port, dir := c.port, c.dir.path
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range processes {
		// The process was waited for, so the kernel has forgotten it: the error is that there is none to signal.
		if err := p.cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("killing %s after Stop: %v, want %v", p.name, err, os.ErrProcessDone)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory %s is still there: %v", dir, err)
	}
	if portTaken(port) {
		t.Errorf("port %d is still taken", port)
	}
	if err := c.StartAPIServer(); !errors.Is(err, ErrStopped) {
		t.Errorf("StartAPIServer after Stop: %v, want %v", err, ErrStopped)
	}
}

func TestAFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := map[string]struct {
		ctx  context.Context
		args []string
		want string
	}{
		"a flag that kube-apiserver does not know": {
			ctx: t.Context(), args: []string{"--no-such-flag"}, want: "unknown flag: --no-such-flag",
		},
		"a context that is canceled": {ctx: canceled, want: context.Canceled.Error()},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			c, err := Start(tc.ctx, Options{Args: tc.args})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it started"), c.Stop()))
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error does not say %q: %v", tc.want, err)
			}
			if left := entries(t, temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAPortLostToAnotherClusterIsReplaced(t *testing.T) {
	lost := Shared(t).port
	c := unstarted(t)
	if err := c.startEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.port = lost
	c.client = &http.Client{Transport: http.DefaultTransport}
	if err := c.startAPIServer(t.Context()); !errors.Is(err, errPortTaken) {
		t.Fatalf("starting on a port in use: %v, want %v", err, errPortTaken)
	}
	if err := c.startOnFreePort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.port == lost {
		t.Errorf("the port is still %d", lost)
	}
}

const victimVariable = "REVISION_ROUTER_CLUSTER_VICTIM"

// beVictim is the process that TestProcessesDieWithTheProcessThatStartedThem kills.
func beVictim() int {
	c, err := Start(context.Background(), Options{Nodes: 1})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.dir.path)
	// Until the test kills it; a test that died itself closes the pipe.
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 1
}

func TestProcessesDieWithTheProcessThatStartedThem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child when its parent is killed")
	}
	temp := t.TempDir()
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"=1", "TMPDIR="+temp)
	victim.Stderr = os.Stderr
	if _, err := victim.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	if _, err := fmt.Fscanln(stdout, &dir); err != nil || filepath.Dir(dir) != temp {
		t.Fatalf("the victim did not start a cluster: %q, %v", dir, err)
	}

	// All processes hold the directory's lock, so it counts as abandoned only when none lives.
	removeAbandoned(temp)
	if left := entries(t, temp); len(left) != 1 {
		t.Fatalf("while the cluster runs, its directory is removed as abandoned: left are %v", left)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	eventually(t, "every process of the cluster ends, and the next start removes their directory", func(context.Context) error {
		removeAbandoned(temp)
		if left := entries(t, temp); len(left) > 0 {
			return fmt.Errorf("left behind: %v", left)
		}
		return nil
	})
}

func TestADirectoryInMakingIsNotAbandoned(t *testing.T) {
	if !locksWork {
		t.Skip("without locks nothing counts as abandoned")
	}
	parent := t.TempDir()
	unlocked := filepath.Join(parent, workDirPrefix+"unlocked")
	if err := os.Mkdir(unlocked, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := newWorkDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newWorkDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{unlocked, first.path, second.path} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range []*workDir{first, second} {
		if err := dir.remove(); err != nil {
			t.Error(err)
		}
	}
	if left := entries(t, parent); len(left) != 1 {
		t.Errorf("left are %v, want %s only", left, unlocked)
	}
}

// unstarted returns a cluster up to the point where Start starts its processes.
func unstarted(t *testing.T) *Cluster {
	t.Helper()
	bins, err := findBinaries(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := newCredentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := newWorkDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir, binaries: bins, credentials: creds}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := creds.write(dir.path); err != nil {
		t.Fatal(err)
	}
	return c
}

// start starts a cluster of the test's own.
func start(t *testing.T) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}
