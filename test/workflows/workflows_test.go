// Package workflows judges the workflows of the repository, which nothing else runs before they are needed.
package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/test/cluster"
)

const root = "../.."

func workflows(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.y*ml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

func TestActionlintFindsNothing(t *testing.T) {
	linter, err := cluster.Tool(t.Context(), "tools/actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-no-color", "-shellcheck=", "-pyflakes="} // with what is on every machine
	for file := range workflows(t) {
		args = append(args, file)
	}
	if out, err := exec.CommandContext(t.Context(), linter, args...).CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

// A tag of an action can be moved to other code; a commit cannot. Dependabot goes by the comment.
func TestActionsArePinnedByCommit(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	found := 0
	for file, text := range workflows(t) {
		for line := range strings.Lines(text) {
			_, uses, isUse := strings.Cut(strings.TrimSpace(line), "uses: ")
			if !isUse {
				continue
			}
			found++
			if !pinned.MatchString(strings.TrimSpace(uses)) {
				t.Errorf("%s: %s is not pinned by a commit with its version beside it", file, uses)
			}
		}
	}
	if found == 0 {
		t.Error("no workflow uses an action: this test looks in the wrong place")
	}
}

// A job gets no right that it does not name, and the one that runs for pull requests may only read.
func TestWorkflowsNameTheirRights(t *testing.T) {
	for file, text := range workflows(t) {
		var workflow struct {
			Permissions *map[string]string `json:"permissions"`
		}
		if err := yaml.Unmarshal([]byte(text), &workflow); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if workflow.Permissions == nil {
			t.Errorf("%s: no permissions, so jobs get those of the repository's settings", file)
			continue
		}
		for right, level := range *workflow.Permissions {
			if level != "read" && level != "none" {
				t.Errorf("%s: every job gets %s: %s", file, right, level)
			}
		}
	}
}

// Workflows, the list of releases' steps and CI name targets of the Makefile, which may be renamed.
func TestTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	texts := workflows(t)
	for _, file := range []string{".ci/run", "RELEASE.md"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	named := regexp.MustCompile("(?m)(?:^|`|run: |&& | )make ([a-z0-9-]+)(?:$|[ `])")
	found := 0
	for file, text := range texts {
		for _, target := range named.FindAllStringSubmatch(text, -1) {
			if comment := regexp.MustCompile(`(?m)^#.*make ` + target[1]).MatchString(text); comment {
				continue
			}
			found++
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s: there is no target %s in the Makefile", file, target[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("%d targets found: this test does not read what it shall", found)
	}
}
