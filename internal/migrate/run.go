package migrate

import (
	"context"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/status"
)

// Runner restarts what was selected, once. Its fields are all needed, but for Labels.
type Runner struct {
	Cluster *Cluster
	// Read returns the mesh as it is.
	Read  func(context.Context) (*status.Report, error)
	Clock clock.Clock

	Selection Selection
	// Labels select among the workloads by their own labels; nil means all.
	Labels labels.Selector
	// MaxParallel is how many workloads a wave has at most.
	MaxParallel int
	// Timeout is how long a rollout, or all that is left, may be without any progress.
	Timeout time.Duration
	// Interval is how often rollouts are looked at.
	Interval time.Duration
	// DryRun changes nothing, and tells what would be done.
	DryRun bool
	// Tell is called with each event, from one goroutine.
	Tell func(Event)
}

// heldIntervals is how many intervals pass between two looks at workloads that all have to wait: the whole mesh is read.
const heldIntervals = 5

// run is one of a Runner.
type run struct {
	*Runner
	queue   []Due
	flights []*flight
	// looked are the namespaces as they were seen since the last change.
	looked map[string]*Namespace
	// held is why each workload waits, as it was told.
	held   map[Ref]Judgement
	counts Counts
	wave   int
	// began is when the first restart was, moved when anything last got on.
	began, moved time.Time
}

// Run restarts wave by wave until nothing is left, something fails, or ctx is done. What it returns counts everything;
// an error means that nothing was restarted.
func (r *Runner) Run(ctx context.Context) (Counts, error) {
	report, err := r.Read(ctx)
	if err != nil {
		return Counts{}, err
	}
	s := &run{Runner: r, queue: DueIn(report, r.Selection), held: map[Ref]Judgement{}, moved: r.Clock.Now()}
	if err := r.Cluster.Allowed(ctx, s.queue); err != nil {
		return Counts{}, err
	}
	if err := s.selectByLabels(ctx); err != nil {
		return Counts{}, err
	}
	s.counts.Total = len(s.queue)
	s.counts.Elsewhere = len(DueIn(report, Selection{})) - len(s.queue)
	for i := range s.queue {
		s.counts.Pods += s.queue[i].Pods
	}
	s.tell(Event{Type: Found})
	for _, g := range outdated(report, r.Selection.Namespace) {
		s.tell(Event{
			Type:    Noted,
			Message: "Gateway " + g.Namespace + "/" + g.Name + " runs another version than " + g.Revision + ", whose istiod replaces its proxies",
		})
	}
	s.waves(ctx)
	s.end(ctx)
	return s.counts, nil
}

// selectByLabels keeps the workloads whose own labels are selected. Kinds that cannot be restarted have none that count.
func (s *run) selectByLabels(ctx context.Context) error {
	if s.Labels == nil || s.Labels.Empty() {
		return nil
	}
	for _, name := range namespacesOf(s.queue) {
		n, err := s.Cluster.Namespace(ctx, name)
		if err != nil {
			return err
		}
		s.queue = slices.DeleteFunc(s.queue, func(d Due) bool {
			w := n.Workloads[d.Ref]
			return d.Namespace == name && (w == nil || !s.Labels.Matches(labels.Set(w.Labels)))
		})
	}
	return nil
}

// waves waits for what is under way already, and then restarts. It ends with a failure, or with nothing to go on with.
func (s *run) waves(ctx context.Context) {
	s.begin(ctx, s.adopt)
	s.follow(ctx)
	for len(s.queue) > 0 && s.counts.Failed == 0 && ctx.Err() == nil {
		s.wave++
		s.begin(ctx, s.restart)
		if len(s.flights) > 0 {
			s.follow(ctx)
			continue
		}
		s.wave--
		if s.DryRun || len(s.queue) == 0 || s.counts.Failed > 0 {
			return
		}
		if s.Clock.Since(s.moved) > s.Timeout || !s.rest(ctx, heldIntervals*s.Interval) {
			return
		}
		s.refresh(ctx)
	}
}

// begin passes the queue to a step, workload by workload, until the wave is full. A step returns false for one that stays
// in the queue.
func (s *run) begin(ctx context.Context, step func(context.Context, Due) bool) {
	s.looked = map[string]*Namespace{}
	var rest []Due
	for i, d := range s.queue {
		if len(s.flights) >= s.size() && s.wave > 0 || s.counts.Failed > 0 || ctx.Err() != nil {
			rest = append(rest, s.queue[i:]...)
			break
		}
		if !step(ctx, d) {
			rest = append(rest, d)
		}
	}
	s.queue = rest
}

// size of the wave: the first one has one workload. Where something is wrong with all of them, one shows it.
func (s *run) size() int {
	if s.counts.Done == 0 {
		return 1
	}
	return s.MaxParallel
}

// adopt takes what is under way already, whoever began it.
func (s *run) adopt(ctx context.Context, d Due) bool {
	n, err := s.look(ctx, d.Namespace)
	if err != nil {
		return false // it will be seen again
	}
	j := n.Judge(d, nil)
	switch j.Verdict {
	case UnderWay, Broken:
		return s.settle(d, n.Workloads[d.Ref], j)
	case Ready, Waits, Done, Left:
	}
	return false
}

// restart begins a rollout, if everything is in favour of it.
func (s *run) restart(ctx context.Context, d Due) bool {
	n, err := s.look(ctx, d.Namespace)
	if err != nil {
		return ctx.Err() == nil && s.settle(d, nil, waits(err.Error()))
	}
	started := map[Ref]bool{}
	for _, f := range s.flights {
		started[f.due.Ref] = true
	}
	w := n.Workloads[d.Ref]
	j := n.Judge(d, started)
	if j.Verdict == Ready {
		j = s.Cluster.Try(ctx, d, w)
	}
	if ctx.Err() != nil {
		return false // interrupted: nothing is begun any more
	}
	if j.Verdict == Ready && !s.DryRun {
		j = s.patch(ctx, w)
	}
	return s.settle(d, w, j)
}

func (s *run) patch(ctx context.Context, w *Workload) Judgement {
	switch err := s.Cluster.Restart(ctx, w, s.Clock.Now()); {
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return left(err.Error(), w.look())
	case err != nil:
		delete(s.looked, w.Namespace)
		return waits(err.Error())
	}
	delete(s.looked, w.Namespace) // what has been seen of it is past
	return Judgement{Verdict: Ready}
}

// look reads a namespace once in a wave, until something is changed there.
func (s *run) look(ctx context.Context, name string) (*Namespace, error) {
	if n := s.looked[name]; n != nil {
		return n, nil
	}
	n, err := s.Cluster.Namespace(ctx, name)
	if err == nil {
		s.looked[name] = n
	}
	return n, err
}

// refresh reads the mesh again: a control plane may have become ready, and somebody else may have restarted something.
// Nothing is added to what was found at the beginning.
func (s *run) refresh(ctx context.Context) {
	report, err := s.Read(ctx)
	if err != nil {
		return // it is read again
	}
	now := map[Ref]Due{}
	for _, d := range DueIn(report, s.Selection) {
		now[d.Ref] = d
	}
	var rest []Due
	for _, d := range s.queue {
		if fresh, still := now[d.Ref]; still {
			rest = append(rest, fresh)
			continue
		}
		s.settle(d, nil, Judgement{Verdict: Done, Why: "it waits for no restart any more"})
	}
	s.queue = rest
}

// rest waits. It returns false where that was interrupted.
func (s *run) rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.Clock.After(d):
		return true
	}
}
