package migrate

import "strconv"

// Phase is what a rollout is in.
type Phase string

// The phases.
const (
	// Settled: all pods are of the present template and available.
	Settled Phase = "Settled"
	// RollingOut: some are not, yet.
	RollingOut Phase = "RollingOut"
	// Stuck: the controller has given up waiting for them.
	Stuck Phase = "Stuck"
)

// Rollout tells how far a workload is, by the rules of kubectl rollout status, and in words what is missing.
func (w *Workload) Rollout() (phase Phase, message string) {
	switch {
	case !w.Seen:
		return RollingOut, "its controller has yet to see the change"
	case w.Exceeded != "":
		return Stuck, w.Exceeded
	case w.Kind == "StatefulSet" && w.Replacing && w.Strategy != "OnDelete" || w.Kind != "StatefulSet" && w.Updated < w.Wanted:
		return RollingOut, of(w.Updated, w.Wanted) + " updated"
	case w.Kind == "Deployment" && w.Current > w.Updated:
		return RollingOut, of(w.Current-w.Updated, w.Current) + " old and about to end"
	case w.Available < w.Wanted:
		return RollingOut, of(w.Available, w.Wanted) + " available"
	}
	return Settled, ""
}

// progress changes whenever the rollout gets on.
func (w *Workload) progress() [4]int {
	seen := 0
	if w.Seen {
		seen = 1
	}
	return [4]int{seen, w.Current, w.Updated, w.Available}
}

func of(n, all int) string {
	verb := " are"
	if n == 1 {
		verb = " is"
	}
	return strconv.Itoa(n) + " of " + podCount(all) + verb
}

func podCount(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return strconv.Itoa(n) + " pods"
}
