package events

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func still(t *testing.T) (*Recorder, *clocktesting.FakeClock, map[Outcome]int) {
	t.Helper()
	clock, outcomes := clocktesting.NewFakeClock(time.Unix(1000, 0)), map[Outcome]int{}
	return New(Options{Clock: clock, Instance: "a", Counted: func(o Outcome) { outcomes[o]++ }}), clock, outcomes
}

func about(name string) Event {
	return Event{Object: Object{APIVersion: "v1", Kind: "Namespace", Name: name}, Reason: "UnknownRevision", Action: "Refuse"}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	r, clock, outcomes := still(t)
	for i := range 3 * maxSeries {
		r.Tell(about(fmt.Sprintf("ns-%04d", i)))
	}
	if len(r.known) != maxSeries || outcomes[Dropped] != 2*maxSeries {
		t.Errorf("%d are kept and %d dropped, want %d and %d", len(r.known), outcomes[Dropped], maxSeries, 2*maxSeries)
	}
	// Those that are written make room within a minute, those that cannot be within a quarter of an hour.
	for _, s := range r.known {
		s.pending = 0
		break
	}
	clock.Step(forgetSooner + time.Second)
	r.due()
	if len(r.known) != maxSeries-1 {
		t.Errorf("%d are kept after a minute, want %d", len(r.known), maxSeries-1)
	}
	clock.Step(forgetAfter)
	if r.due(); len(r.known) != 0 {
		t.Errorf("%d are kept after a quarter of an hour", len(r.known))
	}
}

func TestAFewAreWrittenAtATimeTheOldestFirst(t *testing.T) {
	r, clock, _ := still(t)
	for i := range 2 * maxWrites {
		r.Tell(about(fmt.Sprintf("ns-%02d", i)))
		clock.Step(time.Millisecond)
	}
	first := r.due()
	if len(first) != maxWrites || first[0].event.Object.Name != "ns-00" {
		t.Fatalf("%d are due, the first is %s", len(first), first[0].event.Object.Name)
	}
	for _, s := range first {
		s.pending, s.next = 0, clock.Now().Add(firstPause)
	}
	next := r.due()
	if len(next) != maxWrites || next[0].event.Object.Name != fmt.Sprintf("ns-%02d", maxWrites) {
		t.Errorf("%d are due next", len(next))
	}
	next[0].pending = 0
	r.Tell(about("ns-00"))
	for _, s := range r.due() {
		if s.event.Object.Name == "ns-00" {
			t.Error("ns-00 is written again without a pause")
		}
	}
	clock.Step(firstPause)
	if got := r.due(); got[len(got)-1].event.Object.Name != "ns-00" {
		t.Error("ns-00 is not written after the pause, or before those that wait longer")
	}
}

func TestTellingDoesNotAllocateOnceItIsKnown(t *testing.T) {
	r, _, _ := still(t)
	e := about("shop")
	r.Tell(e)
	if n := testing.AllocsPerRun(100, func() { r.Tell(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOptionsNameWhatIsMissing(t *testing.T) {
	if err := (Options{}).Validate(); err == nil {
		t.Error("nothing is missing")
	}
}
