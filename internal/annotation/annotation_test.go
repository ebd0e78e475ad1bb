package annotation

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// awkward is everything that has to be escaped or left out somewhere.
func awkward() *Report {
	inside, err := filepath.Abs("inside.yaml")
	if err != nil {
		panic(err)
	}
	dir, _ := filepath.Split(inside)
	return &Report{
		Command: "resolve", Directory: dir,
		Rules: []Rule{
			{"Unused", "nothing is of it", Error, Home + "#unused"},
			{"Second", "the second", Warning, Home + "#second"},
			{"First", "the first", Error, Home + "#first"},
		},
		Results: []Result{
			{
				Rule: "First", Level: Error, Message: "100 % wrong:\r\nand on, \"so\" <on>", Place: Place{"./a b/ü,x:y.yaml", 7},
				Field: "spec.version", Subject: "Istio/default",
				Concerns: []Subject{{"Pod/shop/a", Place{"apps/a.yaml", 3}}, {"Pod/shop/b", Place{}}},
			},
			{Rule: "Second", Level: Warning, Message: "in a folder of this machine", Place: Place{inside, 1}, Subject: "Namespace/shop"},
			{Rule: "Second", Level: Warning, Message: "elsewhere on it", Place: Place{"/elsewhere/x.yaml", 2}, Justification: "a drill"},
			{Rule: "First", Level: Error, Message: "no file", Subject: "Pod/shop/c"},
			{Rule: "First", Level: Error, Message: "a file without lines", Place: Place{"chart/templates/a.yaml", 0}, Subject: "Pod/shop/d"},
			{Rule: "First", Level: Error, Message: "the same once more", Place: Place{"chart/templates/a.yaml", 0}, Subject: "Pod/shop/d"},
		},
	}
}

func TestGolden(t *testing.T) {
	for name, write := range map[string]func(*Report, io.Writer) error{
		"github.txt": (*Report).GitHub, "gitlab.json": (*Report).GitLab, "log.sarif": (*Report).SARIF,
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(awkward(), &got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; to write it: go test ./internal/annotation -update", err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s\nto accept it: go test ./internal/annotation -update", diff)
			}
		})
	}
}

// Undone as the runner does it, a command says what was meant (actions/runner, ActionCommand.cs).
func TestAWorkflowCommandIsOneLineAndSaysTheSame(t *testing.T) {
	report := awkward()
	var out bytes.Buffer
	if err := report.GitHub(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(report.Results) {
		t.Fatalf("%d lines for %d results", len(lines), len(report.Results))
	}
	undo := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%").Replace
	for i, line := range lines {
		head, message, _ := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		if got := undo(message); got != report.Results[i].Message {
			t.Errorf("message %q, want %q", got, report.Results[i].Message)
		}
		_, properties, _ := strings.Cut(head, " ")
		for property := range strings.SplitSeq(properties, ",") {
			key, value, _ := strings.Cut(property, "=")
			if want := report.path(report.Results[i].Place.File); key == "file" && undo(value) != want {
				t.Errorf("file %q, want %q", undo(value), want)
			}
		}
	}
}

func TestFingerprintsStayWhileLinesMove(t *testing.T) {
	before, after := awkward(), awkward()
	for i := range after.Results {
		after.Results[i].Place.Line += 10
		after.Results[i].Message += ", by another release"
	}
	if diff := cmp.Diff(before.fingerprints(), after.fingerprints()); diff != "" {
		t.Errorf("fingerprints change with the lines (-before +after):\n%s", diff)
	}
	seen := map[string]bool{}
	for _, fingerprint := range before.fingerprints() {
		if seen[fingerprint] {
			t.Errorf("fingerprint %s is there twice", fingerprint)
		}
		seen[fingerprint] = true
	}
	for name, change := range map[string]func(*Result){
		"rule":    func(r *Result) { r.Rule = "Other" },
		"file":    func(r *Result) { r.Place.File = "other.yaml" },
		"field":   func(r *Result) { r.Field = "metadata.name" },
		"subject": func(r *Result) { r.Subject = "Istio/other" },
	} {
		changed := awkward()
		change(&changed.Results[0])
		if changed.fingerprints()[0] == before.fingerprints()[0] {
			t.Errorf("the fingerprint is the same with another %s", name)
		}
	}
}

// GitLab drops entries that lack one of these, and the report with one that is no list.
func TestAQualityReportHasTheKeysThatGitLabWants(t *testing.T) {
	for _, report := range []*Report{awkward(), {}} {
		var out bytes.Buffer
		if err := report.GitLab(&out); err != nil {
			t.Fatal(err)
		}
		var entries []struct {
			Description, Fingerprint, Severity string
			CheckName                          string `json:"check_name"`
			Location                           struct {
				Path  string
				Lines struct{ Begin int }
			}
		}
		decoder := json.NewDecoder(&out)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&entries); err != nil || entries == nil || len(entries) != len(report.Results) {
			t.Fatalf("%d entries for %d results: %v", len(entries), len(report.Results), err)
		}
		for _, e := range entries {
			known := map[string]bool{"info": true, "minor": true, "major": true, "critical": true, "blocker": true}
			if e.Description == "" || e.CheckName == "" || len(e.Fingerprint) != 32 || !known[e.Severity] ||
				e.Location.Path == "" || strings.HasPrefix(e.Location.Path, "./") || e.Location.Lines.Begin < 1 {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestAFullDiskIsNoReport(t *testing.T) {
	for _, write := range []func(*Report, io.Writer) error{(*Report).GitHub, (*Report).GitLab, (*Report).SARIF} {
		if write(awkward(), full{}) == nil {
			t.Error("no error")
		}
	}
}
