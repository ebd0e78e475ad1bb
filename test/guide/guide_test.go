package guide

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThePageOfThisCheckoutCanBeRead(t *testing.T) {
	page, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Steps) == 0 {
		t.Error("it has no steps")
	}
}

func TestParse(t *testing.T) {
	page, err := Parse(strings.Join([]string{
		"# Title", "<!-- step: a/one -->", "```sh", "kubectl get pods", "", "kubectl get ns", "```", "```text", "NAME", "```",
		"", "```yaml", "kind: Istio", "```", "<!-- step: a/two -->", "```sh", "true", "```", "", "```text", "no output of a step", "```",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{ID: "a/one", Commands: "kubectl get pods\n\nkubectl get ns\n", Output: "NAME\n", Shows: true, Line: 2},
		{ID: "a/two", Commands: "true\n", Line: 15},
	}
	if diff := cmp.Diff(want, page.Steps); diff != "" {
		t.Error(diff)
	}
	if step, err := page.Step("a/two"); err != nil || step.Commands != "true\n" {
		t.Errorf("got %+v, %v", step, err)
	}
	if _, err := page.Step("a/three"); err == nil || !strings.Contains(err.Error(), "<!-- step: a/three -->") {
		t.Errorf("got %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"commands without a name":  {[]string{"text", "```sh", "true", "```"}, ":2: this block of commands has no name"},
		"another word for a shell": {[]string{"```bash", "true", "```"}, ":1: this block of commands has no name"},
		"a name without a section": {[]string{"<!-- step: one -->", "```sh", "true", "```"}, "is no name of a step"},
		"a name with a capital":    {[]string{"<!-- step: a/One -->", "```sh", "true", "```"}, "is no name of a step"},
		"a comment that goes on":   {[]string{"<!-- step: a/one, twice -->", "```sh", "true", "```"}, "is no name of a step"},
		"a name without commands":  {[]string{"<!-- step: a/one -->", "", "```sh", "true", "```"}, "the step a/one has no commands"},
		"a name at the end":        {[]string{"<!-- step: a/one -->"}, "the step a/one has no commands"},
		"no command":               {[]string{"<!-- step: a/one -->", "```sh", " ", "```"}, "the step a/one is empty"},
		"a block without an end":   {[]string{"<!-- step: a/one -->", "```sh", "true"}, "this block does not end"},
		"a name twice": {
			[]string{"<!-- step: a/one -->", "```sh", "true", "```", "<!-- step: a/one -->", "```sh", "true", "```"},
			":5: the step a/one is in line 1 already",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(strings.Join(tc.lines, "\n")); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	printed := "NAME      READY   AGE\ndefault   True    12s\nError: a message\nof two lines (403)\n"
	for name, tc := range map[string]struct {
		output string
		want   []string
	}{
		"columns of another width":        {"NAME READY AGE\ndefault  True ...\n", nil},
		"a line that was not printed":     {"NAME READY AGE\nother True\n", []string{"other True"}},
		"a message broken elsewhere":      {"Error: a\n  message of two lines\n", nil},
		"another word in it":              {"Error: a\n  message of three lines\n", []string{"Error: a message of three lines"}},
		"signs that mean something":       {"of two lines (403)\n", nil},
		"dots are no text, too":           {"default ... True\n", nil},
		"dots are any text, and no less":  {"default ... 12s\ndefault ... 13s\n", []string{"default ... 13s"}},
		"nothing that has to be printed":  {"\n", nil},
		"part of a line is good enough":   {"two lines\n", nil},
		"a line that is not there at all": {"Error:  b\n", []string{"Error: b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Missing(tc.output, printed)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
