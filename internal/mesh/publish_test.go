package mesh

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/revision-router/revision-router/routing"
)

// published gathers what OnPublish is called with.
type published struct {
	mu    sync.Mutex
	stats []Stats
	sizes []int
}

func (p *published) add(m *routing.Mesh, s Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats = append(p.stats, s)
	p.sizes = append(p.sizes, m.NamespaceCount())
}

func (p *published) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.stats)
}

// The bubble's clock moves only when everything waits, so each step says what must have happened by then.
func TestSnapshotsAreBundled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen published
		s := offline(t, Options{OnPublish: seen.add, Interval: 100 * time.Millisecond})
		go s.publishWhenDue(t.Context())
		expect := func(count int, why string) {
			t.Helper()
			synctest.Wait()
			if got := seen.count(); got != count {
				t.Fatalf("%d snapshots, want %d: %s", got, count, why)
			}
		}
		expect(0, "nothing is known")
		s.sync(t)
		expect(1, "every kind is known, which needs no waiting")

		name := func(n int) string { return string(rune('a' + n)) }
		for n := range 10 {
			s.send(t, event{"namespaces", false, aNamespace(name(n), nil)})
		}
		expect(1, "the last snapshot is younger than the interval")
		time.Sleep(99 * time.Millisecond)
		expect(1, "the interval is not over")
		time.Sleep(time.Millisecond)
		expect(2, "the interval is over, and ten changes make one snapshot")

		time.Sleep(time.Hour)
		expect(2, "nothing has changed")
		s.send(t, event{"namespaces", false, aNamespace("z", nil)})
		expect(3, "the first change after a quiet time needs no waiting")
		s.send(t, event{"namespaces", false, aNamespace("z", nil)})
		time.Sleep(time.Second)
		expect(3, "the change changed nothing")

		for n := range 1000 { // one change each millisecond
			s.send(t, event{"namespaces", n%2 == 0, aNamespace("z", nil)})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := seen.count(); got < 12 || got > 14 {
			t.Errorf("a second of changes made %d snapshots, want about ten", got-3)
		}
		last := seen.stats[len(seen.stats)-1]
		if last.Generation != uint64(seen.count()) || last.Namespaces != 11 || !last.PendingSince.IsZero() {
			t.Errorf("the last snapshot is %+v, want generation %d with 11 namespaces and nothing pending", last, seen.count())
		}
		if seen.stats[1].Lag != 100*time.Millisecond || seen.sizes[1] != 10 {
			t.Errorf("the second snapshot lags %s with %d namespaces, want 100ms and 10", seen.stats[1].Lag, seen.sizes[1])
		}
	})
}

// A change that comes while a snapshot is built or published is in the next one.
func TestChangeWhilePublishingIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := offline(t, Options{})
		once := sync.OnceFunc(func() { s.send(t, event{"namespaces", false, aNamespace("late", nil)}) })
		s.onPublish = func(*routing.Mesh, Stats) { once() }
		go s.publishWhenDue(t.Context())
		s.sync(t)
		time.Sleep(time.Second)
		if _, ok := s.Mesh().Namespace("late"); !ok {
			t.Error("the change was lost")
		}
	})
}
