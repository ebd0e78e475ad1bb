package status

import (
	"cmp"
	"maps"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// counts adds up the workloads of each revision and version.
func (b *builder) counts() {
	type key struct{ revision, version, role string }
	pods, workloads := map[key]int{}, map[key]map[owner]bool{}
	for _, d := range b.decided {
		if d.role == "" || b.outside(d.Runs.Namespace) {
			continue
		}
		k := key{d.Runs.Revision, skew.Parse(d.Runs.Version).String(), string(d.role)}
		if workloads[k] == nil {
			workloads[k] = map[owner]bool{}
		}
		workloads[k][d.owner()] = true
		pods[k] += d.Pods
	}
	for k, n := range pods {
		b.report.Workloads = append(b.report.Workloads, Count{k.revision, k.version, k.role, len(workloads[k]), n})
	}
	slices.SortFunc(b.report.Workloads, func(x, y Count) int {
		return cmp.Or(cmp.Compare(x.Revision, y.Revision), skew.Parse(x.Version).Compare(skew.Parse(y.Version)),
			cmp.Compare(x.Role, y.Role))
	})
}

// pods finds those that would come out differently now.
func (b *builder) pods() {
	restarts := map[Restart]int{}
	lacking, lost := map[Asking]Asking{}, map[Asking]Asking{}
	for _, d := range b.decided {
		switch {
		case d.decision.Action == routing.Unresolvable:
			merge(lost, b.asking(d), d)
		case d.injected():
			if r, differs := b.restart(d); differs {
				restarts[r] += d.Pods
			}
		case d.decision.Action == routing.Inject && d.role == "":
			merge(lacking, b.asking(d), d)
		}
	}
	for r, n := range restarts {
		r.Pods = n
		b.report.Restarts = append(b.report.Restarts, r)
	}
	slices.SortFunc(b.report.Restarts, compareRestarts)
	b.report.WithoutSidecar, b.report.Unresolvable = sorted(lacking), sorted(lost)
	b.command()
}

func compareRestarts(x, y Restart) int {
	return cmp.Or(
		cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name),
		cmp.Compare(x.From.Revision, y.From.Revision), cmp.Compare(x.From.Version, y.From.Version),
		cmp.Compare(x.To.Revision, y.To.Revision), cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Why, y.Why),
	)
}

// restart tells how pods with an injected proxy would come out now, and whether that differs from what they are.
func (b *builder) restart(d decided) (r Restart, differs bool) {
	r = Restart{
		Namespace: d.Runs.Namespace, Kind: d.Runs.Kind, Name: d.Runs.Name, Tag: d.decision.Tag,
		From: Proxy{d.Runs.Revision, skew.Parse(d.Runs.Version).String()}, Why: routing.Explain(d.in, d.decision),
	}
	if d.decision.Action == routing.Skip {
		r.Reason = NoLongerSelected
		return r, true
	}
	r.To = Proxy{d.decision.Revision, b.injects(d.decision.Revision)}
	if r.From.Revision != r.To.Revision {
		r.Reason, r.Wait = b.moved(d), b.wait(r.To.Revision)
		return r, true
	}
	from, to := skew.Parse(r.From.Version), skew.Parse(r.To.Version)
	if !from.Known() || !to.Known() || same(r.From.Version, r.To.Version) {
		return Restart{}, false
	}
	r.Reason, r.Wait = RevisionUpdated, b.wait(r.To.Revision)
	r.Why = "revision " + r.To.Revision + " was updated in place from " + from.String() + " to " + to.String()
	if from.Compare(to) > 0 {
		r.Why = "revision " + r.To.Revision + " was lowered in place from " + from.String() + " to " + to.String()
	}
	return r, true
}

// moved is why the pods would go to another revision.
func (b *builder) moved(d decided) RestartReason {
	tag := b.Mesh.Resolve(d.decision.Wanted).Tag
	switch {
	case tag == nil || d.Tag != "" && d.Tag != tag.Name:
		return LabelsChanged
	case b.Mesh.Mode() == routing.Forward && tag.Rollout.Set() &&
		(d.decision.Followed == routing.FollowedRollout || d.Runs.Revision == tag.Rollout.Revision):
		return RolloutMoved
	}
	return TagMoved
}

// injects is the version that the injector of a revision would give now: what runs, or while that is more than one or
// not known, what is declared.
func (b *builder) injects(revision string) string {
	for _, c := range b.report.ControlPlanes {
		if c.Name != revision {
			continue
		}
		if len(c.Running) == 1 && c.State != RollingOut {
			return c.Running[0]
		}
		if c.Declared == "" && len(c.Running) > 0 {
			return c.Running[len(c.Running)-1]
		}
		return c.Declared
	}
	return ""
}

// wait is what a restart has to wait for; empty where the revision is ready for it.
func (b *builder) wait(revision string) string {
	for _, c := range b.report.ControlPlanes {
		if c.Name == revision && (c.State == RollingOut || c.State == NotRunning || c.State == Pending) {
			return "kubectl rollout status deployment/" + (&routing.Revision{Name: revision}).Service() + " -n " + c.Namespace
		}
	}
	return ""
}

// asking is a workload that asks for a sidecar, without its numbers, so that pods in different states meet.
func (b *builder) asking(d decided) Asking {
	a := Asking{
		Namespace: d.Runs.Namespace, Kind: d.Runs.Kind, Name: d.Runs.Name, Reason: d.decision.Reason,
		Wanted: d.decision.Wanted, Revision: d.decision.Revision, Why: routing.Explain(d.in, d.decision),
	}
	if d.decision.Action == routing.Unresolvable {
		a.Next = nextStep(d)
	}
	return a
}

func merge(all map[Asking]Asking, key Asking, d decided) {
	a, ok := all[key]
	if !ok {
		a = key
	}
	a.Pods += d.Pods
	if d.proxied() {
		a.WithSidecar += d.Pods
	}
	all[key] = a
}

func sorted(all map[Asking]Asking) []Asking {
	list := slices.AppendSeq([]Asking{}, maps.Values(all))
	slices.SortFunc(list, func(x, y Asking) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name),
			cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Wanted, y.Wanted), cmp.Compare(x.Why, y.Why))
	})
	return list
}
