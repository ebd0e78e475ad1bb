package manifest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIgnore(t *testing.T) {
	t.Parallel()
	for pattern, tc := range map[string]struct{ is, not []string }{
		"values.yaml":       {[]string{"values.yaml", "a/b/values.yaml", "./values.yaml"}, []string{"my-values.yaml", "values.yaml/x.yaml"}},
		"values*.yaml":      {[]string{"values-prod.yaml", "a/values.yaml"}, []string{"a/values/x.yaml"}},
		"tests":             {[]string{"a/tests"}, []string{"a/tests/x.yaml"}},
		"apps/*/x.yaml":     {[]string{"apps/a/x.yaml", "./apps/a/x.yaml"}, []string{"apps/x.yaml", "apps/a/b/x.yaml", "b/apps/a/x.yaml"}},
		"./apps/x.yaml":     {[]string{"apps/x.yaml"}, []string{"x.yaml"}},
		"apps/tests/":       {[]string{"apps/tests"}, []string{"tests"}},
		"apps/**/x.yaml":    {[]string{"apps/x.yaml", "apps/a/x.yaml", "apps/a/b/x.yaml"}, []string{"apps/a/y.yaml", "x.yaml"}},
		"**/fixtures":       {[]string{"fixtures", "a/fixtures", "a/b/fixtures"}, []string{"a/fixtures/b"}},
		"**/a/**":           {[]string{"a", "a/b", "x/a/b/c"}, []string{"b"}},
		"../other/[ab].yml": {[]string{"../other/a.yml"}, []string{"../other/c.yml"}},
	} {
		ignore := Ignore{pattern}
		if err := ignore.Validate(); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		for _, name := range tc.is {
			if !ignore.match(filepath.FromSlash(name)) {
				t.Errorf("%s does not match %s", pattern, name)
			}
		}
		for _, name := range tc.not {
			if ignore.match(filepath.FromSlash(name)) {
				t.Errorf("%s matches %s", pattern, name)
			}
		}
	}
	if err := (Ignore{"a", "b/[c"}).Validate(); err == nil || !strings.Contains(err.Error(), `"b/[c"`) {
		t.Errorf("got %v", err)
	}
}

const chart = "apiVersion: v2\nname: shop\nversion: 1.0.0\n"

func TestDirectoriesOfRepositories(t *testing.T) {
	t.Parallel()
	const broken = "metadata: {{ .Values.x }}\n"
	for name, tc := range map[string]struct {
		files    map[string]string
		ignore   Ignore
		want     []string
		warnings []string
		mistakes []string
	}{
		"charts are passed over as a whole, and said so": {
			files: map[string]string{
				"apps/a.yaml": pod("a"), "charts/shop/Chart.yaml": chart, "charts/shop/values.yaml": "a: 1\n",
				"charts/shop/templates/x.yaml": broken, "charts/shop/charts/sub/Chart.yaml": chart, "templates/b.yaml": pod("b"),
			},
			want:     []string{"Pod default/a apps/a.yaml:1", "Pod default/b templates/b.yaml:1"},
			warnings: []string{"charts/shop: passed over: this is a Helm chart; render it first, and read that from standard input: helm template DIR/charts/shop"},
		},
		"a directory that is a chart itself": {
			files:    map[string]string{"Chart.yaml": chart, "deploy/a.yaml": pod("a")},
			mistakes: []string{": this directory is a Helm chart, whose templates are no objects yet; render it first, and read that from standard input: helm template DIR"},
		},
		"nothing but a chart": {
			files:    map[string]string{"shop/Chart.yaml": chart},
			warnings: []string{"shop: passed over: this is a Helm chart; render it first, and read that from standard input: helm template DIR/shop"},
		},
		"templates outside of a chart are a mistake": {
			files:    map[string]string{"a.yaml": pod("a"), "b.yaml": broken},
			mistakes: []string{"b.yaml:1: malformed YAML: a key must be text"},
		},
		"kustomizations": {
			files: map[string]string{"base/a.yaml": pod("a"), "base/kustomization.yaml": "resources: [a.yaml]\n", "prod/kustomization.yml": "resources: [../base]\n"},
			want:  []string{"Pod default/a base/a.yaml:1"},
			warnings: []string{
				"base/kustomization.yaml: passed over: it tells kustomize what to build; to read what that is: kubectl kustomize DIR/base",
				"prod/kustomization.yml: passed over: it tells kustomize what to build; to read what that is: kubectl kustomize DIR/prod",
			},
		},
		"what is ignored": {
			files:  map[string]string{"a.yaml": pod("a"), "values-prod.yaml": broken, "sub/tests/x.yaml": broken, "sub/b.yaml": pod("b")},
			ignore: Ignore{"values*.yaml", "**/tests"},
			want:   []string{"Pod default/a a.yaml:1", "Pod default/b sub/b.yaml:1"},
		},
		"all is ignored": {
			files: map[string]string{"a.yaml": pod("a")}, ignore: Ignore{"*.yaml"},
			mistakes: []string{": this directory holds no file that ends in .yaml, .yml, .json, .jsonl"},
		},
		"hidden directories": {
			files: map[string]string{"a.yaml": pod("a"), ".github/workflows/ci.yaml": broken, ".gitlab-ci.yml": broken, "x/.git/config.yaml": broken},
			want:  []string{"Pod default/a a.yaml:1"},
		},
		"what is no object": {
			files:    map[string]string{"a.yaml": pod("a"), "values.yaml": "a: 1\n"},
			mistakes: []string{"values.yaml:1: kind is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, tc.files)
			set, err := Read(t.Context(), Options{Paths: []string{dir}, Ignore: tc.ignore})
			shown := func(lines []string) (out []string) {
				for _, line := range lines {
					line = strings.TrimPrefix(strings.TrimPrefix(line, dir), "/")
					out = append(out, strings.ReplaceAll(line, dir, "DIR"))
				}
				return out
			}
			if diff := cmp.Diff(tc.mistakes, shown(mistakes(t, err, dir))); diff != "" {
				t.Fatalf("mistakes (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, listing(set, dir)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, shown(set.Warnings)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFileThatIsNamedIsRead(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{"values.yaml": pod("a"), "kustomization.yaml": pod("b")})
	set, err := Read(t.Context(), Options{
		Paths: []string{filepath.Join(dir, "values.yaml"), filepath.Join(dir, "kustomization.yaml")}, Ignore: Ignore{"*.yaml"},
	})
	if err != nil || len(set.Objects) != 2 {
		t.Errorf("got %v, %v", set, err)
	}
}
