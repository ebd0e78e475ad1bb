package manifest

import (
	"cmp"
	"iter"
	"slices"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
)

// Object is one object that was read.
type Object struct {
	// Group and Kind as in apiVersion and kind, without the version.
	Group, Kind string
	// Namespace is empty for kinds that have none. Name ends in * where the API server is to generate it.
	Namespace, Name string
	// File and Line are where the object begins.
	File string
	Line int
	// Origin is the file that a tool made the object of. It is empty without [Options.Fields].
	Origin Origin
	// Value is what was decoded: *Workload, *Gateway, routing.Namespace, or a type of package sail; for the skew rules
	// also the types of package inventory, and nil where nothing of the object matters. Use [All].
	Value any

	order, index int
	generated    bool
	fields       []fieldLine
}

// Set is everything that was read.
type Set struct {
	// Mesh is what the revisions, tags, injector configurations and namespaces of the set amount to; nil where the
	// set was read [ForSkew], for which there is [Set.SkewMesh].
	Mesh *routing.Mesh
	// Objects are in order of namespace, kind and name.
	Objects []Object
	// Warnings are lines about what was read but is probably not meant, each with its file.
	Warnings []string

	purpose Purpose
	// pods is what the pods, Deployments and DaemonSets of a set read ForSkew amount to.
	pods inventory.Parts
	// written counts the calls of [Set.Written].
	written int64
}

// All returns the objects whose value is of type T, in the order of [Set.Objects].
func All[T any](s *Set) iter.Seq2[*Object, T] {
	return func(yield func(*Object, T) bool) {
		for i := range s.Objects {
			if v, ok := s.Objects[i].Value.(T); ok && !yield(&s.Objects[i], v) {
				return
			}
		}
	}
}

// arrange sorts the objects and keeps the last of those that are the same, as if they had been applied one after
// the other. Objects whose name is generated are never the same.
func arrange(objects []Object) []Object {
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(compareIdentity(&a, &b), cmp.Compare(a.order, b.order), cmp.Compare(a.index, b.index))
	})
	kept := objects[:0]
	for i := range objects {
		o := &objects[i]
		if last := len(kept) - 1; last >= 0 && !o.generated && compareIdentity(o, &kept[last]) == 0 {
			kept[last] = *o
			continue
		}
		kept = append(kept, *o)
	}
	clear(objects[len(kept):])
	return kept
}

func compareIdentity(a, b *Object) int {
	return cmp.Or(
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Group, b.Group),
	)
}
