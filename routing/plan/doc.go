// Package plan finds the shortest order of writes and restarts that takes a mesh from the version it has to another
// one, such that the rules of package skew admit every one of them in the state that those before it lead to.
//
// It is pure: [New] maps a [Request] to a [Plan], and imports nothing but the standard library and the packages
// routing and skew.
//
// # What goes on by itself
//
// A step is what a person does. Between two steps the cluster settles: the operator makes or updates the control
// plane and moves the tags that follow an Istio, DaemonSets roll out, istiod replaces the proxies of waypoints and of
// the gateways that it deploys, and the operator deletes a revision that nothing uses any more. A plan waits for
// that, and the next step is judged in the state that has settled. The transitions are in settle.go, with what they
// are taken from.
//
// # The search
//
// Objects that no rule can tell apart are one: namespaces with the same labels, workloads of such namespaces with the
// same proxy. What is left is a mesh of some dozen objects, however many the cluster has, with up to two namespaces of
// each kind, because rules ask whether something is used and not by how many. An A* search goes through its states;
// all restarts that are due are one step, and everything that names one revision moves to another one together. The
// versions to go through are one for each minor between the lowest that is declared and the target. A search that
// has seen [MaxStates] states gives up and says so.
package plan
