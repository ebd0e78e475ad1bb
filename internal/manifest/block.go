package manifest

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what blockReader takes. What exceeds them is left to the YAML parser.
const (
	maxBlockDepth = 64
	maxBlockKeys  = 64 // of one mapping, which are compared one with another
	maxBlockKey   = 256
)

// blockReader turns the plainest form of YAML into JSON, several times faster than a YAML parser: block
// mappings and sequences, scalars that end with their line, and literal text. That is the form in which kubectl
// and Helm write nearly every object.
//
// It takes only what it is sure of, line by line, and gives up on everything else, mistakes included, so that all
// of them are judged and reported by the YAML parser. Whatever it does take has exactly the JSON and lines that
// the parser's way gives; a fuzz test compares the two.
type blockReader struct {
	doc  yamlDocument
	text string
	at   int
	// line is the number of the line that begins at at, raw the one before it.
	line   int
	raw    string
	frames []blockFrame
	keys   []string
	// pending: the last key has no value so far, so that deeper lines are its value.
	pending     bool
	pendingLine int
	scratch     []byte
}

// blockFrame is a mapping or sequence that is still open.
type blockFrame struct {
	sequence bool
	indent   int
	// firstKey is where the keys of a mapping begin in blockReader.keys; length counts the entries.
	firstKey, length int
}

// read returns nil where the text is not, or not surely, of that form. The document is valid until the next call.
func (r *blockReader) read(data []byte) *yamlDocument {
	r.text, r.at, r.line = string(data), 0, 0
	r.doc.json, r.doc.marks = r.doc.json[:0], r.doc.marks[:0]
	r.frames, r.keys, r.pending = r.frames[:0], r.keys[:0], false
	for r.at < len(r.text) {
		indent, content, ok := r.next()
		if !ok {
			return nil
		}
		if content == "" || content[0] == '#' || content == "---" && r.line == 1 {
			continue
		}
		if !r.entry(indent, content) {
			return nil
		}
	}
	if len(r.frames) == 0 {
		return nil
	}
	if r.pending {
		r.null(r.pendingLine)
	}
	for len(r.frames) > 0 {
		r.close()
	}
	return &r.doc
}

// next takes a line apart: its indentation and what follows, without blanks at the end.
func (r *blockReader) next() (indent int, content string, ok bool) {
	line := r.text[r.at:]
	end := strings.IndexByte(line, '\n')
	if end < 0 {
		return 0, "", false // Text that ends in the middle of a line is rare, and chomped in its own way.
	}
	line = strings.TrimSuffix(line[:end], "\r")
	r.at += end + 1
	r.line++
	r.raw = line
	content = strings.TrimLeft(line, " ")
	return len(line) - len(content), strings.TrimRight(content, " "), readable(line)
}

// readable reports whether all characters of a line stand for themselves, and none ends a line for YAML.
func readable(line string) bool {
	ascii := true
	for i := range len(line) {
		if c := line[i]; c < ' ' || c == 0x7f {
			return false
		}
		ascii = ascii && line[i] < utf8.RuneSelf
	}
	if ascii {
		return true
	}
	for _, c := range line {
		switch {
		case c >= utf8.RuneSelf && c < 0xa0, c == '\u2028', c == '\u2029', c == '\ufeff', c >= '\ufffd' && c <= '\uffff':
			return false // utf8.RuneError, U+FFFD, stands for what is no UTF-8
		}
	}
	return true
}

// entry takes a line that holds a key or an item.
func (r *blockReader) entry(indent int, content string) bool {
	item := strings.HasPrefix(content, "- ")
	if !item && (content == "-" || content == "..." || content[0] == '%') {
		return false
	}
	if !r.place(indent, item) {
		return false
	}
	if !item {
		return r.pair(indent, content)
	}
	r.separate()
	rest := content[2:]
	if rest[0] == ' ' || strings.HasPrefix(rest, "- ") {
		return false
	}
	if keyLength(rest) < 0 {
		return r.value(indent, rest)
	}
	return r.open(false, indent+2) && r.pair(indent+2, rest)
}

// place closes what the line's indentation ends, and opens what it begins.
func (r *blockReader) place(indent int, item bool) bool {
	if len(r.frames) == 0 {
		// Behind the root nothing can follow, and the root has no key that waits for it.
		return len(r.doc.json) == 0 && r.open(item, indent)
	}
	if r.pending {
		if top := r.frames[len(r.frames)-1]; indent > top.indent || item && indent == top.indent {
			r.pending = false
			return r.open(item, indent)
		}
		r.pending = false
		r.null(r.pendingLine)
	}
	for len(r.frames) > 0 {
		top := r.frames[len(r.frames)-1]
		if top.indent < indent || top.indent == indent && (!top.sequence || item) {
			break
		}
		r.close()
	}
	if len(r.frames) == 0 {
		return false
	}
	top := r.frames[len(r.frames)-1]
	return top.indent == indent && top.sequence == item
}

func (r *blockReader) open(sequence bool, indent int) bool {
	if len(r.frames) == maxBlockDepth {
		return false
	}
	r.mark(r.line)
	bracket := byte('{')
	if sequence {
		bracket = '['
	}
	r.doc.json = append(r.doc.json, bracket)
	r.frames = append(r.frames, blockFrame{sequence: sequence, indent: indent, firstKey: len(r.keys)})
	return true
}

func (r *blockReader) close() {
	last := len(r.frames) - 1
	bracket := byte('}')
	if r.frames[last].sequence {
		bracket = ']'
	}
	r.doc.json = append(r.doc.json, bracket)
	r.keys = r.keys[:r.frames[last].firstKey]
	r.frames = r.frames[:last]
}

// separate begins another entry of the innermost frame.
func (r *blockReader) separate() {
	top := &r.frames[len(r.frames)-1]
	if top.length > 0 {
		r.doc.json = append(r.doc.json, ',')
	}
	top.length++
}

// pair takes a key and, where it stands on the same line, its value.
func (r *blockReader) pair(indent int, content string) bool {
	n := keyLength(content)
	if n < 0 {
		return false
	}
	key := content[:n]
	if _, kind, err := plain(key); err != nil || kind != typeString {
		return false
	}
	own := r.keys[r.frames[len(r.frames)-1].firstKey:]
	if len(own) == maxBlockKeys || slices.Contains(own, key) {
		return false
	}
	r.keys = append(r.keys, key)
	r.separate()
	r.doc.json = append(appendText(r.doc.json, key), ':')
	value := strings.TrimLeft(content[n+1:], " ")
	if value == "" {
		r.pending = true
		r.pendingLine = r.line
		return true
	}
	return r.value(indent, value)
}

// keyLength returns how long the key is that the text begins with, or -1 where it begins with none.
func keyLength(text string) int {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '/':
		case c >= '0' && c <= '9', c == '.', c == '-':
			if i == 0 {
				return -1
			}
		case c == ':' && i > 0 && i <= maxBlockKey && (i+1 == len(text) || text[i+1] == ' '):
			return i
		default:
			return -1
		}
	}
	return -1
}
