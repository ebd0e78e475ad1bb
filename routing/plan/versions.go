package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing/skew"
)

// versions collects the versions that a plan may go through: one for each minor from the lowest that something has to
// the highest, the target among them.
func (s *sim) versions() {
	declared := s.declared()
	low, high := skew.Parse(s.to), skew.Parse(s.to)
	for _, text := range declared {
		if v := skew.Parse(text); v.Known() {
			if v.MinorsAhead(low) < 0 {
				low = v
			}
			if v.MinorsAhead(high) > 0 {
				high = v
			}
		}
	}
	var aliases []string
	for minor := low; minor.MinorsAhead(high) <= 0; minor = nextMinor(minor) {
		version, known := s.versionOf(minor, declared)
		if !known {
			aliases = append(aliases, version)
		}
		s.candidates = append(s.candidates, version)
		if minor.MinorsAhead(high) < -maxMinors || len(s.candidates) > maxMinors {
			break // another major: no release of Istio
		}
	}
	s.aliases = aliases
}

// maxMinors bounds the versions to go through. Istio has a minor release every quarter: this is ten years of them.
const maxMinors = 40

// declared are the versions that the mesh has now, which are offered for certain, the Istio's first.
func (s *sim) declared() []string {
	own := s.ours(s.start).Version
	list := []string{own}
	for _, r := range s.start.Revisions {
		if r.Istio == s.istio {
			list = append(list, r.Version)
		}
	}
	if c := s.start.CNI; c != nil {
		list = append(list, c.Version)
	}
	if z := s.start.ZTunnel; z != nil {
		list = append(list, z.Version)
	}
	for _, w := range s.start.Workloads {
		list = append(list, w.Version)
	}
	return list
}

// versionOf is the version to use of a minor, and whether it is known to be offered: the target, else what a control
// plane has now, else the newest release among those that are offered, else the alias.
func (s *sim) versionOf(minor skew.Version, declared []string) (version string, known bool) {
	if skew.Parse(s.to).MinorsAhead(minor) == 0 {
		return s.to, true
	}
	if len(declared) > 0 && skew.Parse(declared[0]).Known() && skew.Parse(declared[0]).MinorsAhead(minor) == 0 {
		return declared[0], true
	}
	var best skew.Version
	for _, text := range s.request.Available {
		v := skew.Parse(text)
		release := v.Known() && !v.Alias() && !strings.ContainsAny(text, "-+~_") && v.String() != v.Minor()
		if release && v.MinorsAhead(minor) == 0 && (!best.Known() || v.Compare(best) > 0) {
			best = v
		}
	}
	if best.Known() {
		return best.String(), true
	}
	if alias := minor.Minor() + "-latest"; len(s.request.Available) == 0 || slices.Contains(s.request.Available, alias) {
		return alias, false
	}
	return "", true
}

// nextMinor is the minor after a version.
func nextMinor(v skew.Version) skew.Version {
	major, minor, _ := strings.Cut(strings.TrimPrefix(v.Minor(), "v"), ".")
	n, err := strconv.Atoi(minor)
	if err != nil {
		return skew.Version{} // cannot be: it was parsed
	}
	return skew.Parse("v" + major + "." + strconv.Itoa(n+1))
}

// same reports whether two versions are of one release. A version that cannot be read is equal to its own text only.
func same(a, b string) bool { return a == b || skew.Parse(a).SameRelease(skew.Parse(b)) }
