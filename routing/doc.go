// Package routing decides which Istio revision a pod or a Gateway belongs to.
//
// It is the pure core of the Revision Router: a [Mesh] is an immutable snapshot of what the cluster holds,
// [Decide] maps one pod, its namespace and the mesh to one [Decision]. Nothing here reads a clock, a network or
// a file, and nothing imports more than the standard library, so the admission webhook, the command line and
// the tests reach the same answer from the same input by construction.
//
// Istio's own webhook selectors are the specification (charts istio-control/istio-discovery and revision-tags
// of istio.io/istio/manifests), followed by what istiod's injector skips once a webhook has matched
// (pkg/kube/inject). docs/spec.md states the rules in prose; the nested module test/istio compares every
// combination of the four labels with the charts themselves.
package routing
