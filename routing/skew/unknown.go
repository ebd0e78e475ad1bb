package skew

// unknownVersions warns where a change of a version cannot be judged.
//
// Source: Sail Operator, versions.yaml (master moves without a minor) and ApplyDigests (images without a tag).
// Only a change of the version itself says so: an unknown version that was there before is no news.
func unknownVersions(k *check) []violation {
	text, changed := k.newVersion()
	if !changed {
		return nil
	}
	ref := k.change.object().Ref()
	version := Parse(text)
	if k.change.is(KindGateway) {
		version = ImageVersion(text)
	}
	if !version.Known() {
		has := " has the version "
		if k.change.is(KindGateway) {
			has = " pins the image "
		}
		return []violation{{
			rule: UnknownVersion,
			what: ref.String() + has + quoted(text) + ", which tells no minor version: its skew is not judged.",
			todo: "Prefer a version such as v1.30.3 or v1.30-latest", objects: []Ref{ref},
		}}
	}
	var others []string
	objects := []Ref{ref}
	for _, c := range k.opposite() {
		others = append(others, c.String())
		objects = append(objects, c)
	}
	if len(others) == 0 {
		return nil
	}
	return []violation{{
		rule: UnknownVersion,
		what: k.subject() + " is not judged against " + some(others) + ": no version is known there.", objects: objects,
	}}
}

// newVersion is the version that the change sets, and whether it sets one.
func (k *check) newVersion() (text string, changed bool) {
	if k.change.Operation == Delete {
		return "", false
	}
	get := func(o Object) string {
		switch o := o.(type) {
		case Istio, Revision, CNI, ZTunnel:
			return o.Ref().Version
		case Gateway:
			return o.ProxyImage
		}
		return ""
	}
	text = get(k.change.New)
	if k.change.Operation == Create {
		return text, !k.change.is(KindGateway) && get(k.change.New) != "" || text != ""
	}
	return text, text != get(k.change.Old)
}

// opposite lists what the changed object would have to be compared with, where its version is unknown.
func (k *check) opposite() []Ref {
	var refs []Ref
	if k.change.is(KindCNI) || k.change.is(KindZTunnel) {
		for _, p := range k.after.live() {
			if _, known := p.lowest(func(claim) bool { return true }); !known {
				refs = append(refs, p.ref())
			}
		}
		return refs
	}
	if !k.change.is(KindIstio) && !k.change.is(KindRevision) {
		return nil
	}
	for c := range k.after.components(k.policy) {
		if c.version.Known() || c.source == byImage {
			continue
		}
		for _, p := range c.planes {
			if old := k.before.plane(p.name); old == nil || old.version().Minor() != p.version().Minor() {
				refs = append(refs, c.ref)
				break
			}
		}
	}
	return refs
}

func quoted(text string) string { return `"` + text + `"` }
