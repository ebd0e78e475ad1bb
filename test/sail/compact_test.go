package sail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// event is a state that an object was seen in: who it is, and everything about it that is compared.
type event struct {
	who, state string
	// at orders the events of one API server; testdata has them in order.
	at uint64
}

// recordedStep is one thing that was done, and what came of it until the next.
type recordedStep struct {
	name   string
	events []event
}

// eventOf reduces a change of an object to what is compared: no times, UIDs, resource versions or messages.
func eventOf(kind string, o *object) event {
	who := o.GetKind() + "/" + o.GetName()
	at, _ := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if kind == "DELETED" {
		return event{who, "gone", at}
	}
	words := []string{fmt.Sprintf("generation=%d", o.GetGeneration())}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+value)
		}
	}
	add("version", text(o, "spec", "version"))
	add("values.revision", text(o, "spec", "values", "revision"))
	if name := text(o, "spec", "targetRef", "name"); name != "" {
		add("target", text(o, "spec", "targetRef", "kind")+"/"+name)
	}
	for _, owner := range o.GetOwnerReferences() {
		add("owner", owner.Kind+"/"+owner.Name)
	}
	add("finalizers", strings.Join(o.GetFinalizers(), ","))
	if o.GetDeletionTimestamp() != nil {
		words = append(words, "deleted")
	}
	if status, ok := o.Object["status"]; ok {
		add("observed", strconv.FormatInt(number(o, 0, "status", "observedGeneration"), 10))
		add("state", text(o, "status", "state"))
		add("active", text(o, "status", "activeRevisionName"))
		add("leads-to", text(o, "status", "istioRevision"))
		add("in", text(o, "status", "istiodNamespace"))
		content, _ := status.(map[string]any)
		if counts, ok := content["revisions"].(map[string]any); ok {
			words = append(words, fmt.Sprintf("revisions=%v(%v-ready,%v-in-use)", counts["total"], counts["ready"], counts["inUse"]))
		}
	}
	conditions := conditionsOf(o)
	slices.SortFunc(conditions, func(a, b condition) int { return strings.Compare(a.Type, b.Type) })
	for _, c := range conditions {
		add(c.Type, strings.TrimSuffix(c.Status+":"+c.Reason, ":"))
	}
	return event{who, strings.Join(words, " "), at}
}

// compact writes steps as they stand in testdata.
func compact(steps []recordedStep) []byte {
	var b bytes.Buffer
	for _, s := range steps {
		fmt.Fprintf(&b, "# %s\n", s.name)
		for _, e := range s.events {
			fmt.Fprintf(&b, "%s %s\n", e.who, e.state)
		}
	}
	return b.Bytes()
}

// expand reads what compact writes.
func expand(t *testing.T, raw []byte) []recordedStep {
	t.Helper()
	var steps []recordedStep
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# "); ok {
			steps = append(steps, recordedStep{name: name})
			continue
		}
		who, state, ok := strings.Cut(line, " ")
		if !ok || len(steps) == 0 {
			t.Fatalf("not a line of a recording: %q", line)
		}
		last := &steps[len(steps)-1]
		last.events = append(last.events, event{who: who, state: state})
	}
	return steps
}

// reduce turns a recording of whole objects into steps. A change of nothing that is compared is left out.
func reduce(t *testing.T, raw []byte) []recordedStep {
	t.Helper()
	var steps []recordedStep
	last := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Step, Event string
			Object      unstructured.Unstructured
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Step != "" {
			steps = append(steps, recordedStep{name: line.Step})
			continue
		}
		e := eventOf(line.Event, &line.Object)
		if last[e.who] == e.state {
			continue
		}
		last[e.who] = e.state
		steps[len(steps)-1].events = append(steps[len(steps)-1].events, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
