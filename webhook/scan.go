package webhook

import "errors"

// maxDepth bounds how deep the arrays and objects of a review may nest. Nothing that the API server sends comes
// near it: a pod is about 15 deep, the managed fields of its spec included. encoding/json allows 10,000.
const maxDepth = 100

var (
	errSyntax = errors.New("not well-formed JSON")
	errDepth  = errors.New("nested too deep")
	// errDoubt: the input may well be fine, but the scanner is not the one to say what it means.
	errDoubt = errors.New("left to the reference decoder")
)

// scanner walks over JSON without recursion and without allocating. It accepts exactly what encoding/json accepts,
// apart from maxDepth. Its error sticks: after the first, nothing moves and every loop ends.
type scanner struct {
	data  []byte
	pos   int
	depth int
	err   error
	// object tells for each open level of skip whether it is an object or an array.
	object [maxDepth + 1]bool
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// peek passes over white space and returns the byte after it, 0 at the end (no value begins with a zero byte).
func (s *scanner) peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// accept passes over c where it is next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c || s.err != nil {
		return false
	}
	s.pos++
	return true
}

// end fails unless only white space is left.
func (s *scanner) end() {
	if s.peek(); s.pos < len(s.data) {
		s.fail(errSyntax)
	}
}

// enter goes one level down.
func (s *scanner) enter() {
	if s.depth == maxDepth {
		s.fail(errDepth)
		return
	}
	s.depth++
}

// fields goes through the members of an object that comes next. The body of the loop has to pass over exactly
// one value. What is no object is in doubt, and so is a key with an escape, which might spell any other key.
func (s *scanner) fields(yield func(key []byte) bool) {
	if !s.accept('{') {
		s.fail(errDoubt)
		return
	}
	s.enter()
	if s.accept('}') {
		s.depth--
		return
	}
	for s.err == nil {
		key, escaped := s.key()
		if escaped {
			s.fail(errDoubt)
		}
		if s.err != nil || !yield(key) {
			return
		}
		if s.accept('}') {
			s.depth--
			return
		}
		if !s.accept(',') {
			s.fail(errSyntax)
		}
	}
}

// elements goes through the array that comes next, as fields does through an object.
func (s *scanner) elements(yield func() bool) {
	if !s.accept('[') {
		s.fail(errDoubt)
		return
	}
	s.enter()
	if s.accept(']') {
		s.depth--
		return
	}
	for s.err == nil && yield() {
		if s.accept(']') {
			s.depth--
			return
		}
		if !s.accept(',') {
			s.fail(errSyntax)
		}
	}
}

// skip passes over one value of any kind. It is a loop and not a recursion, so that hostile input cannot grow
// the stack.
func (s *scanner) skip() {
	base := s.depth
	for s.err == nil {
		if s.open() {
			continue // at the first value inside
		}
		if s.ascend(base) {
			return
		}
	}
}

// open passes over a scalar or an empty array or object and returns false, or enters one that is not empty and
// returns true, with its first value next.
func (s *scanner) open() bool {
	switch s.peek() {
	case '{':
		s.pos++
		s.enter()
		if s.accept('}') {
			s.depth--
			return false
		}
		s.object[s.depth] = true
		s.key()
		return true
	case '[':
		s.pos++
		s.enter()
		if s.accept(']') {
			s.depth--
			return false
		}
		s.object[s.depth] = false
		return true
	case '"':
		s.str()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
	return false
}

// ascend goes from the end of a value to the next one at any level above base, and returns true when there is
// none left: base is reached.
func (s *scanner) ascend(base int) bool {
	for s.depth > base && s.err == nil {
		inObject := s.object[s.depth]
		switch {
		case s.accept(','):
			if inObject {
				s.key()
			}
			return false
		case inObject && s.accept('}'), !inObject && s.accept(']'):
			s.depth--
		default:
			s.fail(errSyntax)
		}
	}
	return true
}
