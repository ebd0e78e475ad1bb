package migrate

import (
	"iter"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/internal/status"
)

// Verdict is what becomes of a workload that is due.
type Verdict string

// The verdicts.
const (
	// Ready: it can be restarted now.
	Ready Verdict = "Ready"
	// Waits: it cannot, and that may change by itself.
	Waits Verdict = "Waits"
	// UnderWay: a rollout of it is going on. It is waited for, and not begun again.
	UnderWay Verdict = "UnderWay"
	// Done: it has gone, or has what it should.
	Done Verdict = "Done"
	// Left: a person has to do something first, or instead.
	Left Verdict = "Left"
	// Broken: its pods with the wanted sidecar do not become available.
	Broken Verdict = "Broken"
)

// Judgement is a verdict with its reason, and with what a person can do about it.
type Judgement struct {
	Verdict   Verdict
	Why, Next string
}

func waits(why string) Judgement { return Judgement{Verdict: Waits, Why: why} }

func left(why, next string) Judgement { return Judgement{Verdict: Left, Why: why, Next: next} }

// Pod is what counts of a pod.
type Pod struct {
	Name            string
	Labels          map[string]string
	Ready, Deleting bool
	Proxy           status.Proxy
}

// Namespace is a namespace at one moment.
type Namespace struct {
	Workloads map[Ref]*Workload
	Budgets   []*Budget
	// Pods are those that have not ended.
	Pods []Pod
}

// Judge tells what becomes of a workload now. started are the workloads whose rollouts have been begun and are not over;
// they are judged by what they may still take away.
func (n *Namespace) Judge(d Due, started map[Ref]bool) Judgement {
	if !d.restartable() {
		return left("a "+d.Kind+" is nothing that can be rolled out", d.Step)
	}
	w := n.Workloads[d.Ref]
	if w == nil {
		return Judgement{Verdict: Done, Why: "it is gone"}
	}
	if j := w.cannot(); j.Verdict == Left {
		return j
	}
	phase, message := w.Rollout()
	tried := n.has(w, d.To)
	switch {
	case phase == Stuck && tried > 0:
		return Judgement{Broken, message, w.look()}
	case phase == Stuck:
		return left("an earlier rollout of it has failed: "+message, w.look())
	case phase == RollingOut:
		return Judgement{UnderWay, message, w.look()}
	case tried > 0 && tried == n.count(w):
		return Judgement{Verdict: Done, Why: "it has been restarted meanwhile"}
	case d.Wait != "":
		return Judgement{Waits, "the control plane of revision " + d.To.Revision + " has yet to roll out", d.Wait}
	}
	return n.budgets(w, started)
}

// cannot is what keeps a restart from replacing all pods one after the other.
func (w *Workload) cannot() Judgement {
	in := " -n " + w.Namespace
	switch {
	case w.Paused:
		return left("it is paused", "kubectl rollout resume "+w.resource()+in)
	case w.Strategy == "OnDelete":
		return left("its update strategy is OnDelete: its pods are replaced as somebody deletes them",
			"kubectl rollout restart "+w.resource()+in+", and delete its pods one after the other")
	case w.Partition > 0:
		return left("its update strategy has a partition: pods with a lower number are not replaced",
			"kubectl rollout restart "+w.resource()+in+", and lower the partition step by step")
	}
	return Judgement{}
}

// look is the command that shows what is wrong.
func (w *Workload) look() string {
	return "kubectl describe " + w.resource() + " -n " + w.Namespace
}

// has counts the pods of a workload with the proxy.
func (n *Namespace) has(w *Workload, wanted status.Proxy) (pods int) {
	for p := range n.podsOf(w) {
		if p.Proxy.Satisfies(wanted) {
			pods++
		}
	}
	return pods
}

func (n *Namespace) count(w *Workload) (pods int) {
	for range n.podsOf(w) {
		pods++
	}
	return pods
}

// podsOf are the pods of a workload that are not about to end.
func (n *Namespace) podsOf(w *Workload) iter.Seq[*Pod] {
	return func(yield func(*Pod) bool) {
		for i := range n.Pods {
			if p := &n.Pods[i]; !p.Deleting && w.Pods.Matches(labels.Set(p.Labels)) && !yield(p) {
				return
			}
		}
	}
}

// budgets judges by all that cover the workload: the strictest counts.
func (n *Namespace) budgets(w *Workload, started map[Ref]bool) Judgement {
	worst := Judgement{Verdict: Ready}
	for _, b := range n.Budgets {
		if !b.covers(w, n.Pods) {
			continue
		}
		j := n.budget(b, w, started)
		if j.Verdict == Left {
			return j
		}
		if worst.Verdict == Ready {
			worst = j
		}
	}
	return worst
}

// budget judges by one of them. Rollouts that others have begun may take away what they like: they are waited for.
func (n *Namespace) budget(b *Budget, w *Workload, started map[Ref]bool) Judgement {
	r := room{healthy: b.healthy(n.Pods)}
	for _, ref := range slices.SortedFunc(maps.Keys(n.Workloads), compareRefs) {
		other := n.Workloads[ref]
		if !b.covers(other, n.Pods) {
			continue
		}
		// What a budget with a number expects is the pods that there are at the moment, one less while one is replaced.
		r.expected += other.Wanted
		if ref == w.Ref {
			continue
		}
		if started[ref] {
			r.reserved += other.MaxUnavailable
			continue
		}
		if phase, message := other.Rollout(); phase != Settled {
			return waits(b.String() + " is also that of " + other.String() + ", of which " + message)
		}
	}
	r.expected = max(r.expected, b.Expected)
	return b.judge(w, r)
}
