package manifest

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
)

// youngest is the creation time of objects that are yet to be created: younger than anything there is, since the
// older one of two objects with the same name wins.
const youngest = 1 << 39

// Find returns the object of the set with the same group, kind, namespace and name, nil where there is none.
func (s *Set) Find(o *Object) *Object {
	if i, found := slices.BinarySearchFunc(s.Objects, o, findObject); found {
		return &s.Objects[i]
	}
	return nil
}

func findObject(have Object, o *Object) int { return compareIdentity(&have, o) }

// Written gives the object what an API server would not take from the one who writes it: the status is that of the
// object so far, and none where the object is new; the generation counts the changes of its spec. It changes o and
// not the set, in which it finds what there is so far; nil where o is new.
func (s *Set) Written(o *Object) (old *Object) {
	if old = s.Find(o); o.generated {
		old = nil // every write makes another one
	}
	s.written++
	meta, ok := o.Value.(metav1.Object)
	if !ok {
		return old
	}
	if old == nil || old.Value == nil {
		meta.SetUID("")
		meta.SetCreationTimestamp(metav1.Unix(youngest+s.written, 0))
		meta.SetDeletionTimestamp(nil)
	} else {
		before, ok := old.Value.(metav1.Object)
		if !ok {
			return old // the kind is the same, and so the type
		}
		meta.SetUID(before.GetUID())
		meta.SetCreationTimestamp(before.GetCreationTimestamp())
		meta.SetDeletionTimestamp(before.GetDeletionTimestamp())
		if len(meta.GetOwnerReferences()) == 0 {
			// What a controller added is in nobody's manifest, and stays.
			meta.SetOwnerReferences(before.GetOwnerReferences())
		}
	}
	keepStatus(o, old)
	return old
}

// keepStatus sets what Sail's kinds read of their status and generation.
func keepStatus(o, old *Object) {
	switch v := o.Value.(type) {
	case *sail.Istio:
		was := valueOf[sail.Istio](old)
		v.Status = was.Status
		//nolint:govet // what could not be read of the values is part of what differs
		v.Generation = generation(was.Generation, !reflect.DeepEqual(v.Spec, was.Spec))
	case *sail.IstioRevision:
		was := valueOf[sail.IstioRevision](old)
		v.Status = was.Status
		//nolint:govet // as above
		v.Generation = generation(was.Generation, !reflect.DeepEqual(v.Spec, was.Spec))
	case *sail.IstioRevisionTag:
		v.Status = valueOf[sail.IstioRevisionTag](old).Status
	}
}

func generation(before int64, changed bool) int64 {
	if changed {
		return before + 1
	}
	return before
}

// valueOf is the value of the object, and an empty one where there is no object.
func valueOf[T any](o *Object) *T {
	if o != nil {
		if v, ok := o.Value.(*T); ok {
			return v
		}
	}
	return new(T)
}

// Put adds the object to the set, in place of the one so far. Pods, Deployments and DaemonSets are what runs, which
// no write changes at once: [Set.SkewMesh] stays as it is.
func (s *Set) Put(o Object) {
	i, found := slices.BinarySearchFunc(s.Objects, &o, findObject)
	if found && !o.generated {
		s.Objects[i] = o
		return
	}
	s.Objects = slices.Insert(s.Objects, i, o)
}

// Remove takes the object out of the set, and with a namespace what is in it. Pods stay, as in [Set.Put].
func (s *Set) Remove(o *Object) {
	gone := *o // o may be the set's own
	if i, found := slices.BinarySearchFunc(s.Objects, o, findObject); found {
		s.Objects = slices.Delete(s.Objects, i, i+1)
	}
	if gone.Group == "" && gone.Kind == "Namespace" {
		s.Objects = slices.DeleteFunc(s.Objects, func(in Object) bool { return in.Namespace == gone.Name })
	}
}
