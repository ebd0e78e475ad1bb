package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/revision-router/revision-router/routing"
)

const (
	// maxListDepth bounds lists within lists. kubectl makes none; two happen when lists are put together by hand.
	maxListDepth = 8
	// maxInterned bounds the table of label keys and values of one worker.
	maxInterned = 1 << 16
)

// source is a text of JSON values that knows its lines.
type source struct {
	file  string
	order int
	// line of the first byte. Where the text was made from YAML, marks tell how many lines further down a value is.
	line  int
	data  []byte
	marks []mark
	// origin is the file that the text was rendered from, where it says so.
	origin Origin
}

func (s *source) lineAt(offset int) int {
	offset = min(max(offset, 0), len(s.data))
	if s.marks == nil {
		return s.line + bytes.Count(s.data[:offset], []byte{'\n'})
	}
	i, found := slices.BinarySearchFunc(s.marks, offset, func(m mark, offset int) int {
		return cmp.Compare(m.offset, offset)
	})
	if !found {
		i = max(i-1, 0)
	}
	return s.line + s.marks[i].line - 1
}

// decoder makes objects of JSON values. It belongs to one worker.
type decoder struct {
	kinds map[groupKind]kind
	// others: objects of other kinds are kept as well, by their name.
	others    bool
	namespace string
	// precedence flags namespaces.
	precedence routing.Precedence
	interned   map[string]string
	block      blockReader
	// fields is nil where nobody asks for the lines of fields.
	fields *fieldFinder

	src *source
	out result
	// badJSON: something in the source was no JSON at all.
	badJSON bool
}

// result is what a text held.
type result struct {
	objects  []Object
	errs     []*Error
	warnings []note
	// badYAML: the text was no YAML at all.
	badYAML bool
}

// note is a warning with its place in the order of reading.
type note struct {
	order int
	text  string
}

// typeMeta is what an object says it is. Items of lists may leave it to the list.
type typeMeta struct{ apiVersion, kind string }

func (d *decoder) fail(offset int, text string) {
	d.out.errs = append(d.out.errs, &Error{
		File: d.src.file, Line: d.src.lineAt(offset), Text: printable(text), order: d.src.order,
	})
}

// stream decodes all values of the source, one behind the other, as kubectl does.
func (d *decoder) stream() {
	s := scanner{data: d.src.data}
	for s.next() != 0 {
		start := s.at
		v, ok := s.value()
		if !ok {
			d.malformed(span{start, len(s.data)})
			return
		}
		if s.data[v.start] != '{' {
			d.fail(v.start, "want an object that begins with {, not "+describe(v.of(s.data)))
			return
		}
		d.object(v, typeMeta{}, 0)
	}
}

// head is what stands at the top of an object.
type head struct{ apiVersion, kind, items span }

func (d *decoder) object(v span, inherited typeMeta, depth int) {
	raw := v.of(d.src.data)
	s := scanner{data: raw}
	var h head
	if !s.members(h.visit) {
		d.malformed(v)
		return
	}
	h.shift(v.start)
	own, ok := d.typeOf(h, v, inherited)
	if !ok {
		return
	}
	if strings.HasSuffix(own.kind, "List") && h.items.present() && d.src.data[h.items.start] == '[' {
		if !validAround(raw, h.items.start-v.start) {
			d.malformed(v)
			return
		}
		d.list(h.items, own, depth)
		return
	}
	k, known := d.kinds[groupKind{groupOf(own.apiVersion), own.kind}]
	if !known && !json.Valid(raw) {
		d.malformed(v)
		return
	}
	switch {
	case known:
		d.known(k, v)
	case d.others:
		d.known(kind{group: groupOf(own.apiVersion), name: own.kind, scope: unknownScope, decode: decodeName}, v)
	}
}

func (h *head) visit(key []byte, value span) {
	switch string(key) {
	case `"apiVersion"`:
		h.apiVersion = value
	case `"kind"`:
		h.kind = value
	case `"items"`:
		h.items = value
	}
}

// shift moves the spans from the object's text to the whole text.
func (h *head) shift(by int) {
	for _, s := range []*span{&h.apiVersion, &h.kind, &h.items} {
		if s.present() {
			s.start += by
			s.end += by
		}
	}
}

