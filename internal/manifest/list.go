package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// longList is from where a document is worth cutting into the items of its list, for speed and because a
	// parsed YAML document takes some twenty times its size in memory.
	longList = 256 << 10
	// partSize is about how much of a list is parsed at once.
	partSize = 64 << 10
	// maxWholeYAML bounds a YAML document that is parsed in one piece. An object cannot be larger than 1.5 MiB
	// (etcd's limit), so that only a list can come near.
	maxWholeYAML = 32 << 20
)

// tooLongYAML is for lists that are written so unusually that their items cannot be told apart by lines.
const tooLongYAML = "a YAML document of more than 32 MiB that is no list of items as kubectl prints it: split it, or use JSON"

// listParts is a list, cut into runs of items.
type listParts struct {
	own   typeMeta
	units []unit
}

// cutList returns false where the unit is no list, or not written so that its items can be told apart safely.
func cutList(u unit) (*listParts, bool) {
	if u.json {
		return cutJSON(u)
	}
	return cutYAML(u)
}

// cutJSON cuts at the commas between the items; the pieces are lists of their own without brackets.
func cutJSON(u unit) (*listParts, bool) {
	var h head
	s := scanner{data: u.data}
	if !s.members(h.visit) || s.next() != 0 || !h.items.present() || u.data[h.items.start] != '[' {
		return nil, false
	}
	parts := &listParts{own: h.plainType(u.data)}
	if !strings.HasSuffix(parts.own.kind, "List") || parts.own.apiVersion == "" || !validAround(u.data, h.items.start) {
		return nil, false
	}
	line, counted := u.line, 0
	run := span{}
	flush := func() {
		line += bytes.Count(u.data[counted:run.start], []byte{'\n'})
		counted = run.start
		parts.units = append(parts.units, unit{line: line, data: run.of(u.data), json: true})
		run = span{}
	}
	s = scanner{data: u.data[:h.items.end], at: h.items.start}
	ok := s.elements(func(v span) bool {
		if !run.present() {
			run = v
		}
		if run.end = v.end; run.end-run.start >= partSize {
			flush()
		}
		return true
	})
	if run.present() {
		flush()
	}
	return parts, ok
}

func (h *head) plainType(data []byte) typeMeta {
	var out typeMeta
	if h.kind.present() && h.apiVersion.present() &&
		unmarshal(h.kind.of(data), &out.kind) == nil && unmarshal(h.apiVersion.of(data), &out.apiVersion) == nil {
		return out
	}
	return typeMeta{}
}

// cutYAML cuts a list in block style into runs of items, each of which is a sequence of its own. In block style
// an item begins where a line has the indentation of the first item and a dash, and ends where another line is
// indented no deeper: whatever is inside of an item is indented more. The exceptions are quoted text and flow
// collections whose lines are indented less than YAML allows, which the parser lets pass: a run that ends inside
// of one does not parse. So do aliases to another item. The whole document is then parsed in one piece.
func cutYAML(u unit) (*listParts, bool) {
	start, indent := firstItem(u.data)
	if start < 0 {
		return nil, false
	}
	parts := &listParts{}
	dash := append(bytes.Repeat([]byte{' '}, indent), '-')
	line := u.line + bytes.Count(u.data[:start], []byte{'\n'})
	at, begun, begunLine := start, start, line
	for at < len(u.data) {
		text := lineAt(u.data, at)
		isItem := bytes.HasPrefix(text, dash) && isMarker("-", text[indent:])
		if !isItem && !deeper(text, indent) {
			break
		}
		if isItem && at-begun >= partSize {
			parts.units = append(parts.units, unit{line: begunLine, data: u.data[begun:at]})
			begun, begunLine = at, line
		}
		at += len(text)
		line++
	}
	parts.units = append(parts.units, unit{line: begunLine, data: u.data[begun:at]})
	own, ok := yamlHead(u.data[:start], u.data[at:])
	parts.own = own
	return parts, ok
}

// firstItem finds where the items of a top-level list begin, and how far they are indented.
func firstItem(data []byte) (start, indent int) {
	const key = "items:"
	at := 0
	if !bytes.HasPrefix(data, []byte(key)) {
		if at = bytes.Index(data, []byte("\n"+key)) + 1; at == 0 {
			return -1, 0
		}
	}
	text := lineAt(data, at)
	if rest := bytes.TrimSpace(text[len(key):]); len(rest) > 0 && rest[0] != '#' {
		return -1, 0
	}
	for at += len(text); at < len(data); at += len(text) {
		text = lineAt(data, at)
		content := bytes.TrimLeft(text, " ")
		if rest := bytes.TrimSpace(content); len(rest) == 0 || rest[0] == '#' {
			continue
		}
		if !isMarker("-", content) {
			return -1, 0
		}
		return at, len(text) - len(content)
	}
	return -1, 0
}

