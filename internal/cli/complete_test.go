package cli

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/test/cluster"
)

// completed is what a shell is offered, and whether it may offer files as well.
func completed(t *testing.T, args ...string) (offers []string, files bool) {
	t.Helper()
	var out bytes.Buffer
	streams := Streams{In: strings.NewReader(""), Out: &out, Err: &bytes.Buffer{}}
	root := &cobra.Command{Use: "router"}
	root.AddCommand(NewResolveCommand(streams), NewCheckCommand(streams), NewStatusCommand(streams, clock.RealClock{}), NewPlanCommand(streams), NewCertsCommand(streams, clock.RealClock{}))
	root.SetOut(&out)
	root.SetErr(streams.Err)
	root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := len(lines) - 1
	return lines[:last], lines[last] == ":0"
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	const during, kubeconfig = meshes + "revisionbased-during.json", "testdata/kubeconfig"
	for name, tc := range map[string]struct {
		args  []string
		want  []string
		files bool
	}{
		"formats of resolve":       {args: []string{"resolve", "-o", ""}, want: resolveOutputs()},
		"formats of check":         {args: []string{"check", "--output", ""}, want: checkOutputs()},
		"formats of status":        {args: []string{"status", "-o", ""}, want: statusOutputs()},
		"formats of plan":          {args: []string{"plan", "-o", ""}, want: planOutputs()},
		"formats of certs":         {args: []string{"certs", "status", "-o", ""}, want: []string{"table", "json", "yaml"}},
		"one that has begun":       {args: []string{"resolve", "-o", "s"}, want: resolveOutputs()},
		"modes":                    {args: []string{"status", "--mode", ""}, want: []string{"guard", "forward"}},
		"strategies":               {args: []string{"plan", "--strategy", ""}, want: []string{"InPlace", "RevisionBased"}},
		"ways to drain":            {args: []string{"plan", "--drain", ""}, want: []string{"grace", "ondelete"}},
		"namespaces of files":      {args: []string{"resolve", "-f", repository, "-n", ""}, want: []string{"both", "plain", "shop", "typo"}},
		"tags of files":            {args: []string{"plan", "-f", repository, "--tag", ""}, want: []string{"prod"}},
		"Istios of files":          {args: []string{"plan", "-f", during, "--istio", ""}, want: []string{"default"}},
		"versions of files":        {args: []string{"plan", "-f", "testdata/plan/crd.yaml", "--to", ""}, want: []string{"v1.30-latest"}},
		"operators":                {args: []string{"check", "--as", ""}, want: operators()},
		"contexts":                 {args: []string{"status", "--kubeconfig", kubeconfig, "--context", ""}, want: []string{"nobody"}},
		"files that are no YAML":   {args: []string{"resolve", "-f", "testdata/mistakes.yaml", "-n", ""}},
		"files that are not there": {args: []string{"resolve", "-f", "none", "-n", ""}},
		"nothing to follow":        {args: []string{"resolve", ""}},
		"a pattern":                {args: []string{"resolve", "--ignore", ""}},
		"files":                    {args: []string{"resolve", "-f", ""}, files: true},
		"changes":                  {args: []string{"check", "--change", ""}, files: true},
		"policies":                 {args: []string{"plan", "--policy", ""}, files: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, files := completed(t, tc.args...)
			if name == "versions of files" {
				if !slices.Contains(got, tc.want[0]) || len(got) < 5 {
					t.Errorf("got %q, want %q among others", got, tc.want)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, cmpEmpty()); diff != "" || files != tc.files {
				t.Errorf("files %t, (-want +got):\n%s", files, diff)
			}
		})
	}
}

// cmpEmpty has no list be the same as an empty one.
func cmpEmpty() cmp.Option {
	return cmp.Transformer("empty", func(list []string) []string { return append([]string{}, list...) })
}

// A cluster that does not answer must not make a person wait: the port is one that nobody listens at, or answers on.
func TestCompletionGivesUp(t *testing.T) {
	t.Parallel()
	silent := silentServer(t)
	text := strings.ReplaceAll(readText(t, "testdata/kubeconfig"), "http://127.0.0.1:9", "http://"+silent)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kubeconfig := range []string{path, "testdata/kubeconfig", "testdata/none"} {
		done := make(chan []string, 1)
		go func() {
			got, _ := completed(t, "status", "--kubeconfig", kubeconfig, "-n", "")
			done <- got
		}()
		select {
		case got := <-done:
			if len(got) != 0 {
				t.Errorf("%s: got %q", kubeconfig, got)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: still waiting", kubeconfig)
		}
	}
}

// silentServer takes connections and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func TestCompletionInACluster(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	const name = "complete-this"
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, files := completed(t, "resolve", "--kubeconfig", c.Kubeconfig(), "-n", "comp")
	if !slices.Contains(got, name) || !slices.Contains(got, "kube-system") || files {
		t.Errorf("got %q, files %t", got, files)
	}
}
