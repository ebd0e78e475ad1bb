package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Overlap is how long a replaced Authority stays in the bundle. A leaf that it signed lives at most MaxLeafLifetime,
// and a replica signs only with the Authority that it read from the Secret less than a day before; after that day no
// leaf of the old Authority can be made, and MaxLeafLifetime later none can be valid.
//
// A replica that has not been able to read the Secret for longer goes on signing with the Authority it remembers.
// That is never worse than refusing to: a leaf of a CA that is out of the bundle fails just as the expired leaf would,
// and as long as nobody rotates, which takes a reachable API server, it works.
const Overlap = MaxLeafLifetime + day

const (
	// maxRequested is how many CAs may be waiting to be dropped when a person asks for one more rotation. The request
	// waits then: a bundle that grows with every request would sooner or later be too large.
	maxRequested = 3
	// maxPrevious stops every rotation. Only clocks that are years apart lead there: each of two replicas would find
	// the other's CA invalid, and rotate for ever.
	maxPrevious = 32
)

// Authorities is the content of the CA Secret: who signs, who will sign, and who used to. It is a value; its methods
// return the next one.
type Authorities struct {
	// Current signs leaves. It is nil only while the first Authority after a loss is not trusted everywhere yet.
	Current *Authority
	// Next is published beside Current and will replace it.
	Next *Authority
	// NextPublished is when Next was seen in the bundle of every webhook configuration; zero before.
	NextPublished time.Time
	// Previous signed leaves that may still be served; they stay in the bundle until PreviousUntil.
	Previous      Bundle
	PreviousUntil time.Time
	// Dropped used to be in Previous. They are remembered until they expire, so that none is taken for a CA that was
	// forgotten when somebody puts an old bundle back.
	Dropped Bundle
}

// Bundle is what every webhook configuration should hold.
func (a Authorities) Bundle() Bundle {
	bundle := a.Previous
	for _, authority := range []*Authority{a.Current, a.Next} {
		if authority != nil {
			bundle = bundle.Add(authority.Certificate)
		}
	}
	return bundle
}

// RequestWaits tells whether a request for a rotation has to wait, because as many replaced CAs are still trusted as
// a bundle should hold.
func (a Authorities) RequestWaits() bool { return a.Previous.Len() > maxRequested }

// Validate tells what no sequence of actions leads to.
func (a Authorities) Validate() error {
	switch {
	case a.Current == nil && a.Next == nil:
		return errors.New("there is neither a current nor a next CA")
	case a.Next == nil && !a.NextPublished.IsZero():
		return errors.New("there is a time of publication but no next CA")
	case a.Previous.Len() > 0 && a.PreviousUntil.IsZero():
		return errors.New("there are previous CAs but no time until when to keep them")
	}
	return nil
}

// apply returns what the Secret should hold after an action. It makes a new key where the action needs one.
func (a Authorities) apply(action Action, p Policy, now time.Time) (Authorities, error) {
	switch action.Kind {
	case CreateCA:
		return recovered(action.Bundle, p, now)
	case StageNext:
		return a.staged(p, now)
	case ConfirmPublished:
		a.NextPublished = now
		return a, nil
	case Promote:
		return a.promoted(now), nil
	case DropOld:
		a.Dropped = a.Dropped.Union(a.Previous).OwnAt(now)
		a.Previous, a.PreviousUntil = Bundle{}, time.Time{}
		return a, nil
	case CarryOver:
		return a.carriedOver(action, now), nil
	case PublishBundle, RenewLeaf, Nothing:
		return a, nil
	}
	return a, fmt.Errorf("action %q is not known", action.Kind)
}

// recovered begins anew. Where leaves may be served that depend on CAs of before, the new Authority must be published
// before it signs.
func recovered(trusted Bundle, p Policy, now time.Time) (Authorities, error) {
	created, err := NewAuthority(now, p.CALifetime)
	if err != nil {
		return Authorities{}, err
	}
	if trusted.Len() == 0 {
		return Authorities{Current: created}, nil
	}
	return Authorities{Next: created, Previous: trusted, PreviousUntil: now.Add(Overlap)}, nil
}

func (a Authorities) staged(p Policy, now time.Time) (Authorities, error) {
	created, err := NewAuthority(now, p.CALifetime)
	if err != nil {
		return a, err
	}
	a.Next, a.NextPublished = created, time.Time{}
	return a, nil
}

func (a Authorities) promoted(now time.Time) Authorities {
	if a.Current != nil {
		a = a.retire(now, a.Current.Certificate)
	}
	a.Current, a.Next, a.NextPublished = a.Next, nil, time.Time{}
	return a
}

func (a Authorities) carriedOver(action Action, now time.Time) Authorities {
	a = a.retire(now, action.Bundle.Certificates()...)
	if !action.Demote {
		return a
	}
	if a.Next == nil {
		a.Next = a.Current
	} else {
		a = a.retire(now, a.Current.Certificate)
	}
	a.Current, a.NextPublished = nil, time.Time{}
	return a
}

// retire keeps CAs in the bundle for an Overlap from now on. One time for all of them: it can only be later than each
// one's own, and a CA that stays too long does no harm.
func (a Authorities) retire(now time.Time, certificates ...*x509.Certificate) Authorities {
	a.Previous, a.Dropped = a.Previous.Add(certificates...), a.Dropped.Remove(certificates...)
	a.PreviousUntil = latest(a.PreviousUntil, now.Add(Overlap))
	return a
}
