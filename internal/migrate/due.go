package migrate

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/internal/status"
)

// Ref names a workload.
type Ref struct{ Namespace, Kind, Name string }

func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// resource is what kubectl calls it.
func (r Ref) resource() string { return strings.ToLower(r.Kind) + "/" + r.Name }

// restartable reports whether the kind has a pod template that a restart is written into.
func (r Ref) restartable() bool { return slices.Contains(kinds(), r.Kind) }

// kinds are those that kubectl rollout restart knows.
func kinds() []string { return []string{"DaemonSet", "Deployment", "StatefulSet"} }

// Due is a workload with pods that would come out differently now.
type Due struct {
	Ref
	// Pods are those that would.
	Pods int
	// From are their proxies, To what they would have.
	From []status.Proxy
	To   status.Proxy
	// Tag is what they would follow; Reason and Why tell what has changed.
	Tag    string
	Reason status.RestartReason
	Why    string
	// Wait is a command that waits for what has to come first; Step is how a person would restart it.
	Wait, Step string
}

// Selection says which of the workloads are meant. Empty fields mean all.
type Selection struct {
	Namespace string
	// Tag is what their pods would follow.
	Tag string
	// From and To are a revision or a version: what pods have, and what they would have.
	From, To string
}

func (s Selection) includes(r status.Restart) bool {
	return (s.Namespace == "" || s.Namespace == r.Namespace) && (s.Tag == "" || s.Tag == r.Tag) &&
		(s.From == "" || r.From.Named(s.From)) && (s.To == "" || r.To.Named(s.To))
}

// DueIn lists the selected workloads of a report that wait for a restart, in the report's order: by namespace, kind and
// name. Pods that merely have a sidecar nobody asks for any more are not among them.
func DueIn(r *status.Report, s Selection) []Due {
	var list []Due
	at := map[Ref]int{}
	for i := range r.Restarts {
		one := &r.Restarts[i]
		if one.Reason == status.NoLongerSelected || !s.includes(*one) {
			continue
		}
		ref := Ref{one.Namespace, one.Kind, one.Name}
		n, known := at[ref]
		if !known {
			n = len(list)
			at[ref] = n
			list = append(list, Due{
				Ref: ref, To: one.To, Tag: one.Tag, Reason: one.Reason, Why: one.Why, Wait: one.Wait, Step: one.Step,
			})
		}
		list[n].Pods += one.Pods
		if !slices.Contains(list[n].From, one.From) {
			list[n].From = append(list[n].From, one.From)
		}
	}
	return list
}
