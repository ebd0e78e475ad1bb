package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// joinPatch appends the operations that leave the marks on a pod to the JSON Patch of its injector, in place. The
// injector's operations stay as they are, byte for byte, and come first: it may add the maps of labels and annotations as
// a whole, and would take with them what was put there before. What is left to do depends on what its patch leaves
// behind, and p, which is the pod as it came, is updated to that.
//
// The result is empty where the injector changes nothing and the marks are there.
func (p *podReview) joinPatch(patch, body []byte, m marks) ([]byte, error) {
	if emptyPatch(patch) {
		return p.appendPatch(patch[:0], m), nil
	}
	s := scanner{data: patch}
	s.patch(p)
	if errors.Is(s.err, errDoubt) {
		// Well-formed or not is for the library to say, whose reading is the API server's.
		if err := p.afterPatch(patch, body); err != nil {
			return patch, err
		}
	} else if s.err != nil {
		return patch, fmt.Errorf("read its patch: %w", s.err)
	}
	return p.appendToPatch(patch, m), nil
}

// emptyPatch reports whether a patch changes nothing: it is not there, or has no operation.
func emptyPatch(patch []byte) bool {
	s := scanner{data: patch}
	switch s.peek() {
	case 0:
		return len(patch) == s.pos
	case 'n':
		s.literal("null")
	default:
		if !s.accept('[') || !s.accept(']') {
			return false
		}
	}
	s.end()
	return s.err == nil
}

// appendToPatch appends to a patch that is a list with at least one operation.
func (p *podReview) appendToPatch(patch []byte, m marks) []byte {
	end := bytes.LastIndexByte(patch, ']')
	joined := p.appendPatch(patch[:end], m)
	if len(joined) == end {
		return append(joined, ']')
	}
	joined[end] = ',' // in place of the bracket that begins a list
	return joined
}

// operation is one of a patch. Value and from are as they are written.
type operation struct{ op, path, from, value []byte }

// patch goes through a JSON Patch and notes in p what it does to labels and annotations. An operation whose effect on
// the two maps does not show at a glance is in doubt.
func (s *scanner) patch(p *podReview) {
	for range s.elements {
		var o operation
		if s.operation(&o); s.err == nil && !p.follow(o) {
			s.fail(errDoubt)
		}
	}
	s.end()
}

func (s *scanner) operation(o *operation) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "op":
			s.first(&keys, 0)
			s.text(&o.op)
		case "path":
			s.first(&keys, 1)
			s.text(&o.path)
		case "from":
			s.first(&keys, 2)
			s.text(&o.from)
		case "value":
			s.first(&keys, 3)
			o.value = s.raw()
		default:
			s.skip()
		}
	}
}

// follow notes what an operation does to labels and annotations, and reports whether it could tell.
func (p *podReview) follow(o operation) bool {
	switch string(o.op) {
	case "test":
		return true
	case "add", "replace", "remove":
		return p.set(o)
	case "copy":
		return elsewhere(o.path)
	case "move":
		return elsewhere(o.path) && elsewhere(o.from)
	}
	return false
}

const metadataPath = "/metadata"

// elsewhere: the pointer leads to a place outside of the metadata.
func elsewhere(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false // the whole pod, or no pointer
	}
	rest, ok := bytes.CutPrefix(path, []byte(metadataPath))
	return !ok || len(rest) > 0 && rest[0] != '/'
}

// set is follow for the operations that set or remove one value.
func (p *podReview) set(o operation) bool {
	if elsewhere(o.path) {
		return true
	}
	if !p.hasMetadata {
		return false
	}
	rest, ok := bytes.CutPrefix(o.path, []byte(metadataPath+"/"))
	if !ok {
		return false // the metadata as a whole
	}
	name, key, isKey := bytes.Cut(rest, []byte("/"))
	exists, field := &p.hasLabels, p.labelFor
	switch string(name) {
	case "labels":
	case "annotations":
		exists, field = &p.hasAnnotations, p.annotationFor
	default:
		return !bytes.ContainsRune(name, '~') // an escape may spell one of the two
	}
	if isKey {
		return *exists && p.setKey(o, key, field)
	}
	for _, mark := range p.own() {
		if mark.of == exists {
			*mark.member = member{}
		}
	}
	*exists = string(o.op) != "remove"
	return !*exists || setAll(o.value, field)
}

// setKey notes an operation on one key of a map that is there.
func (p *podReview) setKey(o operation, token []byte, field func([]byte) *member) bool {
	if bytes.IndexByte(token, '/') >= 0 {
		return false
	}
	var unescaped [64]byte // longer keys are none of the router's, and keys are all that is looked for
	key := unescaped[:0]
	for i := 0; i < len(token) && len(key) < cap(unescaped); i++ {
		c := token[i]
		if c == '~' && i+1 < len(token) {
			i++
			if c = '~'; token[i] == '1' {
				c = '/'
			}
		}
		key = append(key, c)
	}
	if m := field(key); m != nil {
		*m = member{present: string(o.op) != "remove"}
	}
	return true
}

// setAll notes a map that is set as a whole.
func setAll(value []byte, field func([]byte) *member) bool {
	s := scanner{data: value}
	for key := range s.fields {
		if s.peek() != '"' {
			s.fail(errDoubt)
			continue
		}
		s.str()
		if m := field(key); m != nil {
			*m = member{present: true} // with a value that is not the one wanted, for all that is known
		}
	}
	return s.err == nil
}

// owned is a key of the router's, and whether the map that it is in exists.
type owned struct {
	of     *bool
	member *member
}

func (p *podReview) own() [5]owned {
	return [...]owned{
		{&p.hasLabels, &p.routedRevision},
		{&p.hasLabels, &p.routedVersion},
		{&p.hasAnnotations, &p.routedReason},
		{&p.hasAnnotations, &p.routedTag},
		{&p.hasAnnotations, &p.routedFollowed},
	}
}

// maxCopied bounds what operations of the kind copy may make of a patch.
const maxCopied = maxBody

// afterPatch applies a patch to the pod, and notes what the pod looks like then. It is for patches that no istiod
// makes, where being right counts and speed does not.
func (p *podReview) afterPatch(patch, body []byte) error {
	var review struct {
		Request struct {
			Object json.RawMessage `json:"object"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &review); err != nil {
		return fmt.Errorf("read the pod again: %w", err)
	}
	list, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return fmt.Errorf("read its patch: %w", err)
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxCopied
	patched, err := list.ApplyWithOptions(review.Request.Object, options)
	if err != nil {
		return fmt.Errorf("its patch does not fit the pod: %w", err)
	}
	var after struct {
		Metadata *struct {
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(patched, &after); err != nil {
		return fmt.Errorf("its patch makes no pod: %w", err)
	}
	for _, mark := range p.own() {
		*mark.member = member{}
	}
	p.hasMetadata, p.hasLabels, p.hasAnnotations = after.Metadata != nil, false, false
	if after.Metadata == nil {
		return nil
	}
	p.hasLabels, p.hasAnnotations = after.Metadata.Labels != nil, after.Metadata.Annotations != nil
	take(after.Metadata.Labels, p.labelFor)
	take(after.Metadata.Annotations, p.annotationFor)
	return nil
}

func take(values map[string]string, field func([]byte) *member) {
	for key, value := range values {
		if m := field([]byte(key)); m != nil {
			*m = member{value: []byte(value), present: true}
		}
	}
}
