package certs

import "time"

// Phase is where a rotation stands. The set is closed, so that it can be a metric label.
type Phase string

// The phases. A rotation goes through Publishing, Settling and Overlapping back to Settled.
const (
	// NoCA: there is none, or none was read yet.
	NoCA Phase = "NoCA"
	// Recovering: the Secret was lost; no CA signs until the new one is trusted everywhere.
	Recovering Phase = "Recovering"
	// Publishing: the next CA is not in every webhook configuration yet.
	Publishing Phase = "Publishing"
	// Settling: the next CA was read back from every configuration, and every API server gets the time to learn of it.
	Settling Phase = "Settling"
	// Overlapping: the new CA signs, and the old one stays trusted until no leaf of it can be valid.
	Overlapping Phase = "Overlapping"
	// Settled: one CA, and nothing to do before it is due.
	Settled Phase = "Settled"
)

// Phases returns all phases, for whoever needs the closed set.
func Phases() []Phase {
	return []Phase{NoCA, Recovering, Publishing, Settling, Overlapping, Settled}
}

// Phase tells where a rotation stands.
func (a Authorities) Phase() Phase {
	switch {
	case a.Current == nil && a.Next == nil:
		return NoCA
	case a.Current == nil:
		return Recovering
	case a.Next != nil && a.NextPublished.IsZero():
		return Publishing
	case a.Next != nil:
		return Settling
	case a.Previous.Len() > 0:
		return Overlapping
	}
	return Settled
}

// Rotating tells whether a new CA is on its way. Overlapping is not: the new one signs already, and another rotation
// may begin.
func (p Phase) Rotating() bool { return p == Recovering || p == Publishing || p == Settling }

// MadeAt is when an Authority was made: certificates begin to be valid a little earlier.
func (a *Authority) MadeAt() time.Time { return a.Certificate.NotBefore.Add(backdate) }
