package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const checkFiles = "testdata/check/"

func TestCheckExitCodes(t *testing.T) {
	t.Parallel()
	const mesh, ahead = meshes + "revisionbased-during.json", checkFiles + "cni-ahead.yaml"
	const tag = "apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: prod}\n"
	for name, tc := range map[string]struct {
		args  []string
		input string
		want  int
		// stderr has to hold this, and stdout nothing where the code is 2.
		stderr string
	}{
		"admitted": {args: []string{"-f", mesh, "--change", "-"}, input: "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n"},
		"refused":  {args: []string{"-f", mesh, "--change", ahead}, want: ExitRefused},
		"one of several is refused": {
			args: []string{"-f", mesh, "--change", "-", "--change", ahead}, want: ExitRefused,
			input: "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n",
		},
		"an operator is warned": {
			args: []string{"-f", mesh, "--change", ahead, "--as", "system:serviceaccount:openshift-operators:servicemesh-operator3"},
		},
		"a user is not":                       {args: []string{"-f", mesh, "--change", ahead, "--as", "jane"}, want: ExitRefused},
		"a deletion from standard input":      {args: []string{"-f", mesh, "--change", "-", "--delete"}, input: tag, want: ExitRefused},
		"the mesh from standard input":        {args: []string{"-f", "-", "--change", checkFiles + "tag-prod.yaml", "--delete"}, input: tag},
		"an override without a reason counts": {args: []string{"-f", mesh, "--change", "-"}, input: strings.Replace(readText(t, ahead), "{name: default}", "{name: default, annotations: {revision-router.io/override: \"\"}}", 1), want: ExitRefused},
		"a kind without rules": {
			args: []string{"-f", mesh, "--change", "-", "-o", "json"}, input: "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
			stderr: "No rule looks at objects of kind Pod. Which revision a pod gets is the answer of router resolve.",
		},
		"a namespace that the files lack": {
			args:   []string{"-f", mesh, "--change", "-"},
			input:  "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: gone}\n",
			stderr: "warning: namespace gone is in none of the files: taken as unlabelled",
		},
		"no change":                {args: []string{"-f", mesh}, want: ExitUsage, stderr: "name the files of the objects to be written with --change"},
		"a change without objects": {args: []string{"-f", mesh, "--change", "-"}, want: ExitUsage, stderr: "the files of --change hold no objects"},
		"standard input twice": {
			args: []string{"-f", "-", "--change", "-"}, want: ExitUsage, stderr: "which can be read only once",
		},
		"a change that is not there":       {args: []string{"-f", mesh, "--change", "none.yaml"}, want: ExitUsage, stderr: "error: none.yaml: cannot be read: no such file or directory"},
		"a mesh that is not there":         {args: []string{"-f", "none.yaml", "--change", ahead}, want: ExitUsage, stderr: "error: none.yaml: cannot be read: no such file or directory"},
		"a merge patch":                    {args: []string{"-f", mesh, "--change", "-"}, input: "spec: {version: v1.30.3}\n", want: ExitUsage, stderr: "error: -:1: kind is missing"},
		"a change of the wrong type":       {args: []string{"-f", mesh, "--change", "-"}, input: "apiVersion: sailoperator.io/v1\nkind: IstioCNI\nmetadata: {name: default}\nspec:\n  version: 1.30\n", want: ExitUsage, stderr: "error: -:5: spec.version must be a string"},
		"a policy that is not there":       {args: []string{"-f", mesh, "--change", ahead, "--policy", "none.yaml"}, want: ExitUsage, stderr: "error: reading the policy: open none.yaml"},
		"a policy that is none":            {args: []string{"-f", mesh, "--change", ahead, "--policy", ahead}, want: ExitUsage, stderr: "error: reading the policy " + ahead},
		"an unknown output":                {args: []string{"-f", mesh, "--change", ahead, "-o", "wide"}, want: ExitUsage, stderr: `unknown output format "wide": use -o table, json, github, gitlab or sarif`},
		"an argument":                      {args: []string{"x.yaml"}, want: ExitUsage, stderr: "check takes no argument"},
		"an unknown flag":                  {args: []string{"--patch", "x"}, want: ExitUsage, stderr: "unknown flag: --patch; see check --help"},
		"a cluster that does not answer":   {args: []string{"--kubeconfig", "testdata/kubeconfig", "--change", ahead}, want: ExitUsage, stderr: "kubectl cluster-info"},
		"a context that is not there":      {args: []string{"--kubeconfig", "testdata/kubeconfig", "--context", "moon", "--change", ahead}, want: ExitUsage, stderr: `context "moon" does not exist`},
		"files and a cluster are too much": {args: []string{"-f", mesh, "--context", "x", "--change", ahead}, want: ExitUsage, stderr: "--context asks for a cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, "check", tc.input, tc.args...)
			if got.code != tc.want {
				t.Errorf("got exit code %d, want %d; stdout:\n%s\nstderr:\n%s", got.code, tc.want, got.stdout, got.stderr)
			}
			if !strings.Contains(got.stderr, tc.stderr) {
				t.Errorf("stderr is\n%s\nwhich lacks\n%s", got.stderr, tc.stderr)
			}
			if got.code == ExitUsage && got.stdout != "" {
				t.Errorf("there is an answer beside the error:\n%s", got.stdout)
			}
		})
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheckPrintsTheDocumentedJSON(t *testing.T) {
	t.Parallel()
	got := ranCommand(t, "check", "", "-f", meshes+"ambient-inplace.json", "--change", checkFiles+"all-at-once.yaml", "-o", "json")
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines for three objects:\n%s", len(lines), got.stdout)
	}
	if lines[0] != `{"allowed":true,"findings":[]}` {
		t.Errorf("nothing found is %s", lines[0])
	}
	const second = `{"allowed":false,"findings":[{"rule":"CNISkew","level":"Deny","message":"CNISkew: `
	if !strings.HasPrefix(lines[1], second) || !strings.HasSuffix(lines[1], `"}]}`) {
		t.Errorf("a finding is %s", lines[1])
	}
}

