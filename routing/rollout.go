package routing

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AnnotationRollout on an IstioRevisionTag sends a share of the workloads that ask for the tag to another revision:
// "<revision>=<percent>". It has an effect in [Forward] only.
const AnnotationRollout = "revision-router.io/rollout"

// Rollout is a share of a tag's workloads, and the revision they go to. The zero value is no rollout.
type Rollout struct {
	Revision string
	// Percent of the workloads, from 0 to 100. 0 moves none and 100 moves all, exactly.
	Percent int
}

// ParseRollout reads the value of [AnnotationRollout]. The percentage is a whole number without sign, leading zeros
// or percent sign, so that two values that differ never mean the same.
func ParseRollout(value string) (Rollout, error) {
	const form = `want "<revision>=<percent>", such as "default-v1-30-3=10"`
	revision, percent, ok := strings.Cut(value, "=")
	switch {
	case !ok:
		return Rollout{}, fmt.Errorf("read rollout %s: %s", quoteIn(80, value), form)
	case revision == "":
		return Rollout{}, fmt.Errorf("read rollout %s: no revision is named: %s", quoteIn(80, value), form)
	case !ValidLabelValue(revision):
		// The name has to be one that istio.io/rev can hold; no revision has another.
		return Rollout{}, fmt.Errorf("read rollout %s: %s is no name of a revision: %s",
			quoteIn(80, value), quoteIn(63, revision), form)
	}
	share, err := parsePercent(percent)
	if err != nil {
		return Rollout{}, fmt.Errorf("read rollout %s: %w", quoteIn(80, value), err)
	}
	return Rollout{Revision: revision, Percent: share}, nil
}

var errPercent = errors.New("the percentage has to be a whole number from 0 to 100, without sign, leading zeros or %")

func parsePercent(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 100 || strconv.Itoa(n) != s {
		return 0, errPercent
	}
	return n, nil
}

// Set reports whether there is a rollout at all.
func (r Rollout) Set() bool { return r != Rollout{} }

// String is the value of the annotation.
func (r Rollout) String() string {
	if !r.Set() {
		return ""
	}
	return r.Revision + "=" + strconv.Itoa(r.Percent)
}

// Includes reports whether the rollout of the tag holds the workload. The answer depends on nothing but its
// arguments, and not on the revision: a workload that 10 % hold is held by 25 %, too, whatever the revision is.
func (r Rollout) Includes(tag, namespace string, w Workload) bool {
	return r.Set() && Slot(tag, namespace, w) < r.Percent
}

// Slot is the place of a workload among the hundred of a tag, from 0 to 99: FNV-1a of 64 bits over tag, namespace,
// kind and name, each ended by a zero byte, finished by the mixer of MurmurHash3, modulo 100. It is part of the
// specification (docs/spec.md): another function would move workloads of a rollout that is under way.
func Slot(tag, namespace string, w Workload) int {
	h := uint64(14695981039346656037)
	for _, part := range [...]string{tag, namespace, w.Kind, w.Name} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * 1099511628211
		}
		h *= 1099511628211 // the zero byte
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return int((h ^ h>>33) % 100)
}
