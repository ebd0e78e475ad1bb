package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	// maxAliased bounds the text that aliases and merges of one document may unfold to, so that a few lines of
	// nested aliases cannot fill the memory. Real manifests repeat a few kilobytes.
	maxAliased = 10 << 20
	// maxMerged bounds the keys that merges of one document may bring in, for the same reason.
	maxMerged = 100_000
)

// mark says that what stands in the JSON from offset on came from that line.
type mark struct{ offset, line int }

// yamlError is a mistake together with its line in the text that was given.
type yamlError struct {
	line int
	text string
}

func (e *yamlError) Error() string { return e.text }

// yamlDocument is the JSON of one YAML document.
type yamlDocument struct {
	json  []byte
	marks []mark
	// keys are those that a mapping has twice, with the line of the second, which is the one that counts.
	keys     []string
	repeated []int
}

// yamlReader turns YAML documents into JSON, as kubectl does before anything else.
type yamlReader struct {
	data   []byte
	loader *yaml.Loader
}

func newYAMLReader(data []byte) (*yamlReader, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithV3Defaults())
	if err != nil {
		return nil, fmt.Errorf("preparing to read YAML: %w", err)
	}
	return &yamlReader{data: data, loader: loader}, nil
}

// next returns the next document that is not empty, or io.EOF.
func (r *yamlReader) next() (*yamlDocument, error) {
	for {
		var root yaml.Node
		err := r.loader.Load(&root)
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, r.locate(err)
		}
		top := &root
		if root.Kind == yaml.DocumentNode {
			if len(root.Content) == 0 {
				continue
			}
			top = root.Content[0]
		}
		if top.Kind == 0 || top.Kind == yaml.ScalarNode && isNull(top) {
			continue
		}
		if top.Kind != yaml.MappingNode && top.Kind != yaml.SequenceNode {
			return nil, &yamlError{top.Line, "this is text, not an object"}
		}
		c := converter{active: map[*yaml.Node]bool{}}
		if err := c.node(top); err != nil {
			return nil, err
		}
		return &c.doc, nil
	}
}

func (r *yamlReader) locate(err error) error {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		return &yamlError{1, err.Error()}
	}
	if at.Mark.Line == 0 {
		// The stage that decodes characters knows no lines.
		return &yamlError{unreadableLine(r.data), at.Message}
	}
	return &yamlError{at.Mark.Line, at.Message}
}

// unreadableLine is the line of the first byte that is no UTF-8, or no character that YAML allows.
func unreadableLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		control := c < ' ' && c != '\t' && c != '\n' && c != '\r'
		if c == utf8.RuneError && size == 1 || control || c >= 0x7f && c < 0xa0 && c != 0x85 {
			return line
		}
		if c == '\n' {
			line++
		}
		data = data[size:]
	}
	return 1
}

func isNull(n *yaml.Node) bool {
	_, kind, err := scalar(n)
	return err == nil && kind == typeNull
}

// converter writes the JSON of one document.
type converter struct {
	doc     yamlDocument
	active  map[*yaml.Node]bool
	aliased int
	merged  int
}

func (c *converter) node(n *yaml.Node) error {
	c.doc.marks = append(c.doc.marks, mark{len(c.doc.json), n.Line})
	switch n.Kind {
	case yaml.ScalarNode:
		out, err := appendScalar(c.doc.json, n)
		if err != nil {
			return &yamlError{n.Line, err.Error()}
		}
		c.doc.json = out
		return nil
	case yaml.SequenceNode:
		return c.sequence(n)
	case yaml.MappingNode:
		return c.mapping(n)
	case yaml.AliasNode:
		return c.alias(n)
	default:
		return &yamlError{n.Line, "this is no value"}
	}
}

func (c *converter) sequence(n *yaml.Node) error {
	c.doc.json = append(c.doc.json, '[')
	for i, item := range n.Content {
		if i > 0 {
			c.doc.json = append(c.doc.json, ',')
		}
		if err := c.node(item); err != nil {
			return err
		}
	}
	c.doc.json = append(c.doc.json, ']')
	return nil
}

func (c *converter) alias(n *yaml.Node) error {
	if c.active[n.Alias] {
		return &yamlError{n.Line, "the anchor " + n.Value + " contains itself"}
	}
	c.active[n.Alias] = true
	start := len(c.doc.json)
	if err := c.node(n.Alias); err != nil {
		return err
	}
	delete(c.active, n.Alias)
	return c.unfolded(n, len(c.doc.json)-start)
}

func (c *converter) unfolded(n *yaml.Node, size int) error {
	if c.aliased += size; c.aliased > maxAliased {
		return &yamlError{n.Line, fmt.Sprintf("the aliases of this document unfold to more than %d MiB", maxAliased>>20)}
	}
	return nil
}