// The control plane goes first, and the others once it runs: each round is the same file.
func TestCheckAdmitsWhatFollowsOnceItRuns(t *testing.T) {
	t.Parallel()
	before := readText(t, meshes+"ambient-inplace.json")
	raised := afterTheOperator(t, before)
	for name, tc := range map[string]struct {
		mesh string
		want []string
	}{
		"while the old one runs": {before, []string{"true", "false", "false"}},
		"once the new one runs":  {raised, []string{"true", "true", "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, "check", tc.mesh, "-f", "-", "--change", checkFiles+"all-at-once.yaml", "-o", "json")
			var allowed []string
			for line := range strings.Lines(got.stdout) {
				answer, _, _ := strings.Cut(strings.TrimPrefix(line, `{"allowed":`), ",")
				allowed = append(allowed, answer)
			}
			if !slices.Equal(allowed, tc.want) {
				t.Errorf("got %q, want %q:\n%s", allowed, tc.want, got.stdout)
			}
		})
	}
}

// afterTheOperator is the mesh once the operator has raised istiod.
func afterTheOperator(t *testing.T, mesh string) string {
	t.Helper()
	var list unstructured.UnstructuredList
	if err := list.UnmarshalJSON([]byte(mesh)); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		var err error
		switch o.GetKind() {
		case "Istio", "IstioRevision":
			err = unstructured.SetNestedField(o.Object, "v1.30.3", "spec", "version")
		case "Deployment":
			err = unstructured.SetNestedField(o.Object, "1.30.3", "metadata", "labels", "app.kubernetes.io/version")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raised, err := list.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(raised)
}

func TestCheckCountsWhatWasAdmittedBefore(t *testing.T) {
	t.Parallel()
	const tagged = "apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: next}\nspec: {targetRef: {kind: Istio, name: default}}\n"
	const broken = "apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: next}\nspec: {targetRef: {kind: Istio, name: gone}}\n"
	const labelled = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: legacy, labels: {istio.io/rev: next}}\n"
	const freed = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: legacy}\n"
	const mesh = meshes + "revisionbased-during.json"
	for name, tc := range map[string]struct {
		input string
		args  []string
		want  []string
	}{
		"a name that is created first":  {tagged + labelled, nil, []string{"CREATE true", "UPDATE true"}},
		"a name that is created later":  {labelled[4:] + "---\n" + tagged, nil, []string{"UPDATE false", "CREATE true"}},
		"a name whose tag is refused":   {broken + labelled, nil, []string{"CREATE false", "UPDATE false"}},
		"the same object twice":         {tagged + "---\n" + tagged, nil, []string{"CREATE true", "UPDATE true"}},
		"users that leave before":       {freed[4:] + "---\n" + readText(t, checkFiles+"cni-ahead.yaml"), nil, []string{"UPDATE true", "UPDATE true", "UPDATE false"}},
		"a deletion that was refused":   {readText(t, checkFiles+"tag-prod.yaml"), []string{"--delete"}, []string{"DELETE false"}},
		"a namespace and then its tag":  {"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n" + readText(t, checkFiles+"tag-prod.yaml"), []string{"--delete"}, []string{"DELETE true", "DELETE true"}},
		"a list is one write per item":  {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n", nil, []string{"CREATE true", "CREATE true"}},
		"a generated name is a new one": {"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {generateName: g-, namespace: bookinfo}\nspec: {gatewayClassName: istio}\n", nil, []string{"CREATE true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, "check", tc.input, append([]string{"-f", mesh, "--change", "-"}, tc.args...)...)
			table, _, _ := strings.Cut(got.stdout, "\n\n")
			var answers []string
			for _, line := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
				fields := strings.Fields(line)
				answers = append(answers, fields[1]+" "+fields[2])
			}
			if !slices.Equal(answers, tc.want) {
				t.Errorf("got %q, want %q:\n%s%s", answers, tc.want, got.stdout, got.stderr)
			}
		})
	}
}

