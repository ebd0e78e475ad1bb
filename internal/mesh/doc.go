// Package mesh follows a cluster and publishes what it sees as an immutable [routing.Mesh].
//
// One reflector for each kind lists and watches its objects. What counts of an object, a few dozen bytes, is kept in a
// collection; the object itself is dropped at once, so there is no cache of whole objects. A change of what counts
// makes the snapshot stale, and it is rebuilt: at once, then at most every [Options].Interval. Readers load a pointer
// and never wait.
//
// The snapshot is never worse than it was: a list that fails, an API server that is away or permissions that are
// taken back leave it as it is. Only an answer of the API server can take an object out of it, or a whole kind, if
// its CustomResourceDefinition is removed.
//
// There are two sources. [Source] is all that routing pods needs: a few kinds, most of them rare. [Skew] is what the
// skew rules need besides, down to the pods, as an immutable skew.Mesh; where a write must be judged by what was
// written a moment ago it also reads from the API server. Neither waits for the other.
//
// Where the router injects (routing.Forward), [Source] also follows what tells whether and how the injectors of the
// Sail Operator's revisions can be called: CA bundles, and in the namespaces of control planes alone the endpoints.
//
// Another kind is one row in [Source.table] and one function that tells what counts of an object.
package mesh
