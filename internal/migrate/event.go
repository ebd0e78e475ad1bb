package migrate

import (
	"time"

	"github.com/revision-router/revision-router/internal/status"
)

// EventType is what has happened. The set is closed.
type EventType string

// The events.
const (
	// Found: how many workloads wait for a restart. It comes first.
	Found EventType = "Found"
	// Planned: it would be restarted in this wave. Only in a dry run.
	Planned EventType = "Planned"
	// Adopted: its rollout is under way already, and is waited for.
	Adopted EventType = "Adopted"
	// Restarted: its rollout has been begun.
	Restarted EventType = "Restarted"
	// Progressing: its rollout has got on.
	Progressing EventType = "Progressing"
	// RolledOut: all its pods are new and available, and have the sidecar.
	RolledOut EventType = "RolledOut"
	// Failed: its rollout has not come to its end.
	Failed EventType = "Failed"
	// Held: it cannot be restarted now, for a reason that may pass.
	Held EventType = "Held"
	// LeftOver: it is not restarted.
	LeftOver EventType = "Left"
	// Interrupted: its rollout goes on, and is not waited for any more.
	Interrupted EventType = "Interrupted"
	// Noted: something else runs an old version, which is nobody's to restart.
	Noted EventType = "Noted"
	// Finished comes last.
	Finished EventType = "Finished"
)

// EventTypes lists all of them, in the order of their constants.
func EventTypes() []EventType {
	return []EventType{
		Found, Planned, Adopted, Restarted, Progressing, RolledOut, Failed, Held, LeftOver, Interrupted, Noted, Finished,
	}
}

// Event is one thing that has happened.
type Event struct {
	Time time.Time
	Type EventType
	// Wave counts from 1; 0 is before the first.
	Wave int
	// Due is the workload; nil where the event is about none.
	Due *Due
	// Message says more, Next is what a person can do.
	Message, Next string
	// Took is how long a rollout has taken.
	Took time.Duration
	Counts
}

// Counts is how far a run is.
type Counts struct {
	// Total is how many workloads waited for a restart at the beginning.
	Total int
	// Done are those that wait no more, UnderWay those with a rollout that is not over, Failed and Left as the events.
	Done, UnderWay, Failed, Left int
	// Pods are those of all.
	Pods int
	// Elsewhere wait for a restart as well, and were not asked for.
	Elsewhere int
	// Remaining is how long the rest will take at the present pace; 0 where nothing tells.
	Remaining time.Duration
}

// Waiting are those whose turn has not come.
func (c Counts) Waiting() int { return c.Total - c.Done - c.UnderWay - c.Failed - c.Left }

// estimate is how long the rest takes if it goes on as it went.
func estimate(took time.Duration, done, rest int) time.Duration {
	if done == 0 {
		return 0
	}
	return took / time.Duration(done) * time.Duration(rest)
}

// outdated are the Gateways whose proxies run another version than the revision that deploys them.
func outdated(r *status.Report, namespace string) []status.Gateway {
	var list []status.Gateway
	for _, g := range r.Gateways {
		if g.State == status.Outdated && (namespace == "" || namespace == g.Namespace) {
			list = append(list, g)
		}
	}
	return list
}
