package webhook

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// maxScannedLabels bounds the search for duplicate keys, which compares every label with every other. More
// labels go to the reference decoder.
const maxScannedLabels = 64

// span is a label's key and value as offsets.
type span struct{ key, keyEnd, value, valueEnd int }

// allLabels reads every label of the pod, for selectors that may name any of them. The texts of all labels share
// one string, so that it is one allocation however many there are.
func (s *scanner) allLabels(p *podReview) {
	var spans [maxScannedLabels]span
	n, start := 0, s.pos
	for key := range s.fields {
		// key is followed by a quote, perhaps spaces, and a colon: its place is found by its length.
		at := offset(s.data, key)
		value := member{}
		s.entry(&value)
		if n == maxScannedLabels || !ascii(key) {
			s.fail(errDoubt)
		}
		if s.err != nil {
			return
		}
		valueAt := offset(s.data, value.value)
		spans[n] = span{at - start, at - start + len(key), valueAt - start, valueAt - start + len(value.value)}
		n++
		if m := p.labelFor(key); m != nil {
			*m = value
		}
	}
	if s.err != nil {
		return
	}
	all := string(s.data[start:s.pos])
	p.labels = slices.Grow(p.labels[:0], n)
	for _, at := range spans[:n] {
		pair := routing.Pair{Key: all[at.key:at.keyEnd], Value: all[at.value:at.valueEnd]}
		if slices.ContainsFunc(p.labels, func(other routing.Pair) bool { return other.Key == pair.Key }) {
			s.fail(errDoubt)
			return
		}
		p.labels = append(p.labels, pair)
	}
}

// offset returns where part, a slice of whole that shares its end, begins.
func offset(whole, part []byte) int { return cap(whole) - cap(part) }
