package secretca

import (
	"time"

	"github.com/revision-router/revision-router/certs"
)

const (
	// retryFirst and retryMost bound the pause after a failure. The longest is short of the five seconds within which
	// an overwritten bundle is to be mended, and five replicas that ask three times each in that time are no load.
	retryFirst = 200 * time.Millisecond
	retryMost  = 4 * time.Second
	// maxConflicts is how often a look begins again at once. Each conflict means that somebody else got something
	// done, so this many in a row mean a crowd.
	maxConflicts = 8

	// healBurst bundles are written without a pause; after that, one every healEvery. Somebody who overwrites the
	// bundle again and again so gets an answer within five seconds each time, but not a fight at full speed.
	healBurst = 6
	healEvery = 3 * time.Second
	// healForget is the quiet time after which the burst is available again.
	healForget = time.Minute
)

// backoff is the pause between attempts that fail.
type backoff struct {
	pause     time.Duration
	conflicts int
}

func (b *backoff) conflict() { b.conflicts++ }

func (b *backoff) next() time.Duration {
	b.conflicts = 0
	b.pause = min(max(retryFirst, 2*b.pause), retryMost)
	return b.pause
}

// pacer slows the publication of bundles down when there are many in a row.
type pacer struct {
	last  time.Time
	count int
}

// wait returns how long an action has to wait; zero means that it may go ahead, and counts it.
func (p *pacer) wait(kind certs.Kind, now time.Time) time.Duration {
	if kind != certs.PublishBundle {
		return 0
	}
	since := now.Sub(p.last)
	if since < 0 || since > healForget { // a clock that was set back must not stop everything
		p.count = 0
	}
	if p.count >= healBurst && since < healEvery {
		return healEvery - since
	}
	p.count++
	p.last = now
	return 0
}
