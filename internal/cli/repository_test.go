package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/test/cluster"
)

// repositoryOf writes n Deployments in files of their own, with a namespace for every ten, and the mesh. One template in
// a hundred names a revision that does not exist.
func repositoryOf(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	mesh, err := os.ReadFile(repository + "/mesh.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mesh.yaml", string(mesh))
	for i := range n {
		namespace := fmt.Sprintf("team-%d", i/10)
		if i%10 == 0 {
			write("namespaces/"+namespace+".yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+namespace+"\n")
		}
		revision := "prod"
		if i%100 == 99 {
			revision = "prdo"
		}
		write(fmt.Sprintf("apps/%s/app-%d.yaml", namespace, i), fmt.Sprintf(deploymentText, i, namespace, i, i, i, revision, i, i))
	}
	return dir
}

// deploymentText is about what a Helm chart makes of a small service.
const deploymentText = `---
# The service of one team.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-%d
  namespace: %s
  labels:
    app.kubernetes.io/name: app-%d
    app.kubernetes.io/managed-by: Helm
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: app-%d
  template:
    metadata:
      annotations:
        checksum/config: 6b1e3b4f5c1d8a0f2f6f2e6b6e9c0a4d5f7e8b9c0d1e2f3a4b5c6d7e8f9a0b1c
      labels:
        app.kubernetes.io/name: app-%d
        istio.io/rev: %s
    spec:
      serviceAccountName: app-%d
      containers:
        - name: main
          image: "registry.example/app-%d:1.4.2"
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet: {path: /ready, port: http}
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
`

// allocations of a run, which are the same on every machine but for the sizes of maps.
func allocations(t *testing.T, newCommand func(Streams) *cobra.Command, args ...string) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var out strings.Builder
	cmd := newCommand(Streams{In: strings.NewReader(""), Out: &out, Err: &out})
	cmd.SetArgs(args)
	_ = cmd.ExecuteContext(t.Context()) // some templates are refused
	runtime.ReadMemStats(&after)
	if !strings.Contains(out.String(), " objects: ") {
		t.Fatalf("%v: %s", args, out.String())
	}
	return after.Mallocs - before.Mallocs
}

// The work grows as the repository does: ten times the manifests cost ten times the allocations, and not a hundred.
//
//nolint:paralleltest // allocations of the whole process are counted
func TestTheWorkGrowsAsTheRepositoryDoes(t *testing.T) {
	const few, times = 200, 10
	small, large := repositoryOf(t, few), repositoryOf(t, few*times)
	for name, tc := range map[string]struct {
		command func(Streams) *cobra.Command
		args    func(dir string) []string
		each    uint64
	}{
		"resolve": {NewResolveCommand, func(dir string) []string { return []string{"-f", dir, "-o", "sarif"} }, 250},
		"check":   {NewCheckCommand, func(dir string) []string { return []string{"-f", dir, "--change", dir + "/apps", "-o", "sarif"} }, 250},
	} {
		a, b := allocations(t, tc.command, tc.args(small)...), allocations(t, tc.command, tc.args(large)...)
		t.Logf("%s: %d allocations for %d manifests, %d for %d", name, a, few, b, few*times)
		if b > a*times*3/2 {
			t.Errorf("%s: %d times the manifests cost %.1f times the allocations", name, times, float64(b)/float64(a))
		}
		if each := b / (few * times); each > tc.each {
			t.Errorf("%s: %d allocations for each manifest, more than %d", name, each, tc.each)
		}
	}
}

func BenchmarkRepository(b *testing.B) {
	const manifests = 10_000
	dir := repositoryOf(b, manifests)
	for name, run := range map[string]struct {
		command func(Streams) *cobra.Command
		args    []string
	}{
		"resolve": {NewResolveCommand, []string{"-f", dir, "-o", "sarif"}},
		"check":   {NewCheckCommand, []string{"-f", dir, "--change", dir, "-o", "sarif"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var out strings.Builder
				cmd := run.command(Streams{In: strings.NewReader(""), Out: &out, Err: &out})
				cmd.SetArgs(run.args)
				_ = cmd.ExecuteContext(b.Context())
				if !strings.Contains(out.String(), "1") {
					b.Fatal(out.String())
				}
			}
			b.ReportMetric(manifests/(b.Elapsed().Seconds()/float64(b.N)), "manifests/s")
		})
	}
}

// A repository of hundreds of objects against a cluster that runs.
func TestCheckOfARepositoryInACluster(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	dir := repositoryOf(t, 300)
	wrong := "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: repository-wrong\n  labels:\n    istio-injection: \"yes\"\n"
	if err := os.WriteFile(filepath.Join(dir, "namespaces", "wrong.yaml"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ranCommand(t, "check", "", "--kubeconfig", c.Kubeconfig(), "--change", filepath.Join(dir, "namespaces"), "--change", filepath.Join(dir, "apps"), "-o", "github")
	want := "::warning file=" + filepath.ToSlash(filepath.Join(dir, "namespaces", "wrong.yaml")) + ",line=6,title=InjectionLabels::"
	if got.code != 0 || !strings.HasPrefix(got.stdout, want) || !strings.Contains(got.stderr, "331 objects: 0 errors, 1 warning.") {
		t.Errorf("exit code %d, want %q:\n%s\n%s", got.code, want, got.stdout, got.stderr)
	}
}
