package manifest

import "strings"

// value takes what stands behind a key or a dash; indent is that of the mapping or sequence.
func (r *blockReader) value(indent int, text string) bool {
	r.mark(r.line)
	switch text {
	case "{}", "[]":
		r.doc.json = append(r.doc.json, text...)
		return true
	case "|", "|-":
		return r.literal(indent, text == "|-")
	}
	switch text[0] {
	case '"':
		return r.doubleQuoted(text)
	case '\'':
		return r.singleQuoted(text)
	}
	return r.plain(text)
}

// singleQuoted takes text in which a quote is doubled, and nothing else is special.
func (r *blockReader) singleQuoted(text string) bool {
	if len(text) < 2 || text[len(text)-1] != '\'' {
		return false
	}
	inner := text[1 : len(text)-1]
	if strings.IndexByte(inner, '\'') >= 0 {
		if strings.IndexByte(strings.ReplaceAll(inner, "''", ""), '\'') >= 0 {
			return false
		}
		inner = strings.ReplaceAll(inner, "''", "'")
	}
	r.doc.json = appendText(r.doc.json, inner)
	return true
}

// plain takes a scalar without quotes.
func (r *blockReader) plain(text string) bool {
	switch c := text[0]; {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
	case strings.IndexByte("_/.+~($", c) >= 0:
	case c == '-' && len(text) > 1 && text[1] != ' ':
	default:
		return false
	}
	for i := range len(text) {
		switch text[i] {
		case ':':
			if i+1 == len(text) || text[i+1] == ' ' {
				return false
			}
		case '#':
			if text[i-1] == ' ' {
				return false
			}
		}
	}
	value, kind, err := plain(text)
	if err != nil {
		return false
	}
	if kind == typeString {
		r.doc.json = appendText(r.doc.json, value)
	} else {
		r.doc.json = append(r.doc.json, value...)
	}
	return true
}

func (r *blockReader) doubleQuoted(text string) bool {
	if len(text) < 2 || text[len(text)-1] != '"' {
		return false
	}
	inner := text[1 : len(text)-1]
	if strings.IndexByte(inner, '"') < 0 && strings.IndexByte(inner, '\\') < 0 {
		r.doc.json = appendText(r.doc.json, inner)
		return true
	}
	r.scratch = r.scratch[:0]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c == '"' {
			return false
		}
		if c == '\\' {
			i++
			if i == len(inner) {
				return false
			}
			if c = unescape(inner[i]); c == 0 {
				return false
			}
		}
		r.scratch = append(r.scratch, c)
	}
	r.doc.json = appendText(r.doc.json, string(r.scratch))
	return true
}

// unescape returns 0 for escapes that are left to the parser.
func unescape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	}
	return 0
}

// literal takes the lines that are indented deeper than indent, the first of which sets how much of the
// indentation is not part of the text.
func (r *blockReader) literal(indent int, strip bool) bool {
	r.scratch = r.scratch[:0]
	own, blank := -1, 0
	for r.at < len(r.text) {
		start, line := r.at, r.line
		depth, content, ok := r.next()
		switch {
		case !ok:
			return false
		case content == "" && (own < 0 || depth > own):
			return false
		case content == "":
			blank++
			continue
		case depth <= indent:
			r.at, r.line = start, line
			return r.literalEnd(own, strip)
		case own < 0:
			own = depth
		case depth < own:
			return false
		}
		for range blank {
			r.scratch = append(r.scratch, '\n')
		}
		blank = 0
		// Blanks at the end of a line belong to the text.
		r.scratch = append(append(r.scratch, r.raw[own:]...), '\n')
	}
	return r.literalEnd(own, strip)
}

func (r *blockReader) literalEnd(own int, strip bool) bool {
	if own < 0 {
		return false
	}
	text := r.scratch
	if strip {
		text = text[:len(text)-1]
	}
	r.doc.json = appendText(r.doc.json, string(text))
	return true
}

func (r *blockReader) null(line int) {
	r.mark(line)
	r.doc.json = append(r.doc.json, "null"...)
}

func (r *blockReader) mark(line int) {
	r.doc.marks = append(r.doc.marks, mark{len(r.doc.json), line})
}
