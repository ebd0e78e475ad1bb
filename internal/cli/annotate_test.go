package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/internal/annotation"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

const repository = "testdata/repository"

// Whatever the commands can say has to be a rule with a page, and what they cannot say must be none.
func TestEveryRuleHasASection(t *testing.T) {
	t.Parallel()
	known := map[string]annotation.Rule{}
	for _, rule := range annotationRules() {
		known[rule.ID] = rule
		page, anchor, _ := strings.Cut(strings.TrimPrefix(rule.Help, annotation.Home+"/blob/main/"), "#")
		if !strings.Contains(strings.ToLower(readText(t, filepath.Join("..", "..", filepath.FromSlash(page)))), "\n## "+anchor+"\n") {
			t.Errorf("%s has no section %s", page, rule.ID)
		}
	}
	for _, info := range skew.Rules() {
		if known[string(info.Rule)].Summary != info.Summary {
			t.Errorf("rule %s is %+v", info.Rule, known[string(info.Rule)])
		}
	}
	for _, row := range routing.Reasons() {
		_, is := known[string(row.Reason)]
		if refuses := row.Action != routing.Inject && row.Reason != routing.MirrorPod; is != refuses {
			t.Errorf("reason %s (%s) is a rule: %t", row.Reason, row.Action, is)
		}
	}
	var all routing.WarningSet
	for _, w := range (^all).List() {
		if known[string(w)].Level != annotation.Warning {
			t.Errorf("warning %s is the rule %+v", w, known[string(w)])
		}
	}
	for heading := range strings.SplitSeq(readText(t, "../../docs/reasons.md"), "\n## ") {
		name, _, _ := strings.Cut(heading, "\n")
		if _, is := known[name]; !is && !strings.HasPrefix(heading, "# ") {
			t.Errorf("docs/reasons.md has a section %q for no rule", name)
		}
	}
}

// annotated is one line of -o github: level, file:line, title, message.
type annotated struct{ level, at, title, message string }

var command = regexp.MustCompile(`^::(error|warning) (?:file=([^,]+)(?:,line=(\d+))?,)?title=(\w+)::(.+)$`)

func annotatedBy(t *testing.T, got outcome) []annotated {
	t.Helper()
	var out []annotated
	for line := range strings.Lines(got.stdout) {
		m := command.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("this is no workflow command: %s", line)
		}
		out = append(out, annotated{m[1], m[2] + ":" + m[3], m[4], m[5]})
	}
	return out
}

