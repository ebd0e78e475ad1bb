package events

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/clock"
)

const (
	// maxSeries bounds the memory, to about a megabyte. What is beyond is counted as dropped, until others are forgotten.
	maxSeries = 1000
	// round is how often the recorder writes, and maxWrites how much at a time: together at most 20 requests a second,
	// which no API server notices.
	round     = time.Second
	maxWrites = 20
	// firstPause is between the first two times that one Event is written; each further pause is twice as long, up to
	// lastPause. Nobody watches a number change.
	firstPause, lastPause = 5 * time.Second, 5 * time.Minute
	// forgetAfter is when what has not happened again is forgotten: it would be another Event then. While there is
	// little room, it is forgotten sooner.
	forgetAfter, forgetSooner = 15 * time.Minute, time.Minute
	// callTimeout bounds one request.
	callTimeout = 5 * time.Second
	// sayAgain is how often the log says that Events cannot be written.
	sayAgain = 10 * time.Minute
)

// Outcome is what became of an Event.
type Outcome string

// The outcomes.
const (
	// Written: the API server has it, with all that happened until then.
	Written Outcome = "written"
	// Failed: the API server did not take it. It is tried again with what has happened meanwhile.
	Failed Outcome = "failed"
	// Dropped: it was not kept, because too many others are.
	Dropped Outcome = "dropped"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{Written, Failed, Dropped} }

// Options are what a [Recorder] needs. All fields are required but Log.
type Options struct {
	Client corev1client.EventsGetter
	// Instance is this replica's name.
	Instance string
	Clock    clock.WithTicker
	Log      logr.Logger
	// Counted is told of each outcome.
	Counted func(Outcome)
}

// Validate names what is missing.
func (o Options) Validate() error {
	switch {
	case o.Client == nil:
		return errors.New("events: client is missing")
	case o.Instance == "":
		return errors.New("events: instance is missing")
	case o.Clock == nil:
		return errors.New("events: clock is missing")
	case o.Counted == nil:
		return errors.New("events: what counts is missing")
	}
	return nil
}

// Recorder writes Events. Make it with [New].
type Recorder struct {
	Options

	mu    sync.Mutex
	known map[key]*series
	said  time.Time // that Events cannot be written
}

// New returns a recorder with options that [Options.Validate] accepts.
func New(o Options) *Recorder { return &Recorder{Options: o, known: map[key]*series{}} }

// Tell notes that something happened. It never waits for the API server.
func (r *Recorder) Tell(e Event) {
	now := r.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.known[e.key()]
	if s == nil {
		if len(r.known) >= maxSeries {
			r.Counted(Dropped)
			return
		}
		s = &series{first: now, next: now}
		r.known[e.key()] = s
	}
	s.event, s.last = e, now
	s.pending++
	s.total++
}

// Start writes until the context is done. What has not been written then is lost.
func (r *Recorder) Start(ctx context.Context) error {
	ticker := r.Clock.NewTicker(round)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			for _, s := range r.due() {
				r.write(ctx, s)
			}
		}
	}
}

// due forgets what has not happened again, and returns what may be written: the one that has waited longest first.
func (r *Recorder) due() []*series {
	now := r.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := forgetAfter
	if len(r.known) > maxSeries*3/4 {
		keep = forgetSooner
	}
	var list []*series
	for k, s := range r.known {
		switch age := now.Sub(s.last); {
		case age > forgetAfter, age > keep && s.pending == 0:
			delete(r.known, k)
		case s.pending > 0 && !now.Before(s.next):
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *series) int {
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.event.Object.Name, b.event.Object.Name))
	})
	return list[:min(len(list), maxWrites)]
}
