package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/test/cluster"
)

func TestAPluginNamesItselfAsItIsTyped(t *testing.T) {
	root := silentRoot()
	asPlugin(root)
	alone := regexp.MustCompile(`(?m)(^|[^-])\brouter (resolve|check|status|plan|certs|version|completion)\b`)
	everyCommand(root, func(cmd *cobra.Command) {
		text := cmd.Long + "\n" + cmd.UsageString()
		if found := alone.FindString(text); found != "" {
			t.Errorf("%s says %q:\n%s", cmd.CommandPath(), found, text)
		}
		if !strings.HasPrefix(cmd.CommandPath(), pluginCommand) || !strings.Contains(text, pluginCommand) {
			t.Errorf("%s is not %s", cmd.CommandPath(), pluginCommand)
		}
	})
}

func TestWhatMakesAPlugin(t *testing.T) {
	for program, want := range map[string]bool{
		"router": false, "/usr/bin/router": false, "kubectl-revision_router": true, "/home/a/bin/kubectl-revision_router.exe": true, "./bin/kubectl": false,
	} {
		if invokedByKubectl(program) != want {
			t.Errorf("%s: %t", program, !want)
		}
	}
}

// buildTimeout is for kubectl, which takes minutes the first time.
const buildTimeout = 20 * time.Minute

// built puts the program and its completion on a PATH of their own, beside the real kubectl.
func built(t *testing.T) (kubectl string, env []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	kubectl, err := cluster.Tool(ctx, "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "kubectl-revision_router"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	script, err := os.ReadFile("plugin/kubectl_complete-revision_router")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kubectl_complete-revision_router"), script, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kubectl, filepath.Join(dir, "kubectl")); err != nil {
		t.Fatal(err)
	}
	return kubectl, append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+"/usr/bin:/bin", "KUBECONFIG="+filepath.Join(dir, "none"))
}

// The real kubectl finds the plugin, runs it and completes it.
func TestKubectlRunsThePlugin(t *testing.T) {
	kubectl, env := built(t)
	run := func(args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), kubectl, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	const repository = "../../internal/cli/testdata/repository"
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"is listed":          {[]string{"plugin", "list"}, 0, "kubectl-revision_router"},
		"says how it is run": {[]string{"revision-router", "resolve", "--help"}, 0, "kubectl revision-router resolve [-f FILE|DIR ...]"},
		"passes on its answer and its exit code": {
			[]string{"revision-router", "resolve", "-f", repository, "-o", "github"}, 1, "::error file=" + repository + "/namespaces.yaml,line=16,",
		},
		"and that of a mistake":   {[]string{"revision-router", "resolve", "-o", "nothing"}, 2, "unknown output format"},
		"completes its commands":  {[]string{"__complete", "revision-router", "res"}, 0, "resolve\tShow which revision"},
		"completes its flags":     {[]string{"__complete", "revision-router", "resolve", "-o", ""}, 0, "sarif\n"},
		"completes by the files":  {[]string{"__complete", "revision-router", "resolve", "-f", repository + "/namespaces.yaml", "-n", ""}, 0, "shop\n"},
		"completes by other flag": {[]string{"__complete", "revision-router", "plan", "--strategy", ""}, 0, "RevisionBased\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(tc.args...)
			if code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("kubectl %s: exit code %d, want %d, and %q in\n%s", strings.Join(tc.args, " "), code, tc.code, tc.want, out)
			}
		})
	}
}
