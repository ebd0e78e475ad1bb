package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// outcome is what a user sees of a run.
type outcome struct {
	code           int
	stdout, stderr string
}

// ran runs resolve as the program does.
func ran(t *testing.T, input string, args ...string) outcome {
	t.Helper()
	return ranCommand(t, "resolve", input, args...)
}

// ranCommand runs one of the commands.
func ranCommand(t *testing.T, command, input string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	commands := map[string]func(Streams) *cobra.Command{"resolve": NewResolveCommand, "check": NewCheckCommand, "status": statusAtNoon, "plan": NewPlanCommand, "migrate": migrateNow}
	cmd := commands[command](Streams{In: strings.NewReader(input), Out: &out, Err: &errs})
	cmd.SetArgs(args)
	got := outcome{}
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		var exit ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("got error %v (%T), want an ExitError", err, err)
		}
		got.code = exit.Code
		if text := err.Error(); text != "" {
			errs.WriteString("error: " + text + "\n")
		}
	}
	got.stdout, got.stderr = out.String(), errs.String()
	return got
}

// TestJSONLines decodes what -o json prints and holds it against the documented form and against the table.
func TestJSONLines(t *testing.T) {
	t.Parallel()
	args := []string{"-f", meshes + "revisionbased-during.json", "-f", workloads}
	got := ran(t, "", append(args, "-o", "json")...)
	table := ran(t, "", args...)
	rows := strings.Split(strings.SplitN(table.stdout, "\n\n", 2)[0], "\n")[1:]
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(lines) != len(rows) || len(lines) < 15 {
		t.Fatalf("got %d lines of JSON and %d rows", len(lines), len(rows))
	}
	for i, line := range lines {
		var r row
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if keys := keysOf(t, line); !slices.Equal(keys, []string{
			"kind", "namespace", "name", "action", "reason", "revision", "tag", "version", "warnings",
		}) {
			t.Errorf("keys %q in %s", keys, line)
		}
		if r.Warnings == nil {
			t.Errorf("warnings are null in %s", line)
		}
		again, err := json.Marshal(r)
		if err != nil || string(again) != line {
			t.Errorf("round trip of %s gives %s (%v)", line, again, err)
		}
		want := []string{r.Namespace, r.Kind, r.Name, string(r.Action), cell(r.Revision), cell(r.Tag), cell(r.Version), string(r.Reason)}
		if diff := cmp.Diff(want, strings.Fields(rows[i])); diff != "" {
			t.Errorf("row %d (-JSON +table):\n%s", i, diff)
		}
	}
}

