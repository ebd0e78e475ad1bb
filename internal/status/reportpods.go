package status

import "github.com/revision-router/revision-router/routing"

// RestartReason is why pods would come out differently now. The set is closed.
type RestartReason string

// The reasons.
const (
	// TagMoved: the tag that they follow leads to another revision.
	TagMoved RestartReason = "TagMoved"
	// RolloutMoved: the rollout of the tag holds them now, or no longer does.
	RolloutMoved RestartReason = "RolloutMoved"
	// LabelsChanged: the labels of the pod or its namespace ask for another revision.
	LabelsChanged RestartReason = "LabelsChanged"
	// RevisionUpdated: their revision runs another version, because it was updated in place.
	RevisionUpdated RestartReason = "RevisionUpdated"
	// NoLongerSelected: they would get no sidecar any more. Nothing is wrong with them as they run.
	NoLongerSelected RestartReason = "NoLongerSelected"
)

// Restart is a workload with pods that would come out differently if they were created now.
type Restart struct {
	Namespace string        `json:"namespace"`
	Kind      string        `json:"kind"`
	Name      string        `json:"name"`
	Pods      int           `json:"pods"`
	From      Proxy         `json:"from"`
	To        Proxy         `json:"to"`
	Tag       string        `json:"tag"`
	Reason    RestartReason `json:"reason"`
	// Why says it in a sentence.
	Why string `json:"why"`
	// Wait is what to wait for before; empty where the restart can be done now.
	Wait string `json:"wait"`
	// Step is what does it, in words where there is no command; empty where nothing has to be done.
	Step string `json:"step"`
	// Command is Step where that is a command that can be run.
	Command string `json:"command"`
}

// Proxy is a revision with the version of its proxy; both are empty for no sidecar.
type Proxy struct {
	Revision string `json:"revision"`
	Version  string `json:"version"`
}

// Asking is a workload that asks for a sidecar.
type Asking struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	// Pods ask, WithSidecar of them have one.
	Pods        int            `json:"pods"`
	WithSidecar int            `json:"withSidecar"`
	Reason      routing.Reason `json:"reason"`
	// Wanted is the name that is asked for, Revision what it leads to.
	Wanted   string `json:"wanted"`
	Revision string `json:"revision"`
	Why      string `json:"why"`
	Next     string `json:"next"`
}
