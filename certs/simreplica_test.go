package certs_test

import (
	"slices"
	"time"

	"github.com/revision-router/revision-router/certs"
)

// replica follows certs.Next the way secretca does, but stops after every single read and write, so that the
// scheduler can put anything in between.
type replica struct {
	name       string
	skew       time.Duration
	cutOff     time.Time // cannot reach the API server until then
	readOnly   bool
	pause      int // is not given the processor, in the middle of whatever it does
	sinceJump  int // passes since the clock last jumped
	leaf       *certs.Leaf
	state      certs.State // what it knows, with the fields of this pass
	seen       map[string]seenConfig
	secretAt   int
	secretSeen bool
	plan       []func(*world) // what is left of this pass
	writing    bool           // and it is a write
}

type seenConfig struct {
	read, exists bool
	version      int
	published    certs.Published
}

func (r *replica) boot(w *world) {
	*r = replica{
		name: r.name, skew: r.skew, cutOff: r.cutOff, readOnly: r.readOnly, sinceJump: r.sinceJump,
		seen: map[string]seenConfig{}, state: certs.State{Policy: w.policy()},
	}
}

func (r *replica) now(w *world) time.Time { return w.now.Add(r.skew) }

func (r *replica) reach(w *world) bool { return !w.now.Before(r.cutOff) }

// step does one read or write.
func (r *replica) step(w *world) {
	if len(r.plan) == 0 {
		r.writing = false
		r.state.Complete = true
		r.plan = slices.Concat([]func(*world){r.readSecret}, r.readConfigs(w), []func(*world){r.checkSecret, r.decide})
	}
	do := r.plan[0]
	r.plan = r.plan[1:]
	do(w)
}

func (r *replica) readConfigs(w *world) []func(*world) {
	var reads []func(*world)
	for _, c := range w.configs {
		reads = append(reads, func(w *world) {
			if !r.reach(w) || w.loses() {
				r.state.Complete = false // keeps what it knew
				return
			}
			seen := seenConfig{read: true, exists: c.exists, version: c.version}
			if c.exists {
				seen.published = c.current().read
			}
			r.seen[c.name] = seen
		})
	}
	return reads
}

func (r *replica) readSecret(w *world) {
	switch {
	case !r.reach(w) || w.loses():
		r.state.Secret = certs.SecretUnread
		if r.secretSeen {
			r.state.Secret = certs.SecretStale
		}
		return
	case !w.secret.exists:
		r.state.Secret = certs.SecretMissing
	case w.secret.corrupt:
		r.state.Secret = certs.SecretCorrupt
	default:
		r.state.Secret, r.state.Authorities, r.secretSeen = certs.SecretPresent, w.secret.content, true
	}
	r.state.Rotate, r.secretAt = w.secret.rotate, w.secret.version
}

func (r *replica) decide(w *world) {
	s := &r.state
	s.Published, s.Unread, s.Leaf, s.ReadOnly = nil, nil, r.leaf, r.readOnly
	for _, c := range w.configs {
		switch seen := r.seen[c.name]; {
		case !seen.read:
			s.Unread = append(s.Unread, c.name)
		case seen.exists:
			s.Published = append(s.Published, seen.published)
		}
	}
	now := r.now(w)
	action, reason := certs.Next(*s, now)
	action = w.faults.mangle(*s, action)
	w.counts.actions[action.Kind]++
	if action.Kind == certs.Nothing {
		r.finish(w)
		return
	}
	w.logf("%s: %s (%s)", r.name, action.Kind, reason)
	switch {
	case action.Kind == certs.RenewLeaf:
		r.plan = []func(*world){func(w *world) { r.serve(w, now) }}
	case action.Kind == certs.PublishBundle:
		r.writing = true
		r.plan = r.publish(w, action.Bundle)
	case action.Kind.WritesSecret():
		after, err := s.Apply(action, now)
		if err != nil {
			panic(err)
		}
		r.writing = true
		r.plan = []func(*world){func(w *world) { r.swapSecret(w, action.Kind, after) }}
	}
}

// checkSecret makes sure that the configurations were read while the Secret was what it was.
func (r *replica) checkSecret(w *world) {
	missing := r.state.Secret == certs.SecretMissing
	same := r.reach(w) && missing == !w.secret.exists && (missing || w.secret.version == r.secretAt)
	known := r.state.Secret != certs.SecretUnread && r.state.Secret != certs.SecretStale
	if known && !same && !w.faults.noRecheck {
		r.plan = nil // begin again
	}
}

func (r *replica) serve(w *world, decided time.Time) {
	request := certs.LeafRequest{DNSNames: []string{simName}, Lifetime: r.state.Policy.LeafLifetime}
	leaf, err := r.state.Authorities.Current.Issue(request, decided)
	if err != nil {
		panic(err) // Next must not ask for what cannot be done
	}
	r.leaf = leaf
	w.logf("%s: serves a leaf of %s", r.name, leaf.Issuer.Subject.CommonName)
}

func (r *replica) finish(w *world) {
	w.counts.passes++
	r.sinceJump++
}

func (r *replica) publish(w *world, bundle certs.Bundle) []func(*world) {
	var writes []func(*world)
	for _, c := range w.configs {
		seen := r.seen[c.name]
		if !seen.exists || seen.published.Holds(bundle) {
			continue
		}
		writes = append(writes, func(w *world) {
			w.counts.cas++
			if !r.reach(w) || !c.exists || (c.version != seen.version && !w.faults.blindWrites) {
				w.counts.conflicts++
				return
			}
			w.write(c, simBundle{pem: bundle.PEM()})
			w.logf("%s: wrote %d CA(s) to %s", r.name, bundle.Len(), c.name)
		})
	}
	return writes
}

func (r *replica) swapSecret(w *world, kind certs.Kind, after certs.Authorities) {
	w.counts.cas++
	missing := r.state.Secret == certs.SecretMissing
	stale := missing == w.secret.exists || (!missing && w.secret.version != r.secretAt)
	if !r.reach(w) || (stale && !w.faults.blindSecret) {
		w.counts.conflicts++
		w.logf("%s: lost the race to %s", r.name, kind)
		return
	}
	if err := after.Validate(); err != nil {
		panic(err)
	}
	w.saveSecret(after)
	if kind == certs.StageNext || kind == certs.Promote || kind == certs.CreateCA {
		w.secret.rotate = false
	}
}

// mangle makes a replica that lacks a safety measure.
func (f faults) mangle(s certs.State, action certs.Action) certs.Action {
	a := s.Authorities
	switch {
	case f.noConfirm && action.Kind == certs.PublishBundle && a.Next != nil:
		return certs.Action{Kind: certs.Promote}
	case f.dropEarly && action.Kind == certs.Nothing && a.Previous.Len() > 0 && a.Current != nil && !s.ReadOnly:
		return certs.Action{Kind: certs.DropOld}
	case f.noCarryOver && action.Kind == certs.CarryOver:
		return certs.Action{Kind: certs.PublishBundle, Bundle: a.Bundle()}
	case f.hastyLeaf && a.Current != nil && s.Secret == certs.SecretPresent &&
		(s.Leaf == nil || !s.Leaf.Issuer.Equal(a.Current.Certificate)):
		return certs.Action{Kind: certs.RenewLeaf}
	}
	return action
}
