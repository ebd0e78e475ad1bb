package certs_test

import (
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/revision-router/revision-router/certs"
)

const (
	simName = "revision-router.revision-router.svc"
	// An API server learns of a write to a configuration at most this much later.
	simLag = 8 * time.Second
	// Clocks of replicas are at most this far from true time.
	simSkew = 5 * time.Second
	simJump = 12 * time.Hour
)

// world is a cluster with a fake clock: one CA Secret and some webhook configurations behind compare-and-swap, API
// servers whose view of the configurations lags, and replicas that do one read or write at a time.
type world struct {
	rnd      *rand.Rand
	faults   faults
	chaos    chaos
	now      time.Time
	secret   simSecret
	configs  []*simConfig
	replicas []*replica
	backups  []certs.Authorities
	restored time.Time        // when an old Secret was put back last
	touched  time.Time        // when somebody lost or replaced the Secret last
	gap      time.Duration    // between two such events
	strayCA  *certs.Authority // a CA of ours that was dropped long ago
	verified map[pair]time.Time
	bundles  int
	reliable bool // no request is lost
	counts   counts
	trace    []string
}

// faults turn off one safety measure each. With any of them the property must break, else the test proves nothing.
type faults struct {
	blindWrites bool // writes configurations without compare-and-swap
	blindSecret bool // writes the Secret without compare-and-swap
	noRecheck   bool // does not make sure that the Secret is still what it was before the configurations were read
	noSettle    bool // signs with a new CA as soon as it was read back
	noConfirm   bool // signs with a new CA without reading it back
	hastyLeaf   bool // serves a leaf of the Secret's current CA before that is published
	dropEarly   bool // drops the old CA as soon as the new one signs
	noCarryOver bool // publishes over CAs that the Secret does not know
}

type simSecret struct {
	exists, corrupt, rotate bool
	version                 int
	content                 certs.Authorities
}

type simConfig struct {
	name    string
	exists  bool
	version int
	history []simBundle // newest last
}

// simBundle is a caBundle from a time on. Foreign: an outsider wrote it, and no promise covers it.
type simBundle struct {
	id      int
	from    time.Time
	pem     []byte
	read    certs.Published
	foreign bool
}

type counts struct {
	steps, passes, checks, jumps     int
	actions                          map[certs.Kind]int
	conflicts, restarts, cutOff, cas int
	pauses                           int
}

type pair struct {
	bundle int
	leaf   *x509.Certificate
}

func newWorld(seed uint64, f faults, stray *certs.Authority) *world {
	w := &world{
		rnd: rand.New(rand.NewPCG(seed, 1)), faults: f, strayCA: stray,
		now:      time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		gap:      48 * time.Hour,
		verified: map[pair]time.Time{},
		counts:   counts{actions: map[certs.Kind]int{}},
	}
	w.drawChaos()
	for i := range 1 + w.rnd.IntN(3) {
		w.configs = append(w.configs, &simConfig{name: fmt.Sprintf("config-%d", i)})
	}
	for i := range 2 + w.rnd.IntN(4) {
		r := &replica{name: fmt.Sprintf("replica-%d", i), skew: time.Duration(w.rnd.Int64N(int64(2*simSkew))) - simSkew}
		r.boot(w)
		w.replicas = append(w.replicas, r)
	}
	return w
}

func (w *world) policy() certs.Policy {
	p := certs.Policy{CALifetime: 60 * 24 * time.Hour, LeafLifetime: certs.MaxLeafLifetime, Settle: certs.DefaultSettle}
	if w.faults.noSettle {
		p.Settle = 0
	}
	return p
}

func (w *world) logf(format string, args ...any) {
	w.trace = append(w.trace, w.now.Format("01-02T15:04:05.000 ")+fmt.Sprintf(format, args...))
	if len(w.trace) > 60 {
		w.trace = slices.Delete(w.trace, 0, 1)
	}
}

func (c *simConfig) current() simBundle { return c.history[len(c.history)-1] }

func (w *world) write(c *simConfig, b simBundle) {
	b.from, b.read = w.now, certs.ReadPublished(c.name, b.pem)
	w.bundles++
	b.id = w.bundles
	c.history = append(c.history, b)
	c.version++
	// Keep what some API server may still see: everything that was replaced less than simLag ago.
	for len(c.history) > 1 && w.now.Sub(c.history[1].from) > simLag {
		c.history = c.history[1:]
	}
}

func (w *world) saveSecret(content certs.Authorities) {
	if w.secret.exists && !w.secret.corrupt && len(w.backups) < 50 {
		w.backups = append(w.backups, w.secret.content)
	}
	w.secret = simSecret{exists: true, version: w.secret.version + 1, content: content, rotate: w.secret.rotate}
}

// check is the invariant: every leaf that a replica serves verifies against every bundle that some API server may
// hold, except where an outsider wrote that bundle.
func (w *world) check() error {
	for _, c := range w.configs {
		if !c.exists {
			continue
		}
		for i, b := range c.history {
			superseded := i+1 < len(c.history) && w.now.Sub(c.history[i+1].from) > simLag
			if b.foreign || superseded {
				continue
			}
			for _, r := range w.replicas {
				if err := w.verify(r, b); err != nil {
					return fmt.Errorf("%s at %s: %w", r.name, c.name, err)
				}
			}
		}
	}
	return nil
}

// verify remembers a success until a certificate of the pair may expire; before that the answer cannot change.
func (w *world) verify(r *replica, b simBundle) error {
	if r.leaf == nil {
		return nil
	}
	w.counts.checks++
	leaf := r.leaf.Certificate()
	key := pair{bundle: b.id, leaf: leaf}
	if until, ok := w.verified[key]; ok && !w.now.After(until) {
		return nil
	}
	if err := certs.Verifies(certs.ScanBundle(b.pem), leaf, simName, w.now); err != nil {
		return err
	}
	w.verified[key] = leaf.NotAfter
	return nil
}

// pick chooses who does the next step.
func (w *world) pick() *replica {
	for {
		r := w.replicas[w.rnd.IntN(len(w.replicas))]
		if r.pause == 0 {
			return r
		}
		r.pause--
	}
}

// loses tells whether a request gets no answer.
func (w *world) loses() bool { return !w.reliable && w.rnd.IntN(20) == 0 }

// calm: nothing that an outsider did is still being repaired. Only then does the next thing happen, because two at
// once can destroy the last record of a CA that a leaf depends on: the Secret, and what every configuration holds.
func (w *world) calm() bool {
	if !w.secret.exists || w.secret.corrupt || w.secret.content.Current == nil {
		return false
	}
	known := w.secret.content.Bundle().Union(w.secret.content.Dropped)
	return !slices.ContainsFunc(w.configs, func(c *simConfig) bool {
		return c.exists && (c.current().foreign || !known.ContainsAll(certs.ScanBundle(c.current().pem)))
	})
}
