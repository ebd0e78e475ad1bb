package certs

import (
	"fmt"
	"time"
)

// DefaultSettle is the time between seeing a CA in every webhook configuration and signing with it. The API servers
// that call the webhook read configurations through a watch, so each learns of a write a little after it can be read
// back; the time also covers clocks that differ between replicas.
const DefaultSettle = 30 * time.Second

// Policy holds the durations that a rotation goes by.
type Policy struct {
	// CALifetime and LeafLifetime are those of certificates made from now on.
	CALifetime, LeafLifetime time.Duration
	// Settle is explained at DefaultSettle.
	Settle time.Duration
}

// Validate tells which duration cannot work, and why.
func (p Policy) Validate() error {
	switch {
	case p.CALifetime < MinCALifetime:
		return fmt.Errorf("CA lifetime is %s; it must be at least %s to leave time for a rotation", p.CALifetime, MinCALifetime)
	case p.LeafLifetime < MinLeafLifetime || p.LeafLifetime > MaxLeafLifetime:
		return fmt.Errorf("leaf lifetime is %s; it must be from %s to %s", p.LeafLifetime, MinLeafLifetime, MaxLeafLifetime)
	case p.Settle < 0 || p.Settle > time.Hour:
		return fmt.Errorf("settle time is %s; it must be from 0 to 1h", p.Settle)
	}
	return nil
}

// SecretState is what became of the last attempt to read the CA Secret.
type SecretState string

// What a read of the CA Secret can come to.
const (
	// SecretUnread: it has never been read; the zero value.
	SecretUnread SecretState = ""
	// SecretStale: the last read failed. Authorities is what an earlier one found.
	SecretStale SecretState = "Stale"
	// SecretMissing: the API server says that there is none.
	SecretMissing SecretState = "Missing"
	// SecretCorrupt: it does not hold what it should.
	SecretCorrupt SecretState = "Corrupt"
	// SecretPresent: Authorities is what it holds.
	SecretPresent SecretState = "Present"
)

// State is all that one replica goes by.
type State struct {
	Policy Policy

	Secret      SecretState
	Authorities Authorities
	// Rotate: a person asked for a new CA.
	Rotate bool

	// Published are the webhooks of all configurations that exist. Complete: every configuration could be read, or is
	// known not to exist, in this very pass. Unread names those that never could be.
	Published []Published
	Complete  bool
	Unread    []string

	// Leaf is what this replica serves; nil before the first.
	Leaf *Leaf
	// ReadOnly: another replica writes. This one looks after its own leaf only.
	ReadOnly bool
	// Onlooker: no replica at all but somebody who wants to know what is due. It serves no leaf and needs none.
	Onlooker bool
}

// Kind names an action. The set is closed, so that it can be a metric label.
type Kind string

// The actions. All but RenewLeaf and Nothing write to the API server.
const (
	// Nothing to do until Action.Until, or until something changes.
	Nothing Kind = "Nothing"
	// RenewLeaf: sign a new serving certificate with the current CA, and serve it.
	RenewLeaf Kind = "RenewLeaf"
	// CreateCA: write a new Secret. Action.Bundle holds the CAs that must go on being trusted.
	CreateCA Kind = "CreateCA"
	// CarryOver: add the CAs in Action.Bundle to the Secret, which does not know them although they are published.
	CarryOver Kind = "CarryOver"
	// PublishBundle: write Action.Bundle to every webhook that holds another one.
	PublishBundle Kind = "PublishBundle"
	// StageNext: add the next CA to the Secret.
	StageNext Kind = "StageNext"
	// ConfirmPublished: note that the next CA was read back from every webhook configuration.
	ConfirmPublished Kind = "ConfirmPublished"
	// Promote: let the next CA sign.
	Promote Kind = "Promote"
	// DropOld: forget the CAs of which no leaf can be valid any more.
	DropOld Kind = "DropOld"
)

// Kinds returns all actions, for whoever needs the closed set.
func Kinds() []Kind {
	return []Kind{
		Nothing, RenewLeaf, CreateCA, CarryOver, PublishBundle, StageNext, ConfirmPublished, Promote, DropOld,
	}
}

// Action is one step. Which fields are set depends on the Kind.
type Action struct {
	Kind   Kind
	Bundle Bundle
	// Demote, for CarryOver: the Secret's current CA is not trusted by what is published, so it must wait as next.
	Demote bool
	// Until, for Nothing: when time alone will ask for the next action. Zero: never.
	Until time.Time
}

// WritesSecret tells whether the action changes the CA Secret.
func (k Kind) WritesSecret() bool {
	switch k {
	case CreateCA, CarryOver, StageNext, ConfirmPublished, Promote, DropOld:
		return true
	case Nothing, RenewLeaf, PublishBundle:
	}
	return false
}

// Next is the state machine: the one action that is due for a replica in this state, and why. It is safe for any
// number of replicas to follow it at once, as long as every write is a compare-and-swap: see the package comment.
func Next(s State, now time.Time) (Action, string) {
	switch {
	case s.Secret == SecretUnread:
		return Action{Kind: Nothing}, "the CA Secret has not been read yet"
	case s.lost() && s.ReadOnly:
		return Action{Kind: Nothing}, "the CA Secret is lost; the replica that writes will replace it"
	case s.lost() && !s.Complete:
		return Action{Kind: Nothing}, "the CA Secret is lost, but what to go on trusting is known only once every webhook configuration was read"
	case s.lost():
		return s.createCA(now)
	}
	rules := []rule{leafDue}
	if !s.ReadOnly && s.Secret == SecretPresent {
		rules = []rule{strangerPublished, leafDue, bundleUnpublished, nextUnconfirmed, nextSettled, overlapOver, rotationDue}
	}
	if s.Onlooker {
		rules = []rule{strangerPublished, bundleUnpublished, nextUnconfirmed, nextSettled, overlapOver, rotationDue}
	}
	for _, r := range rules {
		if action, reason := r(s, now); action.Kind != "" {
			return action, reason
		}
	}
	until := s.wakeUp(now)
	if until.IsZero() {
		return Action{Kind: Nothing}, "nothing is due"
	}
	return Action{Kind: Nothing, Until: until}, "nothing is due before " + stamp(until)
}

// Apply returns what the Secret should hold after an action that Next returned. It makes a new key where that needs one.
func (s State) Apply(action Action, now time.Time) (Authorities, error) {
	after, err := s.Authorities.apply(action, s.Policy, now)
	if err != nil {
		return s.Authorities, fmt.Errorf("apply %s: %w", action.Kind, err)
	}
	return after, nil
}

func (s State) lost() bool { return s.Secret == SecretMissing || s.Secret == SecretCorrupt }

// createCA keeps every CA that some replica's leaf may depend on: what signed this replica's, and what is published.
// A CA that this package did not make is a stranger's, and is not taken over.
func (s State) createCA(now time.Time) (Action, string) {
	var keep Bundle
	if s.Leaf != nil {
		keep = keep.Add(s.Leaf.Issuer)
	}
	for _, p := range s.Published {
		keep = keep.Union(p.trusted)
	}
	keep = keep.OwnAt(now)
	found := "the CA Secret does not exist"
	if s.Secret == SecretCorrupt {
		found = "the CA Secret cannot be used"
	}
	if keep.Len() == 0 {
		return Action{Kind: CreateCA}, found + ", and no earlier CA needs to be kept"
	}
	return Action{Kind: CreateCA, Bundle: keep}, fmt.Sprintf("%s; the bundle keeps %d earlier CA(s)", found, keep.Len())
}
