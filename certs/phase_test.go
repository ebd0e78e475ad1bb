package certs_test

import (
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

func TestPhase(t *testing.T) {
	a, b := mustAuthority(t, start(), certs.DefaultCALifetime), mustAuthority(t, start(), certs.DefaultCALifetime)
	cases := map[string]struct {
		authorities certs.Authorities
		want        certs.Phase
		rotating    bool
	}{
		"nothing was read":                       {certs.Authorities{}, certs.NoCA, false},
		"the Secret was lost":                    {certs.Authorities{Next: a}, certs.Recovering, true},
		"the next CA is not published yet":       {certs.Authorities{Current: a, Next: b}, certs.Publishing, true},
		"the next CA is published":               {certs.Authorities{Current: a, Next: b, NextPublished: start()}, certs.Settling, true},
		"during the overlap another one may go":  {certs.Authorities{Current: a, Previous: bundleOf(b), PreviousUntil: start()}, certs.Overlapping, false},
		"one CA and nothing to do":               {certs.Authorities{Current: a}, certs.Settled, false},
		"a rotation that begins in the overlap":  {certs.Authorities{Current: a, Next: b, Previous: bundleOf(b)}, certs.Publishing, true},
		"a second loss while the first recovers": {certs.Authorities{Next: a, NextPublished: start(), Previous: bundleOf(b)}, certs.Recovering, true},
	}
	seen := map[certs.Phase]bool{}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.authorities.Phase()
			if got != tc.want || got.Rotating() != tc.rotating {
				t.Errorf("%s, rotating %t, want %s, %t", got, got.Rotating(), tc.want, tc.rotating)
			}
		})
		seen[tc.want] = true
	}
	for _, phase := range certs.Phases() {
		if !seen[phase] {
			t.Errorf("no case for %s", phase)
		}
	}
	if !a.MadeAt().Equal(start()) {
		t.Errorf("made at %s, want %s", a.MadeAt(), start())
	}
}

// Whoever only looks is not told to sign a certificate.
func TestAnOnlookerIsToldWhatReplicasHaveToDo(t *testing.T) {
	a, b := mustAuthority(t, start(), certs.DefaultCALifetime), mustAuthority(t, start(), certs.DefaultCALifetime)
	state := certs.State{
		Policy:   certs.Policy{CALifetime: certs.DefaultCALifetime, LeafLifetime: certs.MaxLeafLifetime, Settle: certs.DefaultSettle},
		Secret:   certs.SecretPresent,
		Complete: true, Onlooker: true,
		Authorities: certs.Authorities{Current: a},
		Published:   []certs.Published{certs.ReadPublished("w", bundleOf(a).PEM())},
	}
	action, reason := certs.Next(state, start())
	if want := certs.Renewal(a.Certificate.NotBefore, a.Certificate.NotAfter); action.Kind != certs.Nothing || !action.Until.Equal(want) {
		t.Errorf("%+v (%s), want nothing before %s", action, reason, want)
	}
	state.Onlooker = false
	if action, _ := certs.Next(state, start()); action.Kind != certs.RenewLeaf {
		t.Errorf("%s, want a replica without a leaf to sign one", action.Kind)
	}
	state.Onlooker, state.Authorities.Next = true, b
	for _, want := range []certs.Kind{certs.PublishBundle, certs.ConfirmPublished} {
		if action, reason := certs.Next(state, start()); action.Kind != want {
			t.Errorf("%s (%s), want %s", action.Kind, reason, want)
		}
		state.Published = []certs.Published{certs.ReadPublished("w", state.Authorities.Bundle().PEM())}
	}
	state.Authorities.NextPublished = start()
	if action, _ := certs.Next(state, start().Add(time.Second)); action.Kind != certs.Nothing || !action.Until.Equal(start().Add(certs.DefaultSettle)) {
		t.Errorf("%+v, want nothing before the next CA has settled", action)
	}
	if action, _ := certs.Next(state, start().Add(certs.DefaultSettle)); action.Kind != certs.Promote {
		t.Errorf("%s, want %s", action.Kind, certs.Promote)
	}
}
