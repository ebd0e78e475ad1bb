package manifest

import "bytes"

// scanner finds where JSON values begin and end. It allocates nothing and accepts more than JSON: whatever it
// cuts out is parsed by a real decoder afterwards, so that a mistake inside a value comes out there. What lies
// between the values it cuts out (commas, brackets, keys) is its own to judge.
type scanner struct {
	data []byte
	at   int
}

// span is a part of a text.
type span struct{ start, end int }

func (s span) of(data []byte) []byte { return data[s.start:s.end] }

func (s span) present() bool { return s.end > s.start }

// next moves to the next byte that is not white space and returns it, or 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
		default:
			return s.data[s.at]
		}
	}
	return 0
}

// value moves behind the next value.
func (s *scanner) value() (span, bool) {
	c := s.next()
	start := s.at
	switch c {
	case 0, ',', ':', ']', '}':
		return span{}, false
	case '"':
		if !s.text() {
			return span{}, false
		}
	case '{', '[':
		if !s.nested() {
			return span{}, false
		}
	default:
		for s.at < len(s.data) && bytes.IndexByte([]byte(" \t\r\n,:]}[{\""), s.data[s.at]) < 0 {
			s.at++
		}
	}
	return span{start, s.at}, true
}

// text moves behind the string that starts here.
func (s *scanner) text() bool {
	for i := s.at + 1; i < len(s.data); i++ {
		switch s.data[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			return true
		}
	}
	return false
}

// nested moves behind the object or list that starts here.
func (s *scanner) nested() bool {
	for depth := 0; s.at < len(s.data); {
		switch s.data[s.at] {
		case '"':
			if !s.text() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return true
			}
		}
		s.at++
	}
	return false
}

// members calls visit with every key, still quoted, and value of the object that starts here, and moves behind it.
func (s *scanner) members(visit func(key []byte, value span)) bool {
	if s.next() != '{' {
		return false
	}
	s.at++
	if s.next() == '}' {
		s.at++
		return true
	}
	for {
		if s.next() != '"' {
			return false
		}
		key, ok := s.value()
		if !ok || s.next() != ':' {
			return false
		}
		s.at++
		value, ok := s.value()
		if !ok {
			return false
		}
		visit(key.of(s.data), value)
		switch s.next() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

// elements calls visit with every value of the list that starts here, until visit returns false.
func (s *scanner) elements(visit func(value span) bool) bool {
	if s.next() != '[' {
		return false
	}
	s.at++
	if s.next() == ']' {
		return true
	}
	for {
		value, ok := s.value()
		if !ok {
			return false
		}
		if !visit(value) {
			return true
		}
		switch s.next() {
		case ',':
			s.at++
		case ']':
			return true
		default:
			return false
		}
	}
}

// balance follows brackets through JSON that arrives line by line, to tell where a value ends.
type balance struct {
	depth           int
	inText, escaped bool
}

// closed takes the next line and reports whether everything that was opened is closed behind it.
func (b *balance) closed(line []byte) bool {
	for _, c := range line {
		switch {
		case b.escaped:
			b.escaped = false
		case b.inText && c == '\\':
			b.escaped = true
		case c == '"':
			b.inText = !b.inText
		case b.inText:
		case c == '{' || c == '[':
			b.depth++
		case c == '}' || c == ']':
			b.depth--
		}
	}
	return b.depth <= 0 && !b.inText
}
