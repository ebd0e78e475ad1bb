package webhook

import (
	"encoding/binary"
	"math/bits"
)

// key passes over a member's key and the colon, and returns the key without its quotes.
func (s *scanner) key() (key []byte, escaped bool) {
	if s.peek() != '"' {
		s.fail(errSyntax)
		return nil, false
	}
	key, escaped = s.str()
	if !s.accept(':') {
		s.fail(errSyntax)
	}
	return key, escaped
}

func (s *scanner) literal(word string) {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		s.fail(errSyntax)
		return
	}
	s.pos += len(word)
}

// str passes over a string and returns what is between its quotes, escapes as they are.
func (s *scanner) str() (raw []byte, escaped bool) {
	s.pos++
	start := s.pos
	for {
		s.pos += plainPrefix(s.data[s.pos:])
		if s.pos >= len(s.data) {
			s.fail(errSyntax)
			return nil, false
		}
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start : s.pos-1], escaped
		case c == '\\':
			escaped = true
			if !s.escape() {
				s.fail(errSyntax)
				return nil, false
			}
		default: // a control character, which JSON wants escaped
			s.fail(errSyntax)
			return nil, false
		}
	}
}

// plainPrefix returns how many bytes at the front of b can stand in a string as they are: no quote, no
// backslash, no control character. It looks at eight bytes at a time; the lowest set bit of a word's mask is
// exact, while borrows may set bits above it.
func plainPrefix(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote, slash := w^ones*'"', w^ones*'\\'
		mask := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
		if mask != 0 {
			return n + bits.TrailingZeros64(mask)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c == '"' || c == '\\' || c < 0x20 {
			break
		}
	}
	return n
}

// escape passes over an escape sequence, and reports whether it is one.
func (s *scanner) escape() bool {
	rest := s.data[s.pos+1:]
	if len(rest) == 0 {
		return false
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return true
	case 'u':
		if len(rest) < 5 || !hex(rest[1]) || !hex(rest[2]) || !hex(rest[3]) || !hex(rest[4]) {
			return false
		}
		s.pos += 6
		return true
	}
	return false
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number passes over a number, in the grammar of RFC 8259.
func (s *scanner) number() {
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.data) && s.data[s.pos] == '0' {
		s.pos++
	} else {
		s.digits()
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		s.digits()
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		s.digits()
	}
}

// digits passes over one digit or more.
func (s *scanner) digits() {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == start {
		s.fail(errSyntax)
	}
}
