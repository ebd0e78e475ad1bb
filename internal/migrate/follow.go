package migrate

import (
	"context"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// flight is a rollout that is waited for.
type flight struct {
	due Due
	// adopted: it was under way already.
	adopted bool
	began   time.Time
	// moved is when it last got on, and progress how far it was then.
	moved    time.Time
	progress [4]int
	message  string
}

// follow waits until every rollout is over, or ctx is done. One that fails does not keep the others from being waited for.
func (s *run) follow(ctx context.Context) {
	if s.DryRun {
		s.counts.Done += len(s.flights)
		s.flights, s.counts.UnderWay = nil, 0
		return
	}
	for len(s.flights) > 0 && s.rest(ctx, s.Interval) {
		s.flights = slices.DeleteFunc(s.flights, func(f *flight) bool { return s.over(ctx, f) })
	}
}

// over looks at one rollout.
func (s *run) over(ctx context.Context, f *flight) bool {
	w, err := s.Cluster.Workload(ctx, f.due.Ref)
	switch {
	case apierrors.IsNotFound(err):
		return s.landed(f, Event{Type: RolledOut, Message: "it is gone"})
	case ctx.Err() != nil:
		return false
	case err != nil:
		return s.late(f, nil, err.Error())
	}
	phase, message := w.Rollout()
	if progress := w.progress(); progress != f.progress || message != f.message {
		f.progress, f.message, f.moved = progress, message, s.Clock.Now()
		if phase == RollingOut {
			s.tell(Event{Type: Progressing, Due: &f.due, Message: message})
		}
	}
	if phase == RollingOut && s.Clock.Since(f.moved) <= s.Timeout {
		return false
	}
	pods, err := s.Cluster.PodsOf(ctx, w)
	if err != nil {
		return s.late(f, w, err.Error())
	}
	return s.ended(f, w, pods)
}

// ended judges a rollout that is over, or stands still, by its pods.
func (s *run) ended(f *flight, w *Workload, pods []Pod) bool {
	n := &Namespace{Pods: pods}
	all, right := n.count(w), n.has(w, f.due.To)
	phase, message := w.Rollout()
	switch {
	case phase == Settled && all == right:
		return s.landed(f, Event{Type: RolledOut, Took: s.Clock.Since(f.began)})
	case phase == Settled && f.adopted:
		s.counts.UnderWay--
		s.queue = append([]Due{f.due}, s.queue...) // it is over, and was not this restart
		s.moved = s.Clock.Now()
		return true
	case phase == Settled:
		return s.landed(f, Event{
			Type: Failed, Next: "router status -n " + w.Namespace,
			Message: "it has rolled out, and " + strconv.Itoa(all-right) + " of its " + podCount(all) + " came out without the sidecar of " + f.due.To.String(),
		})
	case f.adopted && right == 0:
		return s.landed(f, Event{Type: LeftOver, Message: "an earlier rollout of it does not come to its end: " + message, Next: w.look()})
	case phase == RollingOut:
		return s.late(f, w, message)
	}
	return s.landed(f, Event{Type: Failed, Message: message, Next: w.look()})
}

// late gives a rollout up that has made no progress for too long.
func (s *run) late(f *flight, w *Workload, message string) bool {
	if s.Clock.Since(f.moved) <= s.Timeout {
		return false
	}
	e := Event{Type: Failed, Message: "no progress for " + s.Timeout.String() + ": " + message}
	if w != nil {
		e.Next = w.look()
	}
	return s.landed(f, e)
}

// landed ends the wait for a rollout.
func (s *run) landed(f *flight, e Event) bool {
	s.counts.UnderWay--
	switch e.Type {
	case RolledOut:
		s.counts.Done++
	case LeftOver:
		s.counts.Left++
	default:
		s.counts.Failed++
	}
	s.moved = s.Clock.Now()
	e.Due = &f.due
	s.tell(e)
	return true
}

// settle does what was judged. It returns false for a workload that goes on waiting.
func (s *run) settle(d Due, w *Workload, j Judgement) bool {
	e := Event{Due: &d, Message: j.Why, Next: j.Next}
	switch j.Verdict {
	case Waits:
		if s.held[d.Ref] != j {
			s.held[d.Ref] = j
			e.Type = Held
			s.tell(e)
		}
		return false
	case Ready, UnderWay:
		e.Type = s.launched(d, w, j.Verdict == UnderWay)
	case Done:
		e.Type = RolledOut
		s.counts.Done++
	case Left:
		e.Type = LeftOver
		s.counts.Left++
	case Broken:
		e.Type = Failed
		s.counts.Failed++
	}
	s.tell(e)
	return true
}

// launched adds a rollout to those that are waited for.
func (s *run) launched(d Due, w *Workload, adopted bool) EventType {
	now := s.Clock.Now()
	if s.began.IsZero() {
		s.began = now
	}
	s.moved = now
	f := &flight{due: d, adopted: adopted, began: now, moved: now}
	if adopted {
		f.progress = w.progress()
	}
	s.flights = append(s.flights, f)
	s.counts.UnderWay++
	switch {
	case adopted:
		return Adopted
	case s.DryRun:
		return Planned
	}
	return Restarted
}

// end tells about everything that has not come to its end.
func (s *run) end(ctx context.Context) {
	for _, f := range s.flights {
		s.tell(Event{Type: Interrupted, Due: &f.due})
	}
	if ctx.Err() == nil && s.counts.Failed == 0 {
		for i := range s.queue { // all of them have waited long enough
			j := s.held[s.queue[i].Ref]
			s.counts.Left++
			s.tell(Event{Type: LeftOver, Due: &s.queue[i], Message: j.Why, Next: j.Next})
		}
	}
	s.tell(Event{Type: Finished})
}

func (s *run) tell(e Event) {
	e.Time, e.Wave, e.Counts = s.Clock.Now(), s.wave, s.counts
	if !s.began.IsZero() && !s.DryRun {
		e.Remaining = estimate(e.Time.Sub(s.began), s.counts.Done, s.counts.Waiting()+s.counts.UnderWay)
	}
	s.Tell(e)
}
