package certs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// rule returns the action that it asks for, or an Action without a Kind. Next takes the first one.
type rule func(State, time.Time) (Action, string)

// strangerPublished comes first: a CA of ours that is published, and that the Secret does not know, may have signed
// leaves that other replicas serve at this moment. It happens when the Secret was lost or replaced, and is the reason
// why a published bundle never loses a CA except by DropOld, which remembers what it dropped.
//
// Whoever may write a webhook configuration can so have a CA added to all of them for the time of an Overlap. He could
// have pointed the webhook at a server of his own instead.
func strangerPublished(s State, now time.Time) (Action, string) {
	var strangers Bundle
	for _, p := range s.Published {
		strangers = strangers.Union(p.trusted.OwnAt(now))
	}
	known := s.Authorities.Dropped
	if s.Leaf != nil {
		known = known.Remove(s.Leaf.Issuer) // in use, whatever an old Secret says
	}
	strangers = strangers.Remove(known.Union(s.Authorities.Bundle()).certificates...)
	if strangers.Len() == 0 {
		return Action{}, ""
	}
	action := Action{Kind: CarryOver, Bundle: strangers}
	current := s.Authorities.Current
	serves := current != nil && s.Leaf != nil && s.Leaf.Issuer.Equal(current.Certificate)
	if current != nil && !serves && !s.trustedEverywhere(current.Certificate, now) {
		action.Demote = true
	}
	return action, fmt.Sprintf("%d published CA(s) are not in the CA Secret, which was lost or replaced", strangers.Len())
}

// leafDue renews in time, and changes to a new CA only once whatever is published trusts it.
func leafDue(s State, now time.Time) (Action, string) {
	current := s.Authorities.Current
	renew := Action{Kind: RenewLeaf}
	due := s.Leaf != nil && !now.Before(renewalOf(s.Leaf.Certificate()))
	switch {
	case !current.ValidAt(now):
		return Action{}, "" // nothing to sign with; rotationDue sees to it
	case s.Leaf == nil || !s.Leaf.Issuer.Equal(current.Certificate):
		// A replica that is cut off knows only what was published long ago. After half of the time that it had to renew, it
		// takes the CA that it last saw to be published by now: waiting to see that would mean waiting for the leaf to expire.
		cutOff := s.Secret == SecretStale && due && s.late(now)
		informed := s.Secret == SecretPresent && s.Complete
		if !cutOff && (!informed || !s.trustedEverywhere(current.Certificate, now)) {
			return Action{}, ""
		}
		if s.Leaf == nil {
			return renew, "there is no serving certificate yet"
		}
		return renew, "the current CA did not sign the serving certificate"
	case now.Before(s.Leaf.Certificate().NotBefore):
		return renew, "the serving certificate is not valid yet: the clock was set back"
	case !due || !s.outlives(now):
		return Action{}, ""
	}
	return renew, "two thirds of the serving certificate's life are over"
}

// outlives tells whether a new leaf would be valid for longer. Close to the end of a CA it would not, and each attempt
// would only bring the next one nearer.
func (s State) outlives(now time.Time) bool {
	end := earliest(now.Add(s.Policy.LeafLifetime), s.Authorities.Current.Certificate.NotAfter)
	return end.Sub(s.Leaf.Certificate().NotAfter) > time.Second // certificates hold whole seconds
}

// late tells whether half of the time between renewal and expiry is over.
func (s State) late(now time.Time) bool {
	end := s.Leaf.Certificate().NotAfter
	return now.After(end.Add(-end.Sub(renewalOf(s.Leaf.Certificate())) / 2))
}

// trustedEverywhere tells whether no published bundle speaks against a CA. A webhook without any CA of ours has not
// been published to yet: no leaf works there, so none can break.
func (s State) trustedEverywhere(c *x509.Certificate, now time.Time) bool {
	for _, p := range s.Published {
		if !p.Trusts(c) && p.trusted.OwnAt(now).Len() > 0 {
			return false
		}
	}
	return true
}

func bundleUnpublished(s State, _ time.Time) (Action, string) {
	want := s.Authorities.Bundle()
	for _, p := range s.Published {
		if !p.Holds(want) {
			return Action{Kind: PublishBundle, Bundle: want}, fmt.Sprintf("webhook %s has another CA bundle", p.Webhook)
		}
	}
	return Action{}, ""
}

// nextUnconfirmed relies on bundleUnpublished: past it, every bundle that was read is the one that is wanted.
func nextUnconfirmed(s State, now time.Time) (Action, string) {
	next := s.Authorities.Next
	// A time in the future is that of a replica whose clock was wrong; waiting for it could take for ever.
	confirmed := !s.Authorities.NextPublished.IsZero() && !s.Authorities.NextPublished.After(now.Add(s.Policy.Settle))
	if !next.ValidAt(now) || confirmed || !s.Complete {
		return Action{}, ""
	}
	return Action{Kind: ConfirmPublished}, "every webhook configuration holds the next CA"
}

func nextSettled(s State, now time.Time) (Action, string) {
	next := s.Authorities.Next
	if !next.ValidAt(now) || s.Authorities.NextPublished.IsZero() || !s.Complete {
		return Action{}, ""
	}
	if current := s.Authorities.Current; current != nil && !current.ValidAt(now) {
		return Action{Kind: Promote}, "the current CA is not valid, so there is nothing to wait for"
	}
	if now.Before(s.settled()) {
		return Action{}, ""
	}
	return Action{Kind: Promote}, "the next CA has been published long enough for every API server to know it"
}

func (s State) settled() time.Time { return s.Authorities.NextPublished.Add(s.Policy.Settle) }

func overlapOver(s State, now time.Time) (Action, string) {
	if s.Authorities.Previous.Len() == 0 || now.Before(s.Authorities.PreviousUntil) {
		return Action{}, ""
	}
	return Action{Kind: DropOld}, "no serving certificate of the previous CA can be valid any more"
}

func rotationDue(s State, now time.Time) (Action, string) {
	stage := Action{Kind: StageNext}
	current, next := s.Authorities.Current, s.Authorities.Next
	switch {
	case s.Authorities.Previous.Len() >= maxPrevious:
		return Action{}, ""
	case next != nil && !next.ValidAt(now):
		return stage, "the next CA is not valid"
	case next != nil:
		return Action{}, ""
	case !current.ValidAt(now):
		return stage, "the current CA is not valid"
	case !now.Before(renewalOf(current.Certificate)):
		return stage, "two thirds of the current CA's life are over"
	case s.Rotate && !s.Authorities.RequestWaits():
		return stage, "a rotation was requested"
	}
	return Action{}, ""
}

func renewalOf(c *x509.Certificate) time.Time { return Renewal(c.NotBefore, c.NotAfter) }

// wakeUp is the earliest time after now at which a rule may change its answer.
func (s State) wakeUp(now time.Time) time.Time {
	var times []time.Time
	if s.Leaf != nil {
		times = append(times, renewalOf(s.Leaf.Certificate()))
	}
	if !s.ReadOnly {
		if s.Authorities.Current != nil {
			times = append(times, renewalOf(s.Authorities.Current.Certificate))
		}
		if s.Authorities.Next != nil && !s.Authorities.NextPublished.IsZero() {
			times = append(times, s.settled())
		}
		times = append(times, s.Authorities.PreviousUntil)
	}
	var until time.Time
	for _, t := range times {
		if t.After(now) && (until.IsZero() || t.Before(until)) {
			until = t
		}
	}
	return until
}
