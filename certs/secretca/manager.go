package secretca

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs"
)

const (
	// lookEvery is how often everything is looked at although nothing seems to have happened. It is not the time until
	// the next renewal, because a timer of Go runs on the monotonic clock, which stands still while a virtual machine
	// is suspended; certificates expire by the wall clock, which does not. Looking at the wall clock this often (see
	// Manager.now) renews within a minute of any jump, also where every request of a look runs into its timeout.
	lookEvery = 30 * time.Second
	// lookForLeader is how soon a replica that may not write looks again when there is something to write: nobody
	// tells it that it has become the leader.
	lookForLeader = 2 * time.Second
	// callTimeout bounds one request, so that an API server which does not answer cannot stop renewal.
	callTimeout = 5 * time.Second
	// gather is how long changes are gathered before a look: configurations are often written several times in a row.
	gather = 100 * time.Millisecond
	// maxSteps bounds one look. A whole rotation takes six.
	maxSteps = 20
)

// Manager keeps a serving certificate and the CA bundle that it is checked against in order. Make it with New.
type Manager struct {
	options Options
	targets []target
	secret  secretStore
	source  certs.Source
	wake    chan struct{}
	// last is what was seen last. It is replaced as a whole, for Ready and Status.
	last atomic.Pointer[result]
	// published is when a bundle was written last, for Report.
	published atomic.Pointer[time.Time]

	// The rest belongs to the goroutine of Start.
	leaf      *certs.Leaf
	known     map[string]configuration // by target; one that was never read is missing
	lastError string
	retry     backoff
	heal      pacer
}

// result is what a look came to.
type result struct {
	state certs.State
	err   error
}

// Start looks after certificates until ctx is done. It returns nil then, and no error before: whatever goes wrong may
// be put right without a restart, and until then Ready tells what it is.
func (m *Manager) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx = logr.NewContext(ctx, m.options.Log) // for client-go
	m.watchAll(ctx, &running)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.options.Clock.After(m.look(ctx)):
		case <-m.wake:
			select {
			case <-ctx.Done():
				return nil
			case <-m.options.Clock.After(gather):
			}
		}
	}
}

// Source is where a TLS server gets the serving certificate from.
func (m *Manager) Source() *certs.Source { return &m.source }

// Ready returns nil if the API server can call this replica; see certs.State.Ready. The error tells also what went
// wrong last, which often is why.
func (m *Manager) Ready() error {
	last := m.last.Load()
	if last == nil {
		return fmt.Errorf("not ready to serve: %w", certs.ErrNotAvailable)
	}
	err := last.state.Ready(m.now())
	if err != nil && last.err != nil {
		return fmt.Errorf("%w; last error: %w", err, last.err)
	}
	return err
}

// now is the wall clock. Round strips the monotonic reading: with it, the difference of two times would be the time
// that the machine was awake.
func (m *Manager) now() time.Time { return m.options.Clock.Now().Round(0) }

// look does whatever is due and returns when to look again.
func (m *Manager) look(ctx context.Context) time.Duration {
	for range maxSteps {
		again, err := m.step(ctx)
		switch {
		case ctx.Err() != nil:
			return lookEvery
		case errors.Is(err, errConflict):
			m.options.Log.V(1).Info("looking again", "why", err.Error())
			m.retry.conflict()
			if m.retry.conflicts > maxConflicts {
				return m.retry.next()
			}
		case err != nil:
			m.logError(err)
			return m.retry.next()
		case again > 0:
			m.lastError, m.retry = "", backoff{}
			return again
		}
	}
	return m.retry.next()
}

// step looks at everything and does the one thing that is due. It returns a time where there is nothing to do.
func (m *Manager) step(ctx context.Context) (time.Duration, error) {
	seen, readErr := m.observe(ctx)
	if errors.Is(readErr, errConflict) {
		return 0, readErr
	}
	now := m.now()
	seen.state.ReadOnly = !m.options.IsLeader()
	m.last.Store(&result{seen.state, readErr})
	action, reason := certs.Next(seen.state, now)
	if action.Kind == certs.Nothing {
		m.options.Log.V(1).Info("nothing to do for the serving certificate", "reason", reason)
		return m.rest(seen.state, action, now), readErr
	}
	if wait := m.heal.wait(action.Kind, now); wait > 0 {
		return wait, readErr
	}
	err := m.do(ctx, seen, action, now)
	m.options.Recorder.CertificateAction(action.Kind, outcome(err))
	if err != nil {
		err = errors.Join(fmt.Errorf("%s, because %s: %w", action.Kind, reason, err), readErr)
		m.last.Store(&result{seen.state, err})
		return 0, err
	}
	if seen.problem != nil {
		m.options.Log.Info("replaced a CA Secret that could not be used", "secret", m.secret.name, "why", seen.problem.Error())
	}
	m.options.Log.Info("did what was due for the serving certificate", "action", string(action.Kind), "reason", reason)
	return 0, nil
}

// rest is how long nothing has to be done.
func (m *Manager) rest(state certs.State, nothing certs.Action, now time.Time) time.Duration {
	wait := lookEvery
	if !nothing.Until.IsZero() {
		wait = min(wait, max(nothing.Until.Sub(now), gather))
	}
	if state.ReadOnly {
		state.ReadOnly = false
		if action, _ := certs.Next(state, now); action.Kind != certs.Nothing {
			wait = min(wait, lookForLeader)
		}
	}
	return wait
}

func (m *Manager) do(ctx context.Context, seen observation, action certs.Action, now time.Time) error {
	switch {
	case action.Kind == certs.RenewLeaf:
		return m.renew(seen.state.Authorities.Current, now)
	case action.Kind == certs.PublishBundle:
		return m.publish(ctx, action.Bundle)
	case action.Kind.WritesSecret():
		after, err := seen.state.Apply(action, now)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return conflictOr(m.secret.swap(ctx, seen.secret, after, markAfter(action.Kind)))
	}
	return fmt.Errorf("action %q is not known", action.Kind)
}

func (m *Manager) renew(authority *certs.Authority, now time.Time) error {
	leaf, err := authority.Issue(m.options.request(), now)
	if err != nil {
		return err
	}
	m.leaf = leaf
	m.source.Set(leaf.TLS)
	m.options.Log.Info("serving a new certificate", "notAfter", leaf.Certificate().NotAfter, "issuer", leaf.Issuer.Subject.CommonName)
	return nil
}

// logError says each thing once, and then only in detail: an API server that is away for an hour is one event.
func (m *Manager) logError(err error) {
	if err.Error() == m.lastError {
		m.options.Log.V(1).Info("still cannot look after the serving certificate", "error", err.Error())
		return
	}
	m.lastError = err.Error()
	m.options.Log.Error(err, "cannot look after the serving certificate; will try again")
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, errConflict):
		return Conflict
	}
	return Failed
}