// What a user has copied from the cluster has a status; it must not make a control plane run.
func TestCheckReadsNoStatusOfAChange(t *testing.T) {
	t.Parallel()
	const status = "status: {activeRevisionName: default, observedGeneration: 99, conditions: [{type: Ready, status: \"True\"}]}\n"
	text := strings.Replace(readText(t, checkFiles+"all-at-once.yaml"), "\n---\n", "\n"+status+"---\n", 1)
	want := ranCommand(t, "check", readText(t, checkFiles+"all-at-once.yaml"), "-f", meshes+"ambient-inplace.json", "--change", "-")
	got := ranCommand(t, "check", text, "-f", meshes+"ambient-inplace.json", "--change", "-")
	if got != want || got.code != ExitRefused {
		t.Errorf("with a status:\n%s\nwithout:\n%s", got.stdout, want.stdout)
	}
}

func TestCheckReadsTheNamespaceOfAFlag(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {istio.io/use-waypoint: w}}\n"
	got := ranCommand(t, "check", text, "-f", meshes+"ambient-inplace.json", "--change", "-", "-n", "bookinfo")
	if !strings.Contains(got.stdout, "Service/bookinfo/a") || !strings.Contains(got.stdout, "waypoint bookinfo/w") {
		t.Errorf("got\n%s%s", got.stdout, got.stderr)
	}
}

func TestCheckHelp(t *testing.T) {
	t.Parallel()
	got := ranCommand(t, "check", "", "--help")
	for _, part := range []string{"\nExamples:\n", "exit code is 0", "must be whole", "merge\npatch is not understood"} {
		if !strings.Contains(got.stdout, part) {
			t.Errorf("there is no %q in\n%s", part, got.stdout)
		}
	}
	examplesParse(t, "check", checkExample, NewCheckCommand)
}

func TestNothingInAChangeCanSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const text = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a\u001b[31m\nb","labels":{"istio.io/rev":"\u001b[2J"}}}
{"apiVersion":"v1","kind":"Odd\u001b[2J","metadata":{"name":"a"}}`
	for _, output := range []string{"table", "json"} {
		got := ranCommand(t, "check", text, "-f", meshes+"revisionbased-during.json", "--change", "-", "-o", output)
		if got.code != ExitRefused || strings.ContainsAny(got.stdout+got.stderr, "\x1b\a") {
			t.Errorf("%s: exit code %d, %q", output, got.code, got.stdout+got.stderr)
		}
	}
}

func TestCheckThatCannotWriteItsAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"table", "json"} {
		var errs bytes.Buffer
		cmd := NewCheckCommand(Streams{Out: failing{}, Err: &errs})
		cmd.SetArgs([]string{"-f", meshes + "ambient-inplace.json", "--change", checkFiles + "all-at-once.yaml", "-o", output})
		var exit ExitError
		if err := cmd.ExecuteContext(t.Context()); !errors.As(err, &exit) || exit.Code != ExitUsage ||
			!strings.Contains(err.Error(), "the pipe is closed") {
			t.Errorf("%s: got %v", output, err)
		}
	}
}

func TestCheckOfManyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: second}\n",
		"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: first}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := ranCommand(t, "check", "", "-f", meshes+"ambient-inplace.json", "--change", dir)
	first, second := strings.Index(got.stdout, "Namespace/first"), strings.Index(got.stdout, "Namespace/second")
	if got.code != 0 || first < 0 || second < first {
		t.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
}
