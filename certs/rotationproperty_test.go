package certs_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/certs"
)

// run walks one world through steps of one replica at a time, checking the invariant after each.
func (w *world) run(steps int) error {
	for range steps {
		w.passTime()
		w.disturb()
		w.pick().step(w)
		w.counts.steps++
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

// comeToRest ends all disturbance and lets three weeks go by, in which everything has to fall into place.
func (w *world) comeToRest() error {
	for _, r := range w.replicas {
		r.readOnly, r.cutOff, r.pause = false, time.Time{}, 0
	}
	for range 3 * 7 * 2 {
		for range 20 * len(w.replicas) {
			w.pick().step(w)
			w.counts.steps++
			if err := w.check(); err != nil {
				return err
			}
			w.now = w.now.Add(time.Second)
		}
		w.now = w.now.Add(simJump)
	}
	w.now = w.now.Add(-simJump) // the last look is right after a pass
	return w.atRest()
}

func (w *world) atRest() error {
	a := w.secret.content
	if !w.secret.exists || w.secret.corrupt || !a.Current.ValidAt(w.now) {
		return errors.New("the Secret was not repaired")
	}
	for _, c := range w.configs {
		if c.exists && !c.current().read.Holds(a.Bundle()) {
			return fmt.Errorf("%s does not hold the bundle of the Secret", c.name)
		}
	}
	for _, r := range w.replicas {
		if r.leaf == nil || (a.Next == nil && a.Previous.Len() == 0 && !r.leaf.Issuer.Equal(a.Current.Certificate)) {
			return fmt.Errorf("%s does not serve a leaf of the current CA", r.name)
		}
		if err := r.state.Ready(r.now(w)); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

func strayCA(t *testing.T) *certs.Authority {
	t.Helper()
	return mustAuthority(t, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), 10*365*24*time.Hour)
}

// Every replica's leaf verifies against every webhook configuration's bundle, as seen by every API server, at every
// step of any interleaving, whatever outsiders do to the Secret and to the configurations; and in the end everything
// is in order.
func TestEveryLeafIsTrustedAtEveryStep(t *testing.T) {
	stray := strayCA(t)
	total := counts{actions: map[certs.Kind]int{}}
	worlds := worldsToWalk(t)
	for seed := range worlds {
		w := newWorld(seed, faults{}, stray)
		err := w.run(5000)
		if err == nil {
			err = w.comeToRest()
		}
		if err != nil {
			t.Fatalf("world %d, step %d: %v\n%s", seed, w.counts.steps, err, strings.Join(w.trace, "\n"))
		}
		total.add(w.counts)
	}
	t.Logf("%d worlds: %+v", worlds, total)
	for _, kind := range certs.Kinds() {
		if total.actions[kind] == 0 {
			t.Errorf("no replica ever did %s: the walk proves nothing about it", kind)
		}
	}
}

// worldsToWalk is enough to do every action often. CERTS_WORLDS=2000 walks for some minutes.
func worldsToWalk(t *testing.T) uint64 {
	t.Helper()
	if value := os.Getenv("CERTS_WORLDS"); value != "" {
		worlds, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			t.Fatalf("CERTS_WORLDS: %v", err)
		}
		return worlds
	}
	if testing.Short() {
		return 15
	}
	return 60
}

func (c *counts) add(other counts) {
	for kind, n := range other.actions {
		c.actions[kind] += n
	}
	c.steps += other.steps
	c.passes += other.passes
	c.checks += other.checks
	c.jumps += other.jumps
	c.conflicts += other.conflicts
	c.restarts += other.restarts
	c.cutOff += other.cutOff
	c.cas += other.cas
	c.pauses += other.pauses
}

// Without any one of the safety measures the same walk must find a leaf that is not trusted. This is the test of the
// test, and the reason for each measure.
func TestEverySafetyMeasureIsNeeded(t *testing.T) {
	stray := strayCA(t)
	cases := map[string]faults{
		"bundles are written without compare-and-swap":       {blindWrites: true},
		"the Secret is written without compare-and-swap":     {blindSecret: true},
		"a new CA signs without waiting for the API servers": {noSettle: true},
		"a new CA signs without having been read back":       {noConfirm: true},
		"a leaf is served before its CA is published":        {hastyLeaf: true},
		"the old CA is dropped at once":                      {dropEarly: true},
		"a published CA that the Secret lacks is replaced":   {noCarryOver: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("walks through hundreds of worlds; run without -short")
			}
			if found := breaks(tc, stray, 500); found == "" {
				t.Error("no world broke: the property test would not notice if this measure were missing")
			} else {
				t.Log(found)
			}
		})
	}
	if found := breaks(faults{}, stray, 100); found != "" {
		t.Errorf("with every measure in place: %s", found)
	}
}

// breaks looks for a world in which a leaf is served that a published bundle does not trust, at the pace at which
// the Secret can be lost all the time. An expired leaf does not count: that pace alone leads to one.
func breaks(f faults, stray *certs.Authority, worlds uint64) string {
	for seed := range worlds {
		w := newWorld(seed, f, stray)
		w.gap = 0
		var untrusted x509.UnknownAuthorityError
		if err := w.run(2000); errors.As(err, &untrusted) {
			return fmt.Sprintf("world %d, step %d: %v", seed, w.counts.steps, err)
		}
	}
	return ""
}

// What is too rare for a random walk: a replica that may not write reads a Secret that was just replaced, is held up,
// and meanwhile another one takes the new CA back and publishes it. The first then sees it published, and would sign with it before
// every API server knows it.
func TestASecretThatChangesDuringALookIsNotActedOn(t *testing.T) {
	cases := map[string]struct {
		faults faults
		breaks bool
	}{
		"the Secret is read again":     {},
		"the Secret is not read again": {faults: faults{noRecheck: true}, breaks: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(0, tc.faults, nil)
			w.reliable, w.chaos = true, chaos{}
			w.configs, w.replicas = w.configs[:1], w.replicas[:2]
			slow, quick := w.replicas[0], w.replicas[1]
			slow.readOnly, quick.readOnly = true, false
			w.configs[0].exists = true
			w.write(w.configs[0], simBundle{foreign: true})
			for range 60 { // until everything is in order
				slow.step(w)
				quick.step(w)
				w.now = w.now.Add(time.Second)
			}
			for len(slow.plan) > 0 {
				slow.step(w)
			}

			other := mustAuthority(t, w.now, certs.DefaultCALifetime)
			w.secret.content, w.secret.version = certs.Authorities{Current: other}, w.secret.version+1
			slow.step(w) // reads the Secret, and is held up
			for !w.configs[0].current().read.Trusts(other.Certificate) {
				quick.step(w)
			}
			for slow.step(w); len(slow.plan) > 0; {
				slow.step(w)
			}
			if err := w.check(); (err != nil) != tc.breaks {
				t.Errorf("%v, want an error: %t", err, tc.breaks)
			}
		})
	}
}

func TestWalkIsReproducible(t *testing.T) {
	stray := strayCA(t)
	walk := func() []int {
		w := newWorld(7, faults{}, stray)
		if err := w.run(2000); err != nil {
			t.Fatal(err)
		}
		return []int{w.counts.passes, w.counts.cas, w.counts.conflicts, w.counts.restarts}
	}
	if diff := cmp.Diff(walk(), walk()); diff != "" {
		t.Errorf("the same seed walked two ways (-first +second):\n%s", diff)
	}
}
