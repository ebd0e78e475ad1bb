//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/revision-router/revision-router/test/cluster"
)

// shell runs commands as a person would paste them: with bash, in a folder with the files that the page speaks of, and with
// the commands that it uses.
type shell struct {
	dir, kubeconfig string
}

// kubectlScript is kubectl, except that with TRY_ONLY=1 it asks the API server and changes nothing.
const kubectlScript = `#!/usr/bin/env bash
if [ -n "${TRY_ONLY:-}" ]; then
  case "$1 $*" in
    *--dry-run*) ;;
    apply*|create*|replace*|patch*|label*|annotate*|delete*|scale*) set -- "$@" --dry-run=server ;;
    "rollout rollout restart"*) exit 0 ;;
  esac
fi
exec %q "$@"
`

func newShell(w *world) shell {
	w.t.Helper()
	kubectl, err := cluster.Tool(w.t.Context(), "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	w.must(err)
	s := shell{dir: w.t.TempDir(), kubeconfig: w.platform.kubeconfig()}
	w.must(os.Mkdir(s.bin(), 0o700))
	w.must(s.command("kubectl", fmt.Sprintf(kubectlScript, kubectl)))
	w.must(s.command("router", fmt.Sprintf("#!/usr/bin/env bash\nexec %q \"$@\"\n", w.platform.binary())))
	w.must(os.WriteFile(filepath.Join(s.dir, "bookinfo.yaml"), []byte(bookinfo(w.platform.image())), 0o600))
	return s
}

func (s shell) bin() string { return filepath.Join(s.dir, "bin") }

// command adds a command.
func (s shell) command(name, script string) error {
	return os.WriteFile(filepath.Join(s.bin(), name), []byte(script), 0o700)
}

// run returns what the commands print on either stream, and the error of the first that fails.
func (s shell) run(ctx context.Context, commands string, env ...string) (string, error) {
	// Longer than what any of the page's commands waits for by its own --timeout would hide which one it was.
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig, "PATH="+s.bin()+":"+os.Getenv("PATH"), "HOME="+s.dir)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tryOnly makes the commands of a block ask and change nothing.
const tryOnly = "TRY_ONLY=1"

// bookinfo is Istio's sample application: the Deployments and Services that its manifest has.
func bookinfo(image string) string {
	var b strings.Builder
	for _, app := range []string{"details", "ratings", "reviews", "productpage"} {
		fmt.Fprintf(&b, `apiVersion: v1
kind: Service
metadata:
  name: %[1]s
  labels: {app: %[1]s, service: %[1]s}
spec:
  ports: [{port: 9080, name: http}]
  selector: {app: %[1]s}
---
`, app)
	}
	for _, w := range [][2]string{
		{"details", "v1"}, {"ratings", "v1"}, {"reviews", "v1"}, {"reviews", "v2"}, {"reviews", "v3"}, {"productpage", "v1"},
	} {
		fmt.Fprintf(&b, `apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s-%[2]s
  labels: {app: %[1]s, version: %[2]s}
spec:
  selector:
    matchLabels: {app: %[1]s, version: %[2]s}
  template:
    metadata:
      labels: {app: %[1]s, version: %[2]s}
    spec:
      containers:
      - name: %[1]s
        image: %[3]s
---
`, w[0], w[1], image)
	}
	return b.String()
}