// keysOf returns the keys of a flat object in their order.
func keysOf(t *testing.T, line string) []string {
	t.Helper()
	var keys []string
	decoder := json.NewDecoder(strings.NewReader(line))
	depth, isKey := 0, false
	for {
		token, err := decoder.Token()
		if err != nil {
			return keys
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			isKey = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			isKey = depth == 1
			continue
		}
		if depth != 1 {
			continue
		}
		if isKey {
			key, ok := token.(string)
			if !ok {
				t.Fatalf("the key %v is no string in %s", token, line)
			}
			keys = append(keys, key)
		}
		isKey = !isKey
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	pod := func(namespace, rest string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: " + namespace + rest
	}
	const mesh = meshes + "revisionbased-during.json"
	for name, tc := range map[string]struct {
		args  []string
		input string
		want  int
		// stderr has to hold this, and stdout nothing where the code is 2.
		stderr string
	}{
		"everything finds its revision": {args: []string{"-f", mesh, "-f", "-"}, input: pod("bookinfo", "}\n")},
		"no sidecar wanted":             {args: []string{"-f", mesh, "-f", "-"}, input: pod("default", "}\n")},
		"an unknown revision":           {args: []string{"-f", mesh, "-f", "-"}, input: pod("typo", "}\n"), want: ExitRefused},
		"an unknown revision in JSON": {
			args: []string{"-f", mesh, "-f", "-", "-o", "json"}, input: pod("typo", "}\n"), want: ExitRefused,
			stderr: `UnknownRevision: Pod "a" in namespace typo is refused`,
		},
		"an image auto that nothing replaces": {
			args: []string{"-f", mesh, "-f", "-", "-o", "json"}, input: pod("default", "}\nspec: {containers: [{image: auto}]}\n"),
			want: ExitRefused, stderr: `NotSelected: Pod "a" in namespace default is refused: a container's image is "auto"`,
		},
		"an image auto that is replaced": {
			args: []string{"-f", mesh, "-f", "-"}, input: pod("bookinfo", "}\nspec: {containers: [{image: auto}]}\n"),
		},
		"no mesh at all": {
			args: []string{"-f", "-"}, input: pod("default", ", labels: {istio.io/rev: x}}\n"), want: ExitRefused,
			stderr: "warning: no revision of Istio is in the files",
		},
		"a Gateway without an owner": {
			args: []string{"-f", "-"}, want: ExitRefused,
			input: "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {gatewayClassName: istio}\n",
		},
		"an unknown flag":          {args: []string{"--file", "x"}, want: ExitUsage, stderr: "unknown flag: --file; see resolve --help"},
		"an argument":              {args: []string{"x.yaml"}, want: ExitUsage, stderr: "name files with --filename: resolve -f x.yaml"},
		"an unknown output":        {args: []string{"-f", mesh, "-o", "yaml"}, want: ExitUsage, stderr: `unknown output format "yaml": use -o table, wide, json, github, gitlab or sarif`},
		"a file that is not there": {args: []string{"-f", "none.yaml"}, want: ExitUsage, stderr: "error: none.yaml: cannot be read: no such file or directory"},
		"a malformed file":         {args: []string{"-f", "-"}, input: "a: b: c\n", want: ExitUsage, stderr: "error: -:1: malformed YAML: mapping values are not allowed in this context"},
		"files and a cluster":      {args: []string{"-f", mesh, "--context", "x"}, want: ExitUsage, stderr: "--context asks for a cluster and --filename for files"},
		"a kubeconfig that is not there": {
			args: []string{"--kubeconfig", "testdata/none"}, want: ExitUsage, stderr: "error: reading the kubeconfig: stat testdata/none",
		},
		"a context that is not there": {
			args: []string{"--kubeconfig", "testdata/kubeconfig", "--context", "moon"}, want: ExitUsage,
			stderr: `context "moon" does not exist; for the contexts there are, kubectl config get-contexts`,
		},
		"a cluster that does not answer": {
			args: []string{"--kubeconfig", "testdata/kubeconfig"}, want: ExitUsage, stderr: "to see whether the cluster answers, kubectl cluster-info",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ran(t, tc.input, tc.args...)
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

func TestWithoutAnyKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	got := ran(t, "")
	const want = "error: no cluster to read: no kubeconfig was found; name one with --kubeconfig, or read manifests with --filename\n"
	if got.code != ExitUsage || got.stderr != want {
		t.Errorf("got exit code %d and %q, want %d and %q", got.code, got.stderr, ExitUsage, want)
	}
}

func TestHelpHasExamplesThatParse(t *testing.T) {
	t.Parallel()
	got := ran(t, "", "--help")
	if got.code != 0 || !strings.Contains(got.stdout, "\nExamples:\n") || !strings.Contains(got.stdout, "exit code is 0") {
		t.Errorf("got exit code %d and\n%s", got.code, got.stdout)
	}
	examplesParse(t, "resolve", resolveExample, NewResolveCommand)
}

// examplesParse expects every call of the command in the examples to have flags that there are.
func examplesParse(t *testing.T, name, text string, newCommand func(Streams) *cobra.Command) {
	t.Helper()
	examples := 0
	for line := range strings.Lines(text) {
		_, command, found := strings.Cut(strings.TrimSpace(line), "router "+name)
		if !found {
			continue
		}
		examples++
		command, _, _ = strings.Cut(command, "|")
		cmd := newCommand(Streams{})
		if err := cmd.ParseFlags(strings.Fields(command)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if rest := cmd.Flags().Args(); len(rest) > 0 {
			t.Errorf("%s: what is %q?", line, rest)
		}
	}
	if examples < 4 {
		t.Errorf("found %d examples, want at least 4", examples)
	}
}

func TestOneMessageForManyObjects(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text.WriteString("---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: typo}\n")
	}
	got := ran(t, text.String(), "-f", meshes+"revisionbased-during.json", "-f", "-")
	want := `UnknownRevision: Pod "a" (and Pod "b", Pod "c" and 2 more) in namespace typo is refused: `
	if strings.Count(got.stdout, "is refused") != 1 || !strings.Contains(got.stdout, want) {
		t.Errorf("got\n%s\nwithout\n%s", got.stdout, want)
	}
}

func TestNothingInAFileCanSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const text = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a\u001b[31m\nb\tc","namespace":"x\u001b]0;y\u0007",` +
		`"labels":{"istio.io/rev":"\u001b[2J","sidecar.istio.io/inject":"\u001b[2J"}}}`
	for _, output := range []string{"table", "wide", "json"} {
		got := ran(t, text, "-f", meshes+"revisionbased-during.json", "-f", "-", "-o", output)
		if got.code != ExitRefused {
			t.Errorf("%s: got exit code %d", output, got.code)
		}
		if all := got.stdout + got.stderr; strings.ContainsAny(all, "\x1b\a\t") {
			t.Errorf("%s: %q", output, all)
		}
	}
	got := ran(t, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    \"\\e[31m\": 1\n", "-f", "-")
	if got.code != ExitUsage || strings.Contains(got.stderr, "\x1b") {
		t.Errorf("got exit code %d and %q", got.code, got.stderr)
	}
}

// failing takes no output.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the pipe is closed") }

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"table", "wide", "json"} {
		var errs bytes.Buffer
		cmd := NewResolveCommand(Streams{Out: failing{}, Err: &errs})
		cmd.SetArgs([]string{"-f", meshes + "ambient-inplace.json", "-o", output})
		var exit ExitError
		if err := cmd.ExecuteContext(t.Context()); !errors.As(err, &exit) || exit.Code != ExitUsage ||
			!strings.Contains(err.Error(), "the pipe is closed") {
			t.Errorf("%s: got %v", output, err)
		}
	}
}
