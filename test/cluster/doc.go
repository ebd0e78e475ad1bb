// Package cluster starts a real control plane, etcd and kube-apiserver, for tests and for trying the router by hand.
//
// A machine needs nothing but Go for it: both are built from Go modules on first use (see [Build]) and kept in the
// user's cache. There is no controller-manager, no scheduler and no node. So namespaces never finish being deleted,
// pods stay Pending, and webhooks have to be configured by URL, because no Service has an address. What a test can
// judge is everything that the API server itself does: admission, authorization, validation, watches.
//
// A package's tests share one control plane:
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		config := cluster.Shared(t).Config()
//		...
//	}
//
// A test that stops the API server, or that passes flags to it, starts a control plane of its own with [Start].
// People start one with: go run ./test/cluster/up
package cluster