func (d *decoder) typeOf(h head, v span, inherited typeMeta) (typeMeta, bool) {
	own := inherited
	for _, part := range []struct {
		name string
		at   span
		to   *string
	}{{"kind", h.kind, &own.kind}, {"apiVersion", h.apiVersion, &own.apiVersion}} {
		if part.at.present() {
			var text string
			if err := unmarshal(part.at.of(d.src.data), &text); err != nil {
				d.fail(part.at.start, part.name+" must be a string")
				return own, false
			}
			*part.to = text
		}
		if *part.to == "" {
			d.fail(v.start, part.name+" is missing")
			return own, false
		}
	}
	return own, true
}

func (d *decoder) list(items span, own typeMeta, depth int) {
	if depth >= maxListDepth {
		d.fail(items.start, fmt.Sprintf("lists are nested more than %d deep", maxListDepth))
		return
	}
	s := scanner{data: d.src.data[:items.end], at: items.start}
	if !s.elements(func(v span) bool { return d.item(v, inheritedFrom(own), depth) }) {
		d.malformed(items)
	}
}

// validAround reports whether everything in an object is JSON, apart from the value at the offset.
func validAround(raw []byte, except int) bool {
	valid := true
	s := scanner{data: raw}
	whole := s.members(func(key []byte, value span) {
		valid = valid && json.Valid(key) && (value.start == except || json.Valid(value.of(raw)))
	})
	return whole && valid
}

// inheritedFrom is the type of a list's items where they do not say it: a PodList of the API server holds pods.
func inheritedFrom(list typeMeta) typeMeta {
	if list.kind == "List" {
		return typeMeta{}
	}
	return typeMeta{list.apiVersion, strings.TrimSuffix(list.kind, "List")}
}

func (d *decoder) item(v span, inherited typeMeta, depth int) bool {
	if d.src.data[v.start] != '{' {
		d.fail(v.start, "the items of a list must be objects, not "+describe(v.of(d.src.data)))
		return true
	}
	d.object(v, inherited, depth+1)
	return true
}

func (d *decoder) known(k kind, v span) {
	id, value, err := k.decode(d, v.of(d.src.data))
	if err != nil {
		d.explain(k, v, err)
		return
	}
	o := Object{
		Group: k.group, Kind: k.name, Name: id.name, File: d.src.file, Line: d.src.lineAt(v.start), Value: value,
		order: d.src.order, index: len(d.out.objects),
	}
	if id.name == "" {
		if id.generateName == "" {
			d.fail(v.start, "metadata.name is missing")
			return
		}
		o.Name, o.generated = id.generateName+"*", true
	}
	switch k.scope {
	case namespaced:
		o.Namespace = d.namespaceOf(id)
		if meta, ok := value.(metav1.Object); ok {
			meta.SetNamespace(o.Namespace)
		}
	case unknownScope:
		o.Namespace = id.namespace
	case clusterWide:
	}
	if d.fields != nil {
		d.locate(&o, v)
	}
	d.out.objects = append(d.out.objects, o)
}

func (d *decoder) namespaceOf(id identity) string {
	if id.namespace == "" {
		return d.namespace
	}
	return d.intern(id.namespace)
}

// malformed reports a value that is no JSON, in the words of the JSON decoder.
func (d *decoder) malformed(v span) {
	d.badJSON = true
	var none struct{}
	err := unmarshal(v.of(d.src.data), &none)
	if isSyntax, offset := kjson.SyntaxErrorOffset(err); isSyntax {
		// The offset is behind the byte that is wrong.
		d.fail(v.start+int(offset)-1, "malformed JSON: "+err.Error())
		return
	}
	d.fail(v.start, "malformed JSON")
}

// explain reports an object that does not fit its kind, at the line of the value that does not.
func (d *decoder) explain(k kind, v span, err error) {
	var wrong *json.UnmarshalTypeError
	isSyntax, _ := kjson.SyntaxErrorOffset(err)
	switch {
	case isSyntax:
		d.malformed(v)
	case errors.As(err, &wrong):
		offset := int(wrong.Offset) - 1
		path := pathTo(v.of(d.src.data), offset)
		d.fail(v.start+offset, mismatch(path, wrong))
	default:
		d.fail(v.start, k.name+": "+err.Error())
	}
}
