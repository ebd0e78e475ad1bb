package status

import "github.com/revision-router/revision-router/routing/skew"

// Satisfies reports whether pods with this proxy need no restart to have the wanted one: the same revision, and no
// other release of it. A version that is not known counts as the same, as in [Restart].
func (p Proxy) Satisfies(wanted Proxy) bool {
	if p.Revision != wanted.Revision {
		return false
	}
	known := skew.Parse(p.Version).Known() && skew.Parse(wanted.Version).Known()
	return !known || same(p.Version, wanted.Version)
}

// Named reports whether text is the revision of the proxy, or its version.
func (p Proxy) Named(text string) bool {
	return text == p.Revision || skew.Parse(text).Known() && skew.Parse(p.Version).Known() && same(text, p.Version)
}

// String is the revision and the version, or that there is no proxy.
func (p Proxy) String() string {
	switch {
	case p.Revision == "":
		return "no sidecar"
	case p.Version == "":
		return p.Revision
	}
	return p.Revision + " " + p.Version
}