// The line is that of the label that is wrong, in whatever form an object is written. A comment "here ERROR Rule" or
// "here WARNING Rule" in a file of the repository marks it.
func TestAnnotationsAreAtTheLineThatIsWrong(t *testing.T) {
	t.Parallel()
	var want []string
	err := filepath.WalkDir(repository, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for i, line := range strings.Split(readText(t, path), "\n") {
			if _, mark, marked := strings.Cut(line, "here "); marked {
				level, rule, _ := strings.Cut(strings.Trim(mark, "\"\r, "), " ")
				want = append(want, strings.ToLower(level)+" "+filepath.ToSlash(path)+":"+strconv.Itoa(i+1)+" "+rule)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range annotatedBy(t, ran(t, "", "-f", repository, "-o", "github")) {
		got = append(got, a.level+" "+a.at+" "+a.title)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(want) < 12 {
		t.Errorf("only %d lines are marked", len(want))
	}
}

func TestARenderedChartIsAnnotatedByItsTemplates(t *testing.T) {
	t.Parallel()
	const rendered = `---
# Source: shop/templates/ns.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
# Source: shop/charts/cart/templates/deployment.yaml
# a comment of the template's
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  namespace: shop
spec:
  template:
    metadata:
      labels:
        istio.io/rev: prdo
`
	const kustomized = `apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    config.kubernetes.io/origin: |
      path: ../base/cart.yaml
  name: cart
  namespace: shop
spec:
  template:
    metadata:
      labels:
        istio.io/rev: prdo
`
	plain := strings.ReplaceAll(kustomized, "    config.kubernetes.io/origin: |\n      path: ../base/cart.yaml\n", "    a: b\n")
	for name, tc := range map[string]struct {
		input string
		args  []string
		at    string
		ends  string
	}{
		"helm template": {rendered, nil, "shop/charts/cart/templates/deployment.yaml:", ""},
		"helm template, of a chart that is named":   {rendered, []string{"--made-from", "deploy/chart/"}, "deploy/chart/charts/cart/templates/deployment.yaml:", ""},
		"kustomize with originAnnotations":          {kustomized, nil, "../base/cart.yaml:", ""},
		"kustomize, of a directory that is named":   {kustomized, []string{"--made-from", "overlays/prod"}, "overlays/base/cart.yaml:", ""},
		"an object from another repository":         {strings.ReplaceAll(kustomized, "path: ../", "repo: https://x\n      path: ../"), nil, ":", " (line 14 of standard input)"},
		"nobody says where it comes from":           {plain, nil, ":", " (line 12 of standard input)"},
		"nobody says so, although somebody is told": {plain, []string{"--made-from", "x"}, ":", " (line 12 of standard input)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-f", "testdata/repository/mesh.yaml", "-f", "-", "-o", "github"}, tc.args...)
			got := annotatedBy(t, ran(t, tc.input, args...))
			if len(got) != 1 || got[0].at != tc.at || !strings.HasSuffix(got[0].message, tc.ends) {
				t.Errorf("got %+v, want one at %q that ends in %q", got, tc.at, tc.ends)
			}
		})
	}
}

func TestWhatCannotBeReadIsAnnotatedOnGitHubOnly(t *testing.T) {
	t.Parallel()
	for _, output := range []string{outputGitHub, outputGitLab, outputSARIF} {
		for command, args := range map[string][]string{
			"resolve": {"-f", "testdata/mistakes.yaml"},
			"check":   {"-f", meshes + "ambient-inplace.json", "--change", "testdata/mistakes.yaml"},
		} {
			got := ranCommand(t, command, "", append(args, "-o", output)...)
			if got.code != ExitUsage || !strings.Contains(got.stderr, "testdata/mistakes.yaml:7: ") {
				t.Errorf("%s -o %s: exit code %d, %s", command, output, got.code, got.stderr)
			}
			if output != outputGitHub {
				if got.stdout != "" {
					t.Errorf("%s -o %s is a report of nothing:\n%s", command, output, got.stdout)
				}
				continue
			}
			at := []string{}
			for _, a := range annotatedBy(t, got) {
				at = append(at, a.at+" "+a.title)
			}
			if want := "testdata/mistakes.yaml:9 Unreadable"; !slices.Contains(at, want) || len(at) < 3 {
				t.Errorf("%s: got %q, want %s among three", command, at, want)
			}
		}
	}
}

// A cluster has no lines, and a report without them would be taken for one that all is well.
func TestAnnotationsOfAClusterAreRefused(t *testing.T) {
	t.Parallel()
	for _, output := range []string{outputGitHub, outputGitLab, outputSARIF} {
		got := ran(t, "", "--kubeconfig", "testdata/kubeconfig", "-o", output)
		if got.code != ExitUsage || !strings.Contains(got.stderr, "-o "+output+" names files and lines") {
			t.Errorf("exit code %d: %s", got.code, got.stderr)
		}
	}
}

func TestEveryFieldOfARuleIsOneThatIsKept(t *testing.T) {
	t.Parallel()
	for _, info := range skew.Rules() {
		deletion := info.Rule == skew.InUseDelete || info.Rule == skew.WaypointInUseDelete
		if fields := fieldsOfRule(info.Rule); (len(fields) == 0) != deletion || slices.Contains(fields, manifest.Field("")) {
			t.Errorf("%s is at %q", info.Rule, fields)
		}
	}
}
