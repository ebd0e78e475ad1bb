package load

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/revision-router/revision-router/routing"
)

// Answer is what became of one pod that was created. The set is closed.
type Answer string

// The answers. Every one but Admitted is a failed admission.
const (
	// Admitted: 201 Created, with the marks of a revision that was expected.
	Admitted Answer = "admitted"
	// Unmarked: 201, but the router was not asked; what failurePolicy Ignore makes of a router that is away.
	Unmarked Answer = "unmarked"
	// Misrouted: 201, with the marks of another revision.
	Misrouted Answer = "misrouted"
	// Denied: the router, or the API server itself, refused the pod (a status from 400 to 499).
	Denied Answer = "denied"
	// NotCalled: the API server could not call the webhook; what failurePolicy Fail makes of a router that is away.
	NotCalled Answer = "webhook not called"
	// ServerError: any other status.
	ServerError Answer = "server error"
	// NoAnswer: the API server itself could not be asked.
	NoAnswer Answer = "no answer"
)

// Answers returns all answers, Admitted first.
func Answers() []Answer {
	return []Answer{Admitted, Unmarked, Misrouted, Denied, NotCalled, ServerError, NoAnswer}
}

// judge tells what an answer of the API server amounts to.
func judge(status int, body []byte, revisions []string) Answer {
	mark := func(value string) []byte { return []byte(`"` + routing.LabelRoutedRevision + `":"` + value) }
	marked := func(revision string) bool { return bytes.Contains(body, mark(revision+`"`)) }
	switch {
	case status == http.StatusCreated && slices.ContainsFunc(revisions, marked):
		return Admitted
	case status == http.StatusCreated && bytes.Contains(body, mark("")):
		return Misrouted
	case status == http.StatusCreated:
		return Unmarked
	case status >= 400 && status < 500:
		return Denied
	case bytes.Contains(body, []byte("failed calling webhook")):
		return NotCalled
	}
	return ServerError
}

const (
	// maxExamples of failures are kept in full.
	maxExamples = 5
	// maxText of what the API server said is shown.
	maxText = 400
	// maxFailures are kept at all.
	maxFailures = 10_000
)

// Failure is one failed admission.
type Failure struct {
	At     time.Duration // when it was sent, since the generator was started
	Answer Answer
	// Text is what the API server said. Only the first few failures have it.
	Text string
}

// tally counts while a generator runs.
type tally struct {
	mu       sync.Mutex
	counts   map[Answer]int
	failures []Failure
	skipped  int
	took     []time.Duration
}

func (t *tally) add(f Failure, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[f.Answer]++
	t.took = append(t.took, took)
	if f.Answer == Admitted || len(t.failures) == maxFailures {
		return
	}
	if len(t.failures) >= maxExamples {
		f.Text = ""
	}
	t.failures = append(t.failures, f)
}

func (t *tally) skip() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skipped++
}

// Report is what a generator did.
type Report struct {
	Took   time.Duration
	Counts map[Answer]int
	// Skipped requests were due and not sent, because too many were waiting for an answer: more than the machine
	// carries was asked for.
	Skipped int
	// Took50, Took99 and Slowest are how long answers took: half of them, all but one of a hundred, and any.
	Took50, Took99, Slowest time.Duration
	// Wrong are the failed admissions, in the order in which they were answered.
	Wrong []Failure
}

// percentiles sets how long answers took.
func (r *Report) percentiles(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	took = slices.Sorted(slices.Values(took))
	at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100] }
	r.Took50, r.Took99, r.Slowest = at(50), at(99), at(100)
}

// Requests is the number of pods that were created or tried to.
func (r Report) Requests() int {
	n := 0
	for _, count := range r.Counts {
		n += count
	}
	return n
}

// Failed is the number of them that did not come back with the router's marks.
func (r Report) Failed() int { return r.Requests() - r.Counts[Admitted] }

// SentBefore is the number of failed admissions of pods that were sent before a time.
func (r Report) SentBefore(at time.Duration) int {
	n := 0
	for _, f := range r.Wrong {
		if f.At < at {
			n++
		}
	}
	return n
}

// Rate is what was reached, in pods a second.
func (r Report) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Requests()) / r.Took.Seconds()
}

// Failures names each kind of wrong answer with its number, and some of them in full. It is empty without any.
func (r Report) Failures() string {
	var kinds []string
	for _, a := range Answers() {
		if n := r.Counts[a]; n > 0 && a != Admitted {
			kinds = append(kinds, fmt.Sprintf("%d %s", n, a))
		}
	}
	lines := slices.Clone(kinds)
	for _, f := range r.Wrong[:min(len(r.Wrong), maxExamples)] {
		lines = append(lines, fmt.Sprintf("at %s: %s: %s", f.At.Round(time.Millisecond), f.Answer, f.Text[:min(len(f.Text), maxText)]))
	}
	return strings.Join(lines, "\n")
}
