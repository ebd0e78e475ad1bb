package migrate

import (
	"strconv"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Budget is a PodDisruptionBudget. The API server holds evictions to it and nothing else: a rollout deletes pods without
// asking. So it is judged here, before a rollout begins.
type Budget struct {
	Namespace, Name string
	Pods            labels.Selector
	// Seen: its controller has seen it as it is; Trouble is why it could not tell what is allowed.
	Seen    bool
	Trouble string
	// Healthy pods, those that have to be, and all that are expected.
	Healthy, Desired, Expected int
}

func (b *Budget) String() string { return "PodDisruptionBudget " + b.Namespace + "/" + b.Name }

func ofBudget(p *policyv1.PodDisruptionBudget) (*Budget, error) {
	selector, err := metav1.LabelSelectorAsSelector(p.Spec.Selector)
	b := &Budget{
		Namespace: p.Namespace, Name: p.Name, Pods: selector, Seen: p.Generation <= p.Status.ObservedGeneration,
		Healthy: int(p.Status.CurrentHealthy), Desired: int(p.Status.DesiredHealthy), Expected: int(p.Status.ExpectedPods),
	}
	for _, c := range p.Status.Conditions {
		if c.Type == policyv1.DisruptionAllowedCondition && c.Reason == policyv1.SyncFailedReason {
			b.Trouble = c.Message
		}
	}
	return b, err
}

// covers reports whether pods of the workload count for the budget: those that there are, and those that the template
// makes.
func (b *Budget) covers(w *Workload, pods []Pod) bool {
	if b.Pods.Matches(labels.Set(w.Template.Labels)) {
		return true
	}
	for i := range pods {
		if w.Pods.Matches(labels.Set(pods[i].Labels)) && b.Pods.Matches(labels.Set(pods[i].Labels)) {
			return true
		}
	}
	return false
}

// healthy counts the pods that the budget's controller would count now. Its own number is that of a moment ago, when the
// extra pods of a rollout that has ended were still there: the lower one counts.
func (b *Budget) healthy(pods []Pod) int {
	n := 0
	for i := range pods {
		if p := &pods[i]; p.Ready && !p.Deleting && b.Pods.Matches(labels.Set(p.Labels)) {
			n++
		}
	}
	return min(n, b.Healthy)
}

// room is what there is for a disruption.
type room struct {
	// healthy pods, all that there are at full health, and those that others of the wave may take away.
	healthy, expected, reserved int
}

// judge tells whether the budget lets pods of a workload be taken away.
func (b *Budget) judge(w *Workload, r room) Judgement {
	most := max(r.expected-b.Desired, 0)
	switch {
	case !b.Seen:
		return waits("the controller has yet to see " + b.String())
	case b.Trouble != "":
		return waits(b.String() + " cannot be judged: " + b.Trouble)
	case w.MaxUnavailable > most:
		return left(b.String()+" lets "+podCount(most)+" be away, and a rollout may take away "+
			strconv.Itoa(w.MaxUnavailable)+" of "+w.String(), "lower the maxUnavailable of "+w.resource()+", or loosen the budget: "+
			"kubectl describe pdb "+b.Name+" -n "+b.Namespace)
	case r.healthy-r.reserved-w.MaxUnavailable < b.Desired:
		text := b.String() + " wants " + strconv.Itoa(b.Desired) + " of its " + podCount(r.expected) + " healthy; " +
			strconv.Itoa(r.healthy) + " are, and a rollout may take away " + strconv.Itoa(w.MaxUnavailable)
		if r.reserved > 0 {
			text += ", others under way " + strconv.Itoa(r.reserved)
		}
		return waits(text)
	}
	return Judgement{Verdict: Ready}
}
