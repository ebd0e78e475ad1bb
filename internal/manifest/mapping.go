package manifest

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// smallMapping is up to where a key is found faster by looking at all than through a map.
const smallMapping = 24

func (c *converter) mapping(n *yaml.Node) error {
	start, before := len(c.doc.json), c.merged
	fields := fields{list: make([]field, 0, len(n.Content)/2)}
	if err := c.collect(n, &fields, false); err != nil {
		return err
	}
	merges := c.merged > before
	c.doc.json = append(c.doc.json, '{')
	for i, f := range fields.list {
		if i > 0 {
			c.doc.json = append(c.doc.json, ',')
		}
		c.doc.json = append(appendText(c.doc.json, f.key), ':')
		if err := c.node(f.value); err != nil {
			return err
		}
	}
	c.doc.json = append(c.doc.json, '}')
	if merges {
		return c.unfolded(n, len(c.doc.json)-start)
	}
	return nil
}

// collect gathers the fields of a mapping. A later one replaces an earlier one of the same key, and a merge
// (<<) counts where it stands, both as in kubectl.
func (c *converter) collect(n *yaml.Node, to *fields, merging bool) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			if err := c.merge(value, to); err != nil {
				return err
			}
			continue
		}
		name, err := keyOf(key)
		if err != nil {
			return err
		}
		if merging {
			if c.merged++; c.merged > maxMerged {
				return &yamlError{key.Line, "this document merges too many keys"}
			}
		}
		if to.set(name, value) && !merging {
			c.doc.repeated = append(c.doc.repeated, key.Line)
			c.doc.keys = append(c.doc.keys, name)
		}
	}
	return nil
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Style&quotedStyles == 0
}

// merge brings in the fields of one mapping, or of several, of which the first counts most.
func (c *converter) merge(value *yaml.Node, to *fields) error {
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		sources = value.Content
	}
	for _, source := range slices.Backward(sources) {
		line := source.Line
		if source.Kind == yaml.AliasNode {
			source = source.Alias
		}
		if source.Kind != yaml.MappingNode {
			return &yamlError{line, "only mappings can be merged"}
		}
		if c.active[source] {
			return &yamlError{line, "a mapping is merged into itself"}
		}
		c.active[source] = true
		c.merged++
		if err := c.collect(source, to, true); err != nil {
			return err
		}
		delete(c.active, source)
	}
	return nil
}

// keyOf returns the key as JSON has it: all keys are strings there, and true or 1 become "true" and "1".
func keyOf(n *yaml.Node) (string, error) {
	line := n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", &yamlError{line, "a key must be text"}
	}
	text, kind, err := scalar(n)
	if err != nil {
		return "", &yamlError{line, err.Error()}
	}
	switch {
	case kind == typeNull:
		return "", &yamlError{line, "a key must not be null"}
	case kind == typeNumber && strings.ContainsAny(text, ".e"):
		// kubectl writes such keys with the digits of a float32.
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", &yamlError{line, err.Error()}
		}
		return strconv.FormatFloat(f, 'g', -1, 32), nil
	}
	return text, nil
}

type field struct {
	key   string
	value *yaml.Node
}

// fields are those of one mapping, in the order in which the keys first came.
type fields struct {
	list []field
	// at is the position of every key, once there are many.
	at map[string]int
}

// set reports whether the key was there before.
func (f *fields) set(key string, value *yaml.Node) bool {
	if i := f.find(key); i >= 0 {
		f.list[i].value = value
		return true
	}
	if f.at != nil {
		f.at[key] = len(f.list)
	}
	f.list = append(f.list, field{key, value})
	return false
}

func (f *fields) find(key string) int {
	if len(f.list) < smallMapping {
		return slices.IndexFunc(f.list, func(other field) bool { return other.key == key })
	}
	if f.at == nil {
		f.at = make(map[string]int, 2*len(f.list))
		for i, other := range f.list {
			f.at[other.key] = i
		}
	}
	if i, ok := f.at[key]; ok {
		return i
	}
	return -1
}