// lineAt returns the line that begins there, with its end.
func lineAt(data []byte, at int) []byte {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return data[at : at+i+1]
	}
	return data[at:]
}

// deeper reports whether the line is blank, a comment, or indented deeper.
func deeper(text []byte, indent int) bool {
	content := bytes.TrimLeft(text, " ")
	rest := bytes.TrimSpace(content)
	return len(rest) == 0 || rest[0] == '#' || len(text)-len(content) > indent
}

// yamlHead reads what stands before and behind the items. It returns false where that is no list by itself.
func yamlHead(before, behind []byte) (typeMeta, bool) {
	r, err := newYAMLReader(append(bytes.Clone(before), behind...))
	if err != nil {
		return typeMeta{}, false
	}
	doc, err := r.next()
	if err != nil {
		return typeMeta{}, false
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return typeMeta{}, false
	}
	var h head
	s := scanner{data: doc.json}
	if !s.members(h.visit) || string(h.items.of(doc.json)) != "null" || len(doc.keys) > 0 {
		return typeMeta{}, false
	}
	own := h.plainType(doc.json)
	return own, strings.HasSuffix(own.kind, "List") && own.apiVersion != ""
}

// job decodes one unit.
func (d *decoder) job(j job) {
	if !j.unit.json {
		d.yaml(j)
		return
	}
	d.src = &source{file: j.file, order: j.order, line: j.unit.line, data: j.unit.data}
	if j.list != nil {
		d.items(j)
		return
	}
	d.badJSON = false
	d.stream()
	if !d.badJSON {
		return
	}
	// What begins like JSON may be YAML in flow style. If that is not right either, what the JSON decoder said is
	// the better message.
	asJSON := d.out
	d.out = result{}
	if d.yaml(j); len(d.out.errs) > 0 {
		d.out = asJSON
	}
}

// items decodes a run of items of a JSON list.
func (d *decoder) items(j job) {
	s := scanner{data: j.unit.data}
	for {
		v, ok := s.value()
		if !ok {
			return
		}
		d.item(v, inheritedFrom(j.list.own), 0)
		if s.next() != ',' {
			return
		}
		s.at++
	}
}

// yaml decodes the documents of a unit, or a run of items of a YAML list.
func (d *decoder) yaml(j job) {
	if doc := d.block.read(j.unit.data); doc != nil {
		d.document(j, doc)
		return
	}
	r, err := newYAMLReader(j.unit.data)
	for err == nil {
		var doc *yamlDocument
		if doc, err = r.next(); err != nil {
			break
		}
		d.document(j, doc)
	}
	var at *yamlError
	switch {
	case errors.As(err, &at):
		d.out.badYAML = true
		d.out.errs = append(d.out.errs, &Error{
			File: j.file, Line: j.unit.line + at.line - 1, Text: "malformed YAML: " + printable(at.text), order: j.order,
		})
	case !errors.Is(err, io.EOF):
		d.out.badYAML = true
		d.out.errs = append(d.out.errs, &Error{File: j.file, Line: j.unit.line, Text: err.Error(), order: j.order})
	}
}

func (d *decoder) document(j job, doc *yamlDocument) {
	d.src = &source{file: j.file, order: j.order, line: j.unit.line, data: doc.json, marks: doc.marks}
	if d.fields != nil {
		d.src.origin = sourceOf(j.unit.data)
	}
	for i, key := range doc.keys {
		d.out.warnings = append(d.out.warnings, note{j.order, fmt.Sprintf(
			"%s:%d: %s is given twice; as with kubectl, the last one counts",
			j.file, j.unit.line+doc.repeated[i]-1, printable(key))})
	}
	whole := span{0, len(doc.json)}
	switch {
	case j.list != nil && doc.json[0] == '[':
		s := scanner{data: doc.json}
		s.elements(func(v span) bool { return d.item(v, inheritedFrom(j.list.own), 0) })
	case doc.json[0] == '{':
		d.object(whole, typeMeta{}, 0)
	default:
		d.fail(0, "want an object, not "+describe(doc.json))
	}
}
