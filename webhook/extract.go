package webhook

// seen remembers which keys of an object came up, one bit each.
type seen uint32

// first notes a key of an object. A second time is in doubt: for duplicates, the decoder has rules that depend
// on the type.
func (s *scanner) first(keys *seen, key seen) {
	if *keys&(1<<key) != 0 {
		s.fail(errDoubt)
	}
	*keys |= 1 << key
}

// null passes over null where it is next. The decoder leaves a field as it is for null.
func (s *scanner) null() bool {
	if s.peek() != 'n' || s.err != nil {
		return false
	}
	s.literal("null")
	return true
}

// text reads a string that can be used as it stands. Escapes, bytes that are not ASCII (the decoder replaces
// invalid UTF-8) and other types are in doubt.
func (s *scanner) text(into *[]byte) {
	if s.null() {
		return
	}
	if s.peek() != '"' {
		s.fail(errDoubt)
		return
	}
	raw, escaped := s.str()
	if escaped || !ascii(raw) {
		s.fail(errDoubt)
	}
	*into = raw
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func (s *scanner) boolean(into *bool) {
	switch s.peek() {
	case 't':
		s.literal("true")
		*into = true
	case 'f':
		s.literal("false")
		*into = false
	case 'n':
		s.literal("null")
	default:
		s.fail(errDoubt)
	}
}

// review reads the whole body.
func (s *scanner) review(p *podReview, wantLabels bool) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "apiVersion":
			s.first(&keys, 0)
			s.text(&p.apiVersion)
		case "kind":
			s.first(&keys, 1)
			s.text(&p.kind)
		case "request":
			s.first(&keys, 2)
			if s.null() {
				continue
			}
			p.hasRequest = true
			s.request(p, wantLabels)
		default:
			s.skip()
		}
	}
	s.end()
}

func (s *scanner) request(p *podReview, wantLabels bool) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "uid":
			s.first(&keys, 0)
			s.text(&p.uid)
		case "namespace":
			s.first(&keys, 1)
			s.text(&p.namespace)
		case "operation":
			s.first(&keys, 2)
			s.text(&p.operation)
		case "name":
			s.first(&keys, 3)
			s.text(&p.requestName)
		case "subResource":
			s.first(&keys, 4)
			s.text(&p.subResource)
		case "dryRun":
			s.first(&keys, 5)
			s.boolean(&p.dryRun)
		case "resource":
			s.first(&keys, 6)
			s.groupVersion(p)
		case "kind":
			s.first(&keys, 7)
			s.kindOf(p)
		case "object":
			s.first(&keys, 8)
			if s.null() {
				continue
			}
			p.hasObject = true
			s.podObject(p, wantLabels)
		default:
			s.skip()
		}
	}
}

func (s *scanner) groupVersion(p *podReview) {
	if s.null() {
		return
	}
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "group":
			s.first(&keys, 0)
			s.text(&p.group)
		case "version":
			s.first(&keys, 1)
			s.text(&p.version)
		case "resource":
			s.first(&keys, 2)
			s.text(&p.resource)
		default:
			s.skip()
		}
	}
}

func (s *scanner) kindOf(p *podReview) {
	if s.null() {
		return
	}
	var keys seen
	for key := range s.fields {
		if string(key) != "kind" {
			s.skip()
			continue
		}
		s.first(&keys, 0)
		s.text(&p.objectKind)
	}
}
