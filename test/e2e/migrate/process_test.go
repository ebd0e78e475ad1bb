//go:build e2e

package migrate

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
)

// told is an event, as router migrate -o json tells it.
type told struct {
	Event                                        string
	Wave                                         int
	Namespace, Kind, Name                        string
	Message, Next                                string
	Total, Done, UnderWay, Waiting, Failed, Left int
	Pods                                         int
	SecondsLeft                                  float64
	From                                         []struct{ Revision, Version string }
	To                                           struct{ Revision, Version string }
}

func (e told) workload() string { return e.Namespace + "/" + e.Name }

// outcome is a run that has ended.
type outcome struct {
	code   int
	events []told
	stderr string
}

// of lists the workloads of one kind of event.
func (o outcome) of(event string) []string {
	var names []string
	for _, e := range o.events {
		if e.Event == event {
			names = append(names, e.workload())
		}
	}
	return names
}

// reasons are the workloads of one kind of event with what was said about them.
func (o outcome) reasons(event string) []string {
	var lines []string
	for _, e := range o.events {
		if e.Event == event {
			lines = append(lines, e.workload()+": "+e.Message)
		}
	}
	return lines
}

func (o outcome) last() told { return o.events[len(o.events)-1] }

// migrate runs the command. interrupt tells after each event whether Ctrl-C is pressed.
func (w *world) migrate(interrupt func(told) bool, args ...string) outcome {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.router, append([]string{"migrate", "-o", "json", "--kubeconfig", w.cluster.Kubeconfig()}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	var out outcome
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e told
		w.must(json.Unmarshal(lines.Bytes(), &e))
		out.events = append(out.events, e)
		if interrupt != nil && interrupt(e) {
			w.must(cmd.Process.Signal(os.Interrupt))
			interrupt = nil
		}
	}
	w.must(lines.Err())
	_ = cmd.Wait() // its exit code is what counts
	out.code, out.stderr = cmd.ProcessState.ExitCode(), stderr.String()
	if len(out.events) == 0 || out.last().Event != "Finished" {
		w.t.Fatalf("router migrate %s ended with code %d and without a last word; stderr:\n%s", strings.Join(args, " "), out.code, out.stderr)
	}
	return out
}
