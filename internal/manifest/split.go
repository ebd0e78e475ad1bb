package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxUnit bounds one document, or one JSON value, as it is held in memory. A list of 50,000 pods as kubectl
	// prints it is half of that.
	maxUnit = 1 << 30
	// readBuffer is how much of a file is read at a time.
	readBuffer = 256 << 10
	// usualUnit is what most objects fit into; what is larger than largeUnit is probably all of its file.
	usualUnit = 4 << 10
	largeUnit = 1 << 20
)

// unit is a piece of a file that can be parsed on its own: a YAML document, or JSON values that end with a line.
type unit struct {
	// line of the first byte, counted from 1.
	line int
	data []byte
	json bool
}

// splitter cuts a stream into units. A line that begins with --- always begins a YAML document, wherever it
// stands (YAML 1.2, 9.1.2), and cannot stand inside of JSON, so that the cut needs no parser.
type splitter struct {
	in   *bufio.Reader
	size int
	emit func(unit) error

	// line is the number of the line that was read last.
	line    int
	current unit
	state   splitState
	balance balance
	// directive: the current document began with a %, and continues behind its own ---.
	directive bool
}

type splitState byte

const (
	// stateBlank: nothing but comments so far.
	stateBlank splitState = iota
	stateYAML
	stateJSON
	// stateBehindJSON: a JSON value has ended, and another may follow without a ---.
	stateBehindJSON
)

// positioned is a mistake that the splitter itself finds.
type positioned struct {
	line int
	text string
}

func (p *positioned) Error() string { return p.text }

// split calls emit with every unit of the stream that holds anything. buffer is used for reading and can be used
// again; size is how much the stream is expected to hold, or 0.
func split(in io.Reader, buffer *bufio.Reader, size int64, emit func(unit) error) error {
	buffer.Reset(in)
	s := &splitter{in: buffer, size: int(min(size, maxUnit)), emit: emit}
	s.current.line = 1
	for {
		more, err := s.next()
		if err != nil || !more {
			return err
		}
	}
}

// next takes one line. It returns false behind the last one.
func (s *splitter) next() (bool, error) {
	before := len(s.current.data)
	err := s.read()
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	last := err != nil
	line := s.current.data[before:]
	if len(line) > 0 {
		s.line++
		if s.line == 1 {
			if line, err = s.first(line); err != nil {
				return false, err
			}
		}
		if err := s.take(line, before); err != nil {
			return false, err
		}
	}
	if last {
		return false, s.flush()
	}
	return true, nil
}

// read appends one line to the current unit, or what is left of the stream together with io.EOF.
func (s *splitter) read() error {
	if s.current.data == nil {
		s.current.data = make([]byte, 0, usualUnit)
	}
	for {
		part, err := s.in.ReadSlice('\n')
		if need := len(s.current.data) + len(part); need > largeUnit && need > cap(s.current.data) {
			// Lists of a hundred megabytes are not to be copied while they grow.
			s.current.data = slices.Grow(s.current.data, max(len(part), s.size-len(s.current.data)))
		}
		s.current.data = append(s.current.data, part...)
		if len(s.current.data) > maxUnit {
			return &positioned{s.line + 1, fmt.Sprintf("a single document of more than %d MiB: split it", maxUnit>>20)}
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// first drops the byte order mark that some editors write.
func (s *splitter) first(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff")) {
		return nil, &positioned{1, "this is UTF-16; save the file as UTF-8"}
	}
	s.current.data = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	return s.current.data, nil
}

// take decides what becomes of the line that was appended to the current unit at the position before.
func (s *splitter) take(line []byte, before int) error {
	text := bytes.TrimLeft(bytes.TrimRight(line, "\r\n"), " \t")
	marker := isMarker("---", line)
	if marker {
		text = bytes.TrimLeft(bytes.TrimRight(line[3:], "\r\n"), " \t")
	}
	if marker && !s.directive {
		if err := s.cut(before); err != nil {
			return err
		}
	}
	switch s.state {
	case stateBlank:
		s.begin(line, text, marker)
	case stateJSON:
		return s.feed(line)
	case stateBehindJSON:
		return s.behind(line, text)
	case stateYAML:
	}
	switch {
	case s.state == stateJSON:
		return s.feed(line)
	case s.state == stateYAML && isMarker("...", line):
		// The end of a document. Directives of the next one may follow.
		return s.flush()
	}
	return nil
}

// cut ends the current unit in front of the line at the position.
func (s *splitter) cut(at int) error {
	rest := bytes.Clone(s.current.data[at:])
	s.current.data = s.current.data[:at]
	if err := s.flush(); err != nil {
		return err
	}
	s.current = unit{line: s.line, data: rest}
	s.state = stateBlank
	return nil
}

// flush emits what there is of the current unit.
func (s *splitter) flush() error {
	if s.state != stateYAML && s.state != stateJSON {
		return nil
	}
	u := s.current
	u.json = s.state == stateJSON
	s.current = unit{line: s.line + 1}
	s.state = stateBlank
	s.directive = false
	return s.emit(u)
}

// begin looks at a line while the document has only comments so far.
func (s *splitter) begin(line, text []byte, marker bool) {
	switch {
	case len(text) == 0 || text[0] == '#' || isMarker("...", line):
		if marker {
			s.directive = false
		}
	case text[0] == '%' && !marker && line[0] == '%':
		s.directive = true
	case text[0] == '{' && !marker && !s.directive:
		// JSON has no comments: the unit begins here.
		s.current = unit{line: s.line, data: bytes.Clone(line)}
		s.state, s.balance = stateJSON, balance{}
	default:
		s.state = stateYAML
		s.directive = false
	}
}

// feed follows JSON to where it ends.
func (s *splitter) feed(line []byte) error {
	if !s.balance.closed(line) {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.state = stateBehindJSON
	return nil
}

// behind takes a line behind a JSON value: blank, or another value.
func (s *splitter) behind(line, text []byte) error {
	switch {
	case len(text) == 0:
		s.current = unit{line: s.line + 1}
		return nil
	case text[0] == '{':
		s.current = unit{line: s.line, data: bytes.Clone(line)}
		s.state, s.balance = stateJSON, balance{}
		return s.feed(line)
	}
	return &positioned{s.line, "there is text behind a JSON object; documents are separated by ---"}
}

// isMarker reports whether the line begins with a marker of YAML's that stands alone: --- or ...
func isMarker(mark string, line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte(mark))
	return found && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}
