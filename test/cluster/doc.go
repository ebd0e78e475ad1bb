// Package cluster starts a real control plane, etcd and kube-apiserver, for tests and for trying the router by hand,
// and on request the rest of a cluster but for its containers.
//
// A machine needs nothing but Go for it: everything is built from Go modules on first use (see [Build]) and kept in the
// user's cache. Without [Options.Nodes] there is no controller-manager, no scheduler and no node. So namespaces never
// finish being deleted, pods stay Pending, and webhooks have to be configured by URL, because no Service has an
// address. What a test can judge is everything that the API server itself does: admission, authorization, validation,
// watches.
//
// With nodes there are kube-controller-manager, kube-scheduler and kwok, which plays the kubelets: Deployments and
// DaemonSets roll out, pods get a ServiceAccount's token, are scheduled, become ready and can be evicted, Services get
// EndpointSlices, objects without an owner are collected and namespaces end. No container runs: what a pod would do,
// and a Service's address, is not there, and webhooks are still called by URL.
//
// A package's tests share one control plane, which has no nodes:
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		config := cluster.Shared(t).Config()
//		...
//	}
//
// A test that stops the API server, that passes flags to it, or that needs nodes, starts a control plane of its own
// with [Start]. People start one with: go run ./test/cluster/up
package cluster
