//go:build e2e

// Package e2e runs what a user does, from outside, on a real control plane.
//
// Most of it are the procedures of the update guide, as docs/upgrade-your-mesh.md prints them: a test carries the page's
// commands out with bash and kubectl, word for word, in a cluster with the chart installed and with a stand-in for the
// Sail Operator (package sail), and looks at what came of it.
//
// # A procedure
//
// Each is a test named TestProcedure..., which calls [run] with a [procedure] and a function that gets a [world]. That is a
// cluster of its own; procedures run in parallel. The function is a list of cases, in order, of which there are two kinds:
//
//	w.works("the update", func(s *step) {...})  // what the guide promises: holds with the router and without it
//	w.router("a skipped minor is refused", func(s *step) {...})  // what the router adds: fails without it
//
// Where a case of the first kind fails, the procedure ends. One of the second kind leaves the mesh as the cases after it
// expect whether it fails or not: what its commands changed is put back where it failed (restore_test.go). It must
// not pass for want of a router, and it must not wait for long until it fails for want of one: first what a command brings
// about in any case, then what only the router does, without waiting.
//
// Within a case:
//
//	s.do("inplace/update")                      // the page's block of that name; it has to succeed, and print what the page shows
//	s.refused("inplace/skip", skew.InPlaceStep) // it is refused by that rule, with the words that the page shows
//	s.healCommand("kubectl ...", skew.InPlaceStep) // one that is refused; then what is said is carried out until it passes
//	s.sh("kubectl ...")                         // a command that is none of the page's
//	s.until("what", func(ctx) error {...})      // waits for a condition
//
// # The page
//
// The section of a procedure in the page has the prefix of its steps: inplace/install, inplace/update. Commands have to be such
// that they can be carried out twice: kubectl apply rather than create, --overwrite with label. So a procedure that was
// interrupted is resumed from its beginning. They wait for what they began before they end. Every block of the page is run by a
// test, or the run fails; a test that names a block which is not there fails, too. Blocks may use the files bookinfo.yaml, the
// sample application, and the commands kubectl, istioctl where [world.istioctl] knows it, and router.
//
// # The platform
//
// What is not the same everywhere is behind [platform]: platform_test.go tells how it is chosen. Locally the control plane has
// nodes in name only (package cluster), and the router is a process with the flags, policy and rights that the chart renders
// (package local).
//
// # Without the router
//
// With ROUTER=off nothing is installed, and every case of the second kind fails. go run ./test/e2e/withoutrouter holds that
// against each of them. In forward mode nothing injects without the router: there a case of the first kind must not ask for sidecars.
package e2e
