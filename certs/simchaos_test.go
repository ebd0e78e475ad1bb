package certs_test

import (
	"slices"
	"time"

	"github.com/revision-router/revision-router/certs"
)

// chaos says how often what happens to a world. Each world draws its own: what never happens in one leaves room for
// more of the rest, and finds what an even mixture would take much longer to find.
type chaos struct {
	odds  int // one in so many steps, times the weight
	pause int // longest pause of a replica, in steps
	// weights of the events, in the order of events.
	weights []int
	// elected: one replica writes at a time, and now and then another, or two for a while. Else all do.
	elected bool
}

func (w *world) drawChaos() {
	c := &w.chaos
	c.odds = []int{100, 400}[w.rnd.IntN(2)]
	c.pause = []int{20, 80, 300}[w.rnd.IntN(3)]
	for range w.events() {
		c.weights = append(c.weights, []int{0, 1, 1, 4}[w.rnd.IntN(4)])
	}
	c.elected = w.rnd.IntN(3) == 0
}

func (w *world) events() []func() {
	return []func(){
		w.toggleConfig, w.restart, w.disconnect, w.elect, w.pause, w.askRotation, w.clobber, w.loseSecret, w.restoreSecret,
	}
}

// disturb lets each thing happen with its own probability.
func (w *world) disturb() {
	for i, event := range w.events() {
		if w.rnd.IntN(w.chaos.odds) < w.chaos.weights[i] {
			event()
		}
	}
}

// pause keeps a replica from the processor, preferably where it hurts: between a decision and its write, or between
// its reads and the decision.
func (w *world) pause() {
	writing := w.rnd.IntN(2) == 0
	r := w.pick()
	for range 3 {
		if len(r.plan) == 0 || len(r.plan) > 2 || r.writing != writing {
			r = w.pick()
		}
	}
	r.pause = w.rnd.IntN(w.chaos.pause)
	w.counts.pauses++
}

func (w *world) askRotation() {
	if w.secret.exists {
		w.secret.rotate = true
		w.secret.version++
		w.logf("somebody asks for a rotation")
	}
}

// passTime lets time go by: mostly the moment that a request takes, sometimes longer, and, once every replica that can
// has looked at the clock since the last time, up to half a day.
func (w *world) passTime() {
	switch n := w.rnd.IntN(100); {
	case n < 85:
		w.now = w.now.Add(time.Duration(w.rnd.Int64N(int64(50 * time.Millisecond))))
	case n < 95:
		w.now = w.now.Add(time.Duration(w.rnd.Int64N(int64(20 * time.Second))))
	default:
		if slices.ContainsFunc(w.replicas, func(r *replica) bool { return r.sinceJump == 0 }) {
			return
		}
		w.now = w.now.Add(time.Duration(w.rnd.Int64N(int64(simJump))))
		w.counts.jumps++
		for _, r := range w.replicas {
			r.sinceJump = 0
		}
	}
}

func (w *world) toggleConfig() {
	if !w.calm() {
		return
	}
	c := w.configs[w.rnd.IntN(len(w.configs))]
	if c.exists && w.rnd.IntN(4) > 0 {
		return
	}
	c.exists = !c.exists
	c.history = nil
	if c.exists {
		w.write(c, simBundle{foreign: true}) // as a chart creates it: without a bundle
	}
	w.logf("%s exists: %t", c.name, c.exists)
}

func (w *world) restart() {
	r := w.replicas[w.rnd.IntN(len(w.replicas))]
	r.boot(w)
	w.counts.restarts++
	w.logf("%s restarts", r.name)
}

// disconnect takes the API server away from a replica for up to a week. Only one that knows who signs can live so
// long, and somebody has to be left to mend the rest.
func (w *world) disconnect() {
	r := w.replicas[w.rnd.IntN(len(w.replicas))]
	if r.leaf == nil || r.state.Secret != certs.SecretPresent || r.state.Authorities.Current == nil || len(w.reachable()) < 2 {
		return
	}
	r.cutOff = w.now.Add(time.Duration(w.rnd.Int64N(int64(7*24*time.Hour - simJump))))
	w.counts.cutOff++
	w.logf("%s is cut off until %s", r.name, r.cutOff.Format(time.DateTime))
	w.elect() // its lease expires
}

func (w *world) reachable() []*replica {
	var found []*replica
	for _, r := range w.replicas {
		if r.reach(w) {
			found = append(found, r)
		}
	}
	return found
}

func (w *world) elect() {
	if !w.chaos.elected {
		return
	}
	for _, r := range w.replicas {
		r.readOnly = true
	}
	candidates := w.reachable()
	for range 1 + w.rnd.IntN(2) { // one, or two while a lease passes on
		leader := candidates[w.rnd.IntN(len(candidates))]
		leader.readOnly = false
		w.logf("%s is elected", leader.name)
	}
}

func (w *world) clobber() {
	c := w.configs[w.rnd.IntN(len(w.configs))]
	if !c.exists || !w.calm() {
		return
	}
	bundles := [][]byte{nil, []byte("garbage"), certs.EncodeCertificate(w.strayCA.Certificate)}
	w.write(c, simBundle{pem: bundles[w.rnd.IntN(len(bundles))], foreign: true})
	w.logf("somebody overwrites the bundle of %s", c.name)
}

func (w *world) loseSecret() {
	if !w.calm() || !w.recorded() || !w.quiet() {
		return
	}
	if w.rnd.IntN(2) == 0 {
		w.secret = simSecret{version: w.secret.version + 1}
		w.logf("somebody deletes the Secret")
		return
	}
	w.secret.corrupt = true
	w.secret.version++
	w.logf("somebody damages the Secret")
}

// restoreSecret puts an earlier content back, one whose CA is still valid, or that of another cluster.
func (w *world) restoreSecret() {
	if len(w.backups) == 0 || !w.calm() || !w.recorded() || !w.quiet() {
		return
	}
	// A second old Secret soon after the first may date from before the first one's CA came back, and say that it was, or
	// is to be, dropped. Only replicas that serve its leaves notice, and one that is cut off cannot.
	again := w.now.Before(w.restored.Add(2 * certs.Overlap))
	old := w.backups[w.rnd.IntN(len(w.backups))]
	if again || w.rnd.IntN(3) == 0 {
		other, err := certs.NewAuthority(w.now, w.policy().CALifetime)
		if err != nil {
			panic(err)
		}
		old = certs.Authorities{Current: other}
	} else {
		w.restored = w.now
	}
	if old.Current == nil || !old.Current.ValidAt(w.now) || w.secret.content.Current.Certificate.Equal(old.Current.Certificate) {
		return
	}
	w.secret.content = old
	w.secret.version++
	w.logf("somebody replaces the Secret")
}

// quiet: the Secret was not touched for a while. While it is mended nobody can sign, and in this world of long pauses
// that takes up to a day; a Secret that is lost all the time would leave no time to renew a leaf in.
func (w *world) quiet() bool {
	if w.now.Before(w.touched.Add(w.gap)) {
		return false
	}
	w.touched = w.now
	return true
}

// recorded: some configuration holds the CAs in use, so that they are known even to a replica that has just started
// or was cut off. Losing this together with the Secret loses the last record.
func (w *world) recorded() bool {
	return slices.ContainsFunc(w.configs, func(c *simConfig) bool { return c.exists })
}
