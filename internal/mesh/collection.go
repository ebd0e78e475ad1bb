package mesh

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// counts is what counts of one object.
type counts[T any] struct {
	value T
	// kept is false for an object that means nothing to the mesh.
	kept bool
	// problem tells what of the object could not be read; the value holds the rest.
	problem error
}

// item is what an object became.
type item struct {
	key     string
	value   any
	kept    bool
	problem error
}

// alreadyRead tells what was converted before it came to a store: by the reflector, from a stream, or by a [pagedClient],
// whose list hands out pointers.
func alreadyRead(object any) (item, bool) {
	switch o := object.(type) {
	case item:
		return o, true
	case *item:
		return *o, true
	}
	return item{}, false
}

// objects is a collection whose type of value does not matter.
type objects interface {
	// read is called without a lock, the others with the lock of the source. Those that change the collection tell
	// whether they did.
	read(object any) (item, error)
	set(i item) bool
	remove(key string) bool
	replace(items []item) bool
	size() int
}

// collection keeps what counts of each object of a kind, by namespace and name.
type collection[T any] struct {
	convert func(object any) (counts[T], error)
	values  map[string]T
}

// newCollection makes the collection of a kind from the function that tells what counts of an object.
func newCollection[O runtime.Object, T any](convert func(O) counts[T]) *collection[T] {
	return &collection[T]{
		values: map[string]T{},
		convert: func(object any) (counts[T], error) {
			o, ok := object.(O)
			if !ok {
				return counts[T]{}, fmt.Errorf("read an object: got %T, want %T", object, o)
			}
			return convert(o), nil
		},
	}
}

func (c *collection[T]) read(object any) (item, error) {
	if i, ok := alreadyRead(object); ok {
		return i, nil
	}
	m, err := meta.Accessor(object)
	if err != nil {
		return item{}, fmt.Errorf("read an object: %w", err)
	}
	counted, err := c.convert(object)
	if err != nil {
		return item{}, err
	}
	key := m.GetName()
	if namespace := m.GetNamespace(); namespace != "" {
		key = namespace + "/" + key
	}
	return item{key: key, value: counted.value, kept: counted.kept, problem: counted.problem}, nil
}

func (c *collection[T]) set(i item) bool {
	if !i.kept {
		return c.remove(i.key)
	}
	value, ok := i.value.(T)
	if !ok {
		return false // it was not read by this collection
	}
	if old, known := c.values[i.key]; known && reflect.DeepEqual(old, value) {
		return false
	}
	c.values[i.key] = value
	return true
}

func (c *collection[T]) remove(key string) bool {
	_, ok := c.values[key]
	delete(c.values, key)
	return ok
}

func (c *collection[T]) replace(items []item) bool {
	kept := make(map[string]struct{}, len(items))
	changed := false
	for _, i := range items {
		if i.kept {
			kept[i.key] = struct{}{}
			changed = c.set(i) || changed
		}
	}
	for key := range c.values {
		if _, ok := kept[key]; !ok {
			changed = c.remove(key) || changed
		}
	}
	return changed
}

func (c *collection[T]) size() int { return len(c.values) }
