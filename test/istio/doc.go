// Package istio compares the decisions of package routing with Istio itself, and holds nothing but that test.
//
// The webhook configurations of Istio's charts (module istio.io/istio, package manifests) are rendered with the Helm
// library, their selectors are evaluated with apimachinery as a kube-apiserver evaluates them, and for every
// combination of the four labels that they read, in ordinary and in system namespaces, the webhook that matches is
// compared with the decision. The charts are the specification: where the two differ, routing is wrong.
//
// Run it with "go test" in this folder, without a package pattern, to see the totals; with -v for every mesh.
package istio
