package sarif

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	// Named for its module alone, which carries the schema as a constant that is not exported.
	_ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"
)

const carrier = "github.com/owenrumney/go-sarif/v3"

// official is the schema of the standard, errata 01.
func official(t *testing.T) *gojsonschema.Schema {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", carrier).Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), "pkg", "report", "v210", "sarif", "schema.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && len(literal.Value) > len(text) {
			text = literal.Value
		}
		return true
	})
	text, err = strconv.Unquote(text)
	if err != nil || !strings.Contains(text, "Version 2.1.0 JSON Schema") {
		t.Fatalf("%s holds no schema (%v)", path, err)
	}
	schema, err := gojsonschema.NewSchema(gojsonschema.NewStringLoader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// problems is what the schema finds wrong with a log.
func problems(t *testing.T, schema *gojsonschema.Schema, log string) []string {
	t.Helper()
	found, err := schema.Validate(gojsonschema.NewStringLoader(log))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range found.Errors() {
		out = append(out, e.String())
	}
	return out
}

// goldenLogs are the logs among the golden files of the product: those of the commands stand in an archive.
func goldenLogs(t *testing.T) map[string]string {
	t.Helper()
	logs := map[string]string{}
	for _, pattern := range []string{"internal/annotation/testdata/*.sarif", "internal/cli/testdata/golden*/*.sarif.txtar"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("nothing is like %s (%v)", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			log := string(data)
			if _, stdout, archive := strings.Cut(log, "-- stdout --\n"); archive {
				log, _, _ = strings.Cut(stdout, "-- stderr --\n")
			}
			if log != "" { // a run that could not read its input writes none
				logs[file] = log
			}
		}
	}
	return logs
}

func TestTheLogsOfTheCommandsFitTheOfficialSchema(t *testing.T) {
	schema := official(t)
	for file, log := range goldenLogs(t) {
		for _, problem := range problems(t, schema, log) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

// The schema allows no keys that it does not know, so that this test would find a key that is misspelt.
func TestWhatIsWrongIsFound(t *testing.T) {
	schema := official(t)
	for file, log := range goldenLogs(t) {
		for _, change := range [][2]string{{`"version": "2.1.0"`, `"version": "2.0.0"`}, {`"driver"`, `"drivers"`}, {`"results"`, `"result"`}} {
			broken := strings.Replace(log, change[0], change[1], 1)
			if broken == log {
				t.Errorf("%s has no %s", file, change[0])
			} else if len(problems(t, schema, broken)) == 0 {
				t.Errorf("%s is found right with %s", file, change[1])
			}
		}
	}
}
