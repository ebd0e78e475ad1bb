package skew

import (
	"cmp"
	"strconv"
	"strings"
)

// Version is an Istio version as far as skew is concerned: major and minor count, the rest only orders and
// prints. The zero value is the unknown version of an empty text. Versions are comparable with ==.
//
// Known forms: v1.30.3 and 1.30.3 (Deployment labels and image
// tags carry no v), v1.30 and the alias v1.30-latest, pre-releases (v1.31.0-beta.1, v1.32.0-alpha.527f8d6c) and
// vendor suffixes (1.29.6-distroless, 1.28.5_ossm). Everything else is unknown: master, digests, empty text.
// An unknown version is never compared, so that it can warn and never deny.
type Version struct {
	known               bool
	major, minor, patch int
	suffix              string // with its separator, such as "-rc.0"
	text                string // what was read; only of an unknown version
}

const (
	// noPatch marks v1.30 and v1.30-latest.
	noPatch = -1
	// maxMajor and maxMinor keep build dates (2026.11.22) and the like from being taken for Istio versions.
	maxMajor, maxMinor, maxPatch = 9, 999, 999_999
	// minorsPerMajor is the distance between two majors: more than any policy could allow.
	minorsPerMajor = maxMinor + 1
)

// Parse reads a version. It never fails: what is no version is an unknown one. Parse(v.String()) == v.
func Parse(text string) Version {
	unknown := Version{text: text}
	rest := strings.TrimPrefix(text, "v")
	major, rest, ok := number(rest, maxMajor)
	if !ok || !strings.HasPrefix(rest, ".") {
		return unknown
	}
	minor, rest, ok := number(rest[1:], maxMinor)
	if !ok {
		return unknown
	}
	v := Version{known: true, major: major, minor: minor, patch: noPatch}
	if strings.HasPrefix(rest, ".") {
		if v.patch, rest, ok = number(rest[1:], maxPatch); !ok {
			return unknown
		}
	}
	if !validSuffix(rest) {
		return unknown
	}
	v.suffix = rest
	return v
}

// number reads leading digits up to limit, without leading zeros.
func number(s string, limit int) (n int, rest string, ok bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 || end > 1 && s[0] == '0' {
		return 0, s, false
	}
	n, err := strconv.Atoi(s[:end])
	return n, s[end:], err == nil && n <= limit
}

// validSuffix accepts nothing, or a separator followed by what image tags and semantic versions may hold.
func validSuffix(s string) bool {
	if s == "" {
		return true
	}
	if len(s) == 1 || !strings.ContainsRune("-+_~.", rune(s[0])) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !letter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-+_~.", rune(c)) {
			return false
		}
	}
	return true
}

// Known reports whether major and minor could be read.
func (v Version) Known() bool { return v.known }

// Alias reports whether the version moves without a write of the object that names it: vX.Y-latest, master.
func (v Version) Alias() bool {
	return v.known && v.patch == noPatch && v.suffix == "-latest" || v.text == "master"
}

// String returns the version with a leading v; of an unknown version, the text that was read.
func (v Version) String() string {
	if !v.known {
		return v.text
	}
	s := v.Minor()
	if v.patch != noPatch {
		s += "." + strconv.Itoa(v.patch)
	}
	return s + v.suffix
}

// Minor returns major and minor, such as v1.30; of an unknown version, the text that was read.
func (v Version) Minor() string {
	if !v.known {
		return v.text
	}
	return "v" + strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor)
}

// MinorsAhead tells how many minor versions v is ahead of other: negative when behind, and meaningless unless
// both are known. Another major is further away than any policy allows.
func (v Version) MinorsAhead(other Version) int { return v.ordinal() - other.ordinal() }

func (v Version) ordinal() int { return v.major*minorsPerMajor + v.minor }

// next is the minor version n minors later, or earlier where n is negative. It stays within the major.
func (v Version) next(n int) Version {
	return Version{known: v.known, major: v.major, minor: max(0, v.minor+n), patch: noPatch, text: v.text}
}

// Compare orders versions totally, and returns 0 for equal ones only: unknown before known; alpha, beta and rc
// before the release, vendor suffixes after it; vX.Y-latest after every patch of its minor.
func (v Version) Compare(other Version) int {
	if v == other {
		return 0
	}
	if v.known != other.known {
		if v.known {
			return 1
		}
		return -1
	}
	return cmp.Or(
		cmp.Compare(v.text, other.text),
		cmp.Compare(v.ordinal(), other.ordinal()),
		cmp.Compare(v.patchRank(), other.patchRank()),
		cmp.Compare(v.suffixRank(), other.suffixRank()),
		compareIdentifiers(v.suffix, other.suffix),
		cmp.Compare(v.suffix, other.suffix),
	)
}

func (v Version) patchRank() int {
	if v.Alias() {
		return maxPatch + 1
	}
	return v.patch
}

func (v Version) suffixRank() int {
	switch {
	case v.suffix == "":
		return 0
	case preRelease(v.suffix):
		return -1
	}
	return 1
}

func preRelease(suffix string) bool {
	for _, word := range []string{"-alpha", "-beta", "-dev", "-pre", "-rc"} {
		if rest, ok := strings.CutPrefix(suffix, word); ok && (rest == "" || !letter(rest[0])) {
			return true
		}
	}
	return false
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// compareIdentifiers compares as semantic versions do: part by part, numbers as numbers and before words.
func compareIdentifiers(a, b string) int {
	separator := func(r rune) bool { return strings.ContainsRune("-+_~.", r) }
	as, bs := strings.FieldsFunc(a, separator), strings.FieldsFunc(b, separator)
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.ParseUint(as[i], 10, 64)
		y, errY := strconv.ParseUint(bs[i], 10, 64)
		var order int
		switch {
		case errX == nil && errY == nil:
			order = cmp.Compare(x, y)
		case errX == nil:
			order = -1
		case errY == nil:
			order = 1
		default:
			order = strings.Compare(as[i], bs[i])
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}
