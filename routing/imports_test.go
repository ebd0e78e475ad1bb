package routing_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const modulePath = "github.com/revision-router/revision-router"

// importRule says what the packages of one folder may import beside the standard library, and what of that they may
// not: the pure ones reach nothing that could make two answers to one question differ.
type importRule struct {
	folder string
	allow  []string
	// pure folders import nothing of impure either. time they may, for its types.
	pure bool
}

func importRules() []importRule {
	return []importRule{
		{folder: ".", pure: true},
		{folder: "skew", allow: []string{modulePath + "/routing"}, pure: true},
		{folder: "plan", allow: []string{modulePath + "/routing", modulePath + "/routing/skew"}, pure: true},
		{folder: "../certs"},
	}
}

// impure is what lets a package reach the world, chance included. A folder of the standard library stands for all
// packages below it.
func impure() []string {
	return []string{
		"context", "crypto", "database", "embed", "expvar", "io/fs", "log", "math/rand", "net", "os", "plugin",
		"runtime", "sync", "syscall", "testing", "unsafe",
	}
}

// Import declarations decide, not the packages that a build reaches: build tags hide nothing from this test.
func TestImportsOfThePureCore(t *testing.T) {
	for _, rule := range importRules() {
		t.Run(rule.folder, func(t *testing.T) {
			broken, files := rule.broken(t)
			for _, b := range broken {
				t.Error(b)
			}
			if files == 0 {
				t.Error("the folder holds no source file: the rule protects nothing")
			}
		})
	}
}

func (r importRule) broken(t *testing.T) (broken []string, files int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(r.folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Imports {
			path, err := strconv.Unquote(declared.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why := r.forbids(path); why != "" {
				broken = append(broken, filepath.Base(name)+" imports "+path+": "+why)
			}
		}
	}
	return broken, files
}

// forbids says why a file must not import path; nothing is the empty string.
func (r importRule) forbids(path string) string {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case slices.Contains(r.allow, path):
		return ""
	case strings.Contains(first, ".") || first == "C":
		return "not of the standard library"
	case r.pure && slices.ContainsFunc(impure(), func(p string) bool {
		return path == p || strings.HasPrefix(path, p+"/")
	}):
		return "reaches the world outside"
	}
	return ""
}

func TestImportRulesForbid(t *testing.T) {
	source := "package p\n\nimport (\n\t_ \"time\"\n\t_ \"os\"\n\t_ \"net/http\"\n\t_ \"C\"\n" +
		"\t_ \"k8s.io/api/core/v1\"\n\t_ \"" + modulePath + "/routing\"\n)\n"
	folder := t.TempDir()
	for _, name := range []string{"a.go", "a_test.go"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		rule importRule
		want []string
	}{
		"a folder of the standard library": {importRule{}, []string{
			"a.go imports C: not of the standard library",
			"a.go imports k8s.io/api/core/v1: not of the standard library",
			"a.go imports " + modulePath + "/routing: not of the standard library",
		}},
		"a pure folder that may import routing": {
			importRule{allow: []string{modulePath + "/routing"}, pure: true},
			[]string{
				"a.go imports os: reaches the world outside",
				"a.go imports net/http: reaches the world outside",
				"a.go imports C: not of the standard library",
				"a.go imports k8s.io/api/core/v1: not of the standard library",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.rule.folder = folder
			got, files := tc.rule.broken(t)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if files != 1 {
				t.Errorf("%d files read, want 1: tests may import what they like", files)
			}
		})
	}
}
