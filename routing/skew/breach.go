package skew

import (
	"cmp"
	"iter"
	"slices"
)

// component is one version of something that has to fit control planes.
type component struct {
	ref     Ref
	version Version
	// source is why it may have this version: declared, or running in some of its pods.
	source   source
	planes   []*plane
	maxAhead int
	// workload is set for pods of the data plane, nil for IstioCNI, ZTunnel and the pinned image of a Gateway.
	workload *Workload
}

const (
	// bySpec is the version that an IstioCNI or ZTunnel declares.
	bySpec source = "spec"
	// byImage is the version of the image that a Gateway pins.
	byImage source = "image"
)

// pair identifies a component and a control plane at one moment of both; a change makes a pair worse when it
// violates by a larger distance after it.
type pair struct {
	ref      Ref // without a version for what an object declares, with it for pods
	revision string
	source   source
	running  Version // of pods of a singleton
	plane    string
	claim    claim // without a version for what is declared
	ahead    bool
}

// breach is a pair that violates the policy, by distance minor versions.
type breach struct {
	component component
	plane     *plane
	claim     claim
	ahead     bool
	distance  int
}

// breaches holds the violating pairs of a view.
type breaches map[pair]breach

// of reports whether what a singleton of the kind declares is in one of them.
func (b breaches) of(kind Kind) bool {
	for pair := range b {
		if pair.ref.Kind == kind && pair.source == bySpec {
			return true
		}
	}
	return false
}

// singleton reports whether the component is an IstioCNI or ZTunnel.
func (c component) singleton() bool { return c.ref.Kind == KindCNI || c.ref.Kind == KindZTunnel }

// components yields the data plane: IstioCNI and ZTunnel against every live revision, proxies and pinned images
// against their own (data plane against data plane is compatible across all versions, istio.io
// "Control Plane/Data Plane Skew").
func (v *view) components(p Policy) iter.Seq[component] {
	return func(yield func(component) bool) {
		for _, c := range v.singletons(p) {
			if !yield(c) {
				return
			}
		}
		for i := range v.mesh.Workloads {
			w := &v.mesh.Workloads[i]
			own := v.plane(w.Revision)
			if own != nil && !yield(component{
				ref: w.ref(), version: Parse(w.Version), source: byPods, planes: []*plane{own}, workload: w,
			}) {
				return
			}
		}
		for _, g := range v.mesh.Gateways {
			if g.ProxyImage == "" || g.Deleting {
				continue
			}
			ref, image := g.Ref(), ImageVersion(g.ProxyImage)
			ref.Version = image.String()
			if !yield(component{ref: ref, version: image, source: byImage, planes: v.ownerPlanes(g)}) {
				return
			}
		}
	}
}

// singletons are IstioCNI and ZTunnel in all versions that they may have.
func (v *view) singletons(p Policy) []component {
	var list []component
	live := v.live()
	if c := v.mesh.CNI; c != nil && !c.Deleting {
		one := component{ref: c.Ref(), planes: live, maxAhead: p.cniAhead(v.ambient)}
		list = append(list, one.versions(c.Version, c.DaemonSet)...)
	}
	if z := v.mesh.ZTunnel; z != nil && !z.Deleting {
		one := component{ref: z.Ref(), planes: live}
		list = append(list, one.versions(z.Version, z.DaemonSet)...)
	}
	return list
}

// versions are all versions that a singleton may have: what it declares and what its pods run.
func (c component) versions(declared string, r Rollout) []component {
	c.version, c.source = Parse(declared), bySpec
	list := []component{c}
	for _, run := range r.claims() {
		c.version, c.source = run.version, run.source
		list = append(list, c)
	}
	return list
}

// breaches finds the pairs that violate. follower is the kind of singleton that is being updated: only for it
// counts what a control plane is merely assumed to run, because only it could follow too early. For everything
// else an assumption must not refuse a write.
func (v *view) breaches(p Policy, follower Kind) breaches {
	found := breaches{}
	for c := range v.components(p) {
		if !c.version.Known() {
			continue
		}
		for _, own := range c.planes {
			for _, at := range own.claims {
				assumed := at.source == assumedPods || at.source == noPods
				if !at.version.Known() || assumed && c.ref.Kind != follower ||
					at.superseded && p.ControlPlaneVersion == Declared {
					continue
				}
				b := breach{component: c, plane: own, claim: at}
				lead := c.version.MinorsAhead(at.version)
				switch {
				case lead > c.maxAhead:
					b.ahead, b.distance = true, lead-c.maxAhead
				case lead < -1:
					b.distance = -1 - lead
				default:
					continue
				}
				found[b.pair()] = b
			}
		}
	}
	return found
}

func (b breach) pair() pair {
	c := b.component
	key := pair{ref: c.ref, source: c.source, plane: b.plane.name, claim: b.claim, ahead: b.ahead}
	if c.workload != nil {
		key.revision = c.workload.Revision
	} else {
		key.ref.Version = ""
	}
	if c.singleton() && c.source != bySpec {
		key.running = c.version
	}
	if b.claim.declared() {
		key.claim = claim{source: b.claim.source}
	}
	return key
}

// worse lists the pairs that violate after the change, and before it did not or by less, in a fixed order.
func (k *check) worse() []breach {
	var list []breach
	for key, b := range k.newBreaches {
		if b.distance > k.distanceBefore(key) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b breach) int {
		return cmp.Or(
			cmp.Compare(a.plane.name, b.plane.name),
			compareRefs(a.component.ref, b.component.ref),
			-cmp.Compare(a.distance, b.distance),
			cmp.Compare(a.claim.source, b.claim.source),
			a.claim.version.Compare(b.claim.version),
			cmp.Compare(a.component.source, b.component.source),
			a.component.version.Compare(b.component.version),
		)
	})
	return list
}

// distanceBefore is by how much the pair violated before the change. A pair that could not exist then is measured
// by what it continues: a claim that is new at a live control plane by what that one declared, a control plane that
// was not live by the live ones of its Istio, another owner of a Gateway by its owners so far. Otherwise an update
// that keeps the minor would be refused over skew that was there before.
func (k *check) distanceBefore(key pair) int {
	if b, ok := k.oldBreaches[key]; ok {
		return b.distance
	}
	own := k.before.plane(key.plane)
	continues := func(old pair) bool {
		switch {
		case key.source == byImage:
			return true
		case own == nil || !own.live():
			istio := k.before.plane(old.plane).istio
			return istio != "" && istio == k.after.plane(key.plane).istio
		}
		return key.claim.declared() && !own.has(key.claim.source) && old.plane == key.plane && old.claim.declared()
	}
	distance := 0
	for old, b := range k.oldBreaches {
		if old.ref == key.ref && old.source == key.source && old.running == key.running && old.ahead == key.ahead &&
			continues(old) {
			distance = max(distance, b.distance)
		}
	}
	return distance
}

func (p *plane) has(s source) bool {
	_, ok := p.claimed(s)
	return ok
}
