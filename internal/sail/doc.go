// Package sail reads the objects that name Istio's revisions: those of the Sail Operator (sailoperator.io/v1) and
// the injector webhook configurations of plain Istio, and turns them into the types of package routing.
//
// The Go types here are the router's own and hold only the fields that it reads. The Sail Operator's module is not
// used: it brings Helm and all of Istio's generated values along, and its typed spec.values would lose a whole
// object over one value of an unexpected type. Everything is pure: bytes or objects in, values out. Package
// internal/mesh feeds it from watches, the offline commands from files, and both reach the same answer through
// [Inventory].
package sail
