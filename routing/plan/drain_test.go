package plan

import (
	"os/exec"
	"strings"
	"testing"
)

// A node that could not be drained stays cordoned: the command must not look as if all had gone well.
func TestADrainThatFailsIsAFailure(t *testing.T) {
	const kubectl = `kubectl() { echo "$1 $2" >&2; case "$1 $2" in "get pods") echo "a b c";; "drain b") return "$failing";; esac; }; `
	for failing, want := range map[string]string{
		"0": "drain a;delete pod;wait pod;uncordon a;drain b;delete pod;wait pod;uncordon b;drain c;delete pod;wait pod;uncordon c;0",
		"1": "drain a;delete pod;wait pod;uncordon a;drain b;1",
	} {
		cmd := exec.Command("bash", "-c", "failing="+failing+"; "+kubectl+drainNodes("ztunnel")+"; echo $?")
		var steps strings.Builder
		cmd.Stderr = &steps
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimPrefix(steps.String(), "get pods\n") + string(out)
		if got = strings.ReplaceAll(strings.TrimSpace(got), "\n", ";"); got != want {
			t.Errorf("where draining b ends in %s: %s, want %s", failing, got, want)
		}
	}
}
